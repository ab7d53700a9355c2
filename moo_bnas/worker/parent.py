"""The parent of a run, on the worker's side: its training run, its checkpoints, its weights."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from moo_bnas.definition import stored_definition
from moo_bnas.errors import ArtifactsError, StorageError
from moo_bnas.evaluation import PRECISIONS, Evaluation, Keep
from moo_bnas.storage import TRAINING, Claim, Storage, Study, parent_of
from moo_bnas.storage.artifacts import Artifacts
from moo_bnas.storage.checkpoints import Checkpoints
from moo_bnas.units import count
from moo_bnas.worker.evaluates import TrainsParent

CHECKPOINT_SECONDS = 60.0
"""Seconds between two checkpoints, at least."""
_REPORT_SECONDS = 5.0  # between two reports of how many epochs are trained

log = logging.getLogger(__name__)


class Parent:
    """The training run of a run's parent, and what comes of it; see `jobs.Job`.

    Args:
        storage: Storage that holds the run.
        study: Study of the run.
        artifacts: Store that keeps checkpoints and weights.
        evaluator: Trains the parent.
    """

    def __init__(
        self, storage: Storage, study: Study, artifacts: Artifacts, evaluator: TrainsParent
    ) -> None:
        self._storage = storage
        self._run = study
        self._study = storage.studies.open(parent_of(study.name))
        self._artifacts = artifacts
        self._evaluator = evaluator
        self._checkpoints = Checkpoints(storage, self._study, artifacts, TRAINING)
        definition = stored_definition(study.attributes["definition"])
        fingerprint = definition.parent_fingerprint(evaluator.load("search"))
        self.studies = (self._study,)
        self.fingerprints: Mapping[str, str] = dict.fromkeys(PRECISIONS, fingerprint)

    def train(self, claim: Claim, should_stop: Callable[[], bool]) -> Evaluation:
        """Trains the parent, from its last checkpoint."""
        content = None
        try:
            _, content = self._checkpoints.load()
        except ArtifactsError as error:
            log.warning("%s; the parent is trained from scratch", error)
        found, weights = self._evaluator.train_parent(content, self._keep(), should_stop)
        return replace(found, artifact=self._artifacts.put(weights))

    def forget(self, claim: Claim) -> None:
        """Drops the last checkpoint, once the trial is finished."""
        self._checkpoints.forget()

    def weights(self) -> tuple[bytes, str]:
        """See `parent_weights`."""
        return parent_weights(self._storage, self._run, self._artifacts)

    def _keep(self) -> Keep:
        """What is called after each epoch: it keeps a checkpoint, or reports the epoch, if due."""
        saved = reported = time.monotonic()

        def keep(losses: Sequence[float], make: Callable[[], bytes]) -> None:
            nonlocal saved, reported
            if time.monotonic() - saved >= CHECKPOINT_SECONDS:
                self._checkpoints.save(make(), len(losses))
                saved = reported = time.monotonic()
                log.info("the parent has trained %s", count(len(losses), "epoch"))
            elif time.monotonic() - reported >= _REPORT_SECONDS:
                self._checkpoints.report(len(losses))
                reported = time.monotonic()

        return keep


def parent_weights(storage: Storage, study: Study, artifacts: Artifacts) -> tuple[bytes, str]:
    """The weights of the trained parent of a run, and their hash.

    Raises:
        StorageError: If the run has no trained parent.
        ArtifactsError: If the weights are lost or damaged.
    """
    parent = storage.studies.open(parent_of(study.name))
    trial = next(iter(storage.trials.read(parent)), None)
    if trial is None or trial.evaluation is None:
        raise StorageError(
            f"study {parent.name!r} holds no trained parent; was it deleted? `moo-bnas run` trains "
            "another one in a study of another name"
        )
    artifact = trial.evaluation.kept
    try:
        return artifacts.get(artifact), artifact.sha256
    except ArtifactsError as error:
        raise ArtifactsError(
            f"the weights of the parent are lost: {error}; or change the seed of [parent] and "
            "the --study-name to train another"
        ) from error
