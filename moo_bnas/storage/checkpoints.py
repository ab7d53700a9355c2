"""Checkpoints of training runs that outlive their workers.

Their bytes are in the artifact store, their names in attributes of the study.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import Any

from moo_bnas.errors import ArtifactsError
from moo_bnas.evaluation import Artifact
from moo_bnas.storage import Storage, Study
from moo_bnas.storage.artifacts import Artifacts, artifact_of


class Checkpoints:
    """The last checkpoint of one training run, and its progress.

    The attribute is a JSON object: `progress` as reported, and `checkpoint` (id, sha256) once there
    is one. A new checkpoint is whole in the store before the attribute names it, and the old one is
    removed after that; so whenever a worker is killed, the attribute names a whole one.

    Args:
        storage: Storage that holds the study.
        study: Study that the training run belongs to.
        artifacts: Artifact store of the study.
        key: Name of the attribute.
    """

    def __init__(self, storage: Storage, study: Study, artifacts: Artifacts, key: str) -> None:
        self._storage = storage
        self._study = study
        self._artifacts = artifacts
        self._key = key

    def load(self) -> tuple[Any, bytes | None]:
        """Progress and content of the last checkpoint; each is None if there is none.

        Raises:
            ArtifactsError: If the checkpoint is lost or damaged.
        """
        known = self._read()
        kept = _checkpoint(known)
        content = None if kept is None else self._artifacts.get(kept)
        return known.get("progress"), content

    def save(self, content: bytes, progress: Any) -> None:
        """Replaces the checkpoint."""
        old = _checkpoint(self._read())
        new = self._artifacts.put(content)
        self._write({"progress": progress, "checkpoint": asdict(new)})
        if old is not None:
            self._artifacts.remove(old)

    def report(self, progress: Any) -> None:
        """Records how far the training run is, without a checkpoint."""
        self._write({**self._read(), "progress": progress})

    def forget(self) -> None:
        """Drops the checkpoint; the next training run begins from scratch."""
        known = self._read()
        if known:
            self._write({})
        kept = None
        with contextlib.suppress(ArtifactsError):  # of a damaged row no file is known
            kept = _checkpoint(known)
        if kept is not None:
            self._artifacts.remove(kept)

    def _read(self) -> dict[str, Any]:
        known = self._storage.studies.open(self._study.name).attributes.get(self._key)
        return known if isinstance(known, dict) else {}

    def _write(self, values: dict[str, Any]) -> None:
        self._storage.studies.set_attributes(self._study, {self._key: values})
        self._storage.rest()


def _checkpoint(known: dict[str, Any]) -> Artifact | None:
    return artifact_of(known["checkpoint"]) if "checkpoint" in known else None
