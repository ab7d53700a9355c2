"""Final trainings, on the worker's side: chosen networks, trained to the end and scored on test."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from moo_bnas.data import Purpose
from moo_bnas.definition import stored_definition
from moo_bnas.errors import ArtifactsError
from moo_bnas.evaluation import PRECISIONS, Keep, Precision
from moo_bnas.evolution.space import Genotype
from moo_bnas.recipe import Recipe
from moo_bnas.storage import Claim, Storage, Study, training_of
from moo_bnas.storage.artifacts import Artifacts
from moo_bnas.storage.checkpoints import Checkpoints

log = logging.getLogger(__name__)


class TrainsFinals(Protocol):
    """What of an evaluator final trainings need; see `evaluator.Evaluator`."""

    def load(self, purpose: Purpose) -> str:
        """The content hash of the data for a purpose, once they are loaded."""

    def train_final(
        self,
        genotype: Genotype,
        precision: Precision,
        recipe: Recipe,
        checkpoint: bytes | None,
        keep: Keep,
        should_stop: Callable[[], bool],
    ) -> tuple[dict[str, Any], bytes]:
        """Attributes of the trial, and the model file.

        Raises:
            Exception: As `evaluate`.
        """


class FinalTraining:
    """The final trainings of a run.

    Attributes:
        study: Their study.
        fingerprints: Of its trials, by precision.

    Raises:
        DataError: Where the data cannot be loaded, or are not those of the study.
    """

    def __init__(
        self, storage: Storage, study: Study, artifacts: Artifacts, evaluator: TrainsFinals
    ) -> None:
        self.study = study
        self._storage = storage
        self._artifacts = artifacts
        self._evaluator = evaluator
        definition = stored_definition(study.attributes["definition"])
        self._recipe = definition.final_recipe()
        data_hash = evaluator.load("final")
        storage.studies.agree_on_data(study, data_hash)
        self.fingerprints: dict[str, str] = {
            p: definition.final_fingerprint(p, data_hash) for p in PRECISIONS
        }

    def train(self, claim: Claim, should_stop: Callable[[], bool]) -> dict[str, Any]:
        """Trains a network, from its last checkpoint; attributes of its trial.

        Raises:
            ArtifactsError: Where the checkpoint is lost or damaged, or none can be written.
        """
        checkpoints = self._checkpoints(claim)
        try:
            progress, content = checkpoints.load()
        except ArtifactsError as error:
            raise ArtifactsError(
                f"cannot go on with the final training of {claim.study.name} trial "
                f"{claim.number}: {error}, or give --restart to `moo-bnas train` to train it anew"
            ) from error
        before, first = 0.0, 1
        if progress:
            before, first = progress["seconds"], len(progress["losses"]) + 1
            log.info("going on with epoch %d", first)
        started = time.monotonic()

        def keep(losses: Sequence[float], make: Callable[[], bytes]) -> None:
            seconds = before + time.monotonic() - started
            checkpoints.save(make(), {"losses": list(losses), "seconds": round(seconds, 3)})
            if len(losses) == first:
                self._storage.claims.forgive(claim)

        found, model = self._evaluator.train_final(
            claim.genotype, claim.precision, self._recipe, content, keep, should_stop
        )
        artifact = self._artifacts.put(model)
        seconds = round(before + time.monotonic() - started, 3)
        return {
            **found,
            "train_seconds": seconds,
            "artifact": artifact.id,
            "weights_hash": artifact.sha256,
        }

    def forget_checkpoint(self, claim: Claim) -> None:
        """Drops the last checkpoint, once the trial is finished."""
        self._checkpoints(claim).forget()

    def _checkpoints(self, claim: Claim) -> Checkpoints:
        return Checkpoints(self._storage, self.study, self._artifacts, training_of(claim.number))
