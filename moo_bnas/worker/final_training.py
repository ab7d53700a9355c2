"""Final trainings, on the worker's side: chosen networks, trained to the end and scored on test."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from moo_bnas.definition import stored_definition
from moo_bnas.errors import ArtifactsError
from moo_bnas.evaluation import PRECISIONS, Evaluation
from moo_bnas.storage import Claim, Storage, Study, final_of, training_of
from moo_bnas.storage.artifacts import Artifacts
from moo_bnas.storage.checkpoints import Checkpoints
from moo_bnas.task import FinalTask
from moo_bnas.versions import versions
from moo_bnas.worker.evaluates import TrainsFinals
from moo_bnas.worker.parent import parent_weights

log = logging.getLogger(__name__)


class FinalTraining:
    """The final trainings of a run; see `jobs.Job`.

    Args:
        storage: Storage that holds the run.
        study: Study of the run.
        artifacts: Store that keeps checkpoints and models.
        evaluator: Trains the networks.

    Raises:
        DataError: If the data cannot be loaded, or are not the data of the study.
        VersionError: If the study is evaluated by other code.
        ArtifactsError: If networks inherit weights, and these are lost.
        StorageError: If there are none.
    """

    def __init__(
        self, storage: Storage, study: Study, artifacts: Artifacts, evaluator: TrainsFinals
    ) -> None:
        self._storage = storage
        self._study = storage.studies.open(final_of(study.name))
        self._artifacts = artifacts
        self._evaluator = evaluator
        definition = stored_definition(self._study.attributes["definition"])
        self._recipe = definition.final_recipe()
        storage.studies.agree_on_code(self._study, definition.code(), versions())
        data_hash = evaluator.load("final")
        storage.studies.agree_on_data(self._study, data_hash)
        parent_hash = None
        if self._recipe.inherits:
            weights, parent_hash = parent_weights(storage, study, artifacts)
            evaluator.inherit(weights)
        self.studies = (self._study,)
        self.fingerprints: Mapping[str, str] = {
            p: definition.final_fingerprint(p, data_hash, parent_hash) for p in PRECISIONS
        }

    def train(self, claim: Claim, should_stop: Callable[[], bool]) -> Evaluation:
        """Trains a network, from its last checkpoint.

        Raises:
            ArtifactsError: If the checkpoint is lost or damaged, or none can be written.
        """
        checkpoints = self._checkpoints(claim)
        try:
            progress, content = checkpoints.load()
        except ArtifactsError as error:
            raise ArtifactsError(
                f"cannot continue the final training of {claim.study.name} trial {claim.number}: "
                f"{error}, or give --restart to `moo-bnas train` to train it from scratch"
            ) from error
        before, first = 0.0, 1
        if progress:
            before, first = progress["seconds"], len(progress["losses"]) + 1
            log.info("continuing with epoch %d", first)
        started = time.monotonic()

        def seconds() -> float:
            """The time of all tries, from checkpoint to checkpoint."""
            return round(before + time.monotonic() - started, 3)

        def keep(losses: Sequence[float], make: Callable[[], bytes]) -> None:
            checkpoints.save(make(), {"losses": list(losses), "seconds": seconds()})
            if len(losses) == first:  # it makes progress: losses of workers so far do not count
                self._storage.claims.forgive(claim)

        task = FinalTask(claim.genotype, claim.precision, self._recipe, content)
        found, model = self._evaluator.train_final(task, keep, should_stop)
        artifact = self._artifacts.put(model)
        return replace(found, train_seconds=seconds(), artifact=artifact)

    def forget(self, claim: Claim) -> None:
        """Drops the last checkpoint, once the trial is finished."""
        self._checkpoints(claim).forget()

    def _checkpoints(self, claim: Claim) -> Checkpoints:
        return Checkpoints(self._storage, self._study, self._artifacts, training_of(claim.number))
