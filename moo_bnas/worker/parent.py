"""The parent of a run, on the worker's side: its training, its checkpoints, its weights."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from moo_bnas.errors import ArtifactsError, StorageError
from moo_bnas.evaluation import Keep
from moo_bnas.storage import TRAINING, Storage, Study
from moo_bnas.storage.artifacts import Artifact, Artifacts
from moo_bnas.storage.checkpoints import Checkpoints

CHECKPOINT_SECONDS = 60.0
"""Between two checkpoints, at least."""
_TELL_SECONDS = 5.0  # between two words of how many epochs are trained

log = logging.getLogger(__name__)


class TrainsParent(Protocol):
    """What of an evaluator a parent needs; see `evaluator.Evaluator`."""

    def train_parent(
        self, checkpoint: bytes | None, keep: Keep, should_stop: Callable[[], bool]
    ) -> tuple[dict[str, Any], bytes]:
        """Attributes of the parent's trial as of `evaluate`, and its weights.

        Raises:
            Exception: As `evaluate`.
        """


class Parent:
    """The training of a run's parent, and what comes of it."""

    def __init__(self, storage: Storage, study: Study, artifacts: Artifacts) -> None:
        self._storage = storage
        self._study = study
        self._artifacts = artifacts
        self._checkpoints = Checkpoints(storage, study, artifacts, TRAINING)

    def train(self, evaluator: TrainsParent, should_stop: Callable[[], bool]) -> dict[str, Any]:
        """Trains it, from its last checkpoint; attributes of its trial."""
        content = None
        try:
            _, content = self._checkpoints.load()
        except ArtifactsError as error:
            log.warning("%s; the parent begins anew", error)
        saved = told = time.monotonic()

        def keep(losses: Sequence[float], make: Callable[[], bytes]) -> None:
            nonlocal saved, told
            if time.monotonic() - saved >= CHECKPOINT_SECONDS:
                self._checkpoints.save(make(), len(losses))
                saved = told = time.monotonic()
                log.info("the parent has trained %d epochs", len(losses))
            elif time.monotonic() - told >= _TELL_SECONDS:
                self._checkpoints.tell(len(losses))
                told = time.monotonic()

        found, weights = evaluator.train_parent(content, keep, should_stop)
        artifact = self._artifacts.put(weights)
        return {**found, "artifact": artifact.id, "weights_hash": artifact.sha256}

    def forget_checkpoint(self) -> None:
        """Drops the last checkpoint, once the trial is finished."""
        self._checkpoints.forget()

    def weights(self) -> tuple[bytes, str]:
        """The trained weights, and their hash."""
        trial = next(iter(self._storage.trials.read(self._study)), None)
        if trial is None or trial.state != "complete":
            raise StorageError(
                f"study {self._study.name!r} holds no trained parent; was it deleted? `moo-bnas "
                "run` trains another one in a study of another name"
            )
        sha256 = trial.attributes["weights_hash"]
        try:
            return self._artifacts.get(Artifact(trial.attributes["artifact"], sha256)), sha256
        except ArtifactsError as error:
            raise ArtifactsError(
                f"the weights of the parent are lost: {error}; or change the seed of [parent] and "
                "the --study-name to train another"
            ) from error
