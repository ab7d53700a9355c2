"""Candidates of a search, and its references, on the worker's side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from moo_bnas.definition import stored_definition
from moo_bnas.evaluation import PRECISIONS, Evaluation
from moo_bnas.storage import Claim, Storage, Study, baselines_of
from moo_bnas.worker.evaluates import TrainsCandidates


class Candidates:
    """The candidates of a run, and when none wait its references; see `jobs.Job`.

    Args:
        storage: Storage that holds the run.
        study: Study of the run.
        evaluator: Trains the networks.
        parent_hash: Hash of the weights that candidates inherit; None if they begin from scratch.
    """

    def __init__(
        self,
        storage: Storage,
        study: Study,
        evaluator: TrainsCandidates,
        parent_hash: str | None,
    ) -> None:
        definition = stored_definition(study.attributes["definition"])
        data_hash = evaluator.load("search")
        self.studies = (study, storage.studies.open(baselines_of(study.name)))
        self.fingerprints: Mapping[str, str] = {
            p: definition.fingerprint(p, data_hash, parent_hash) for p in PRECISIONS
        }
        self._evaluator = evaluator

    def train(self, claim: Claim, should_stop: Callable[[], bool]) -> Evaluation:
        """Trains and scores one network."""
        return self._evaluator.evaluate(claim.genotype, claim.precision, should_stop)

    def forget(self, claim: Claim) -> None:
        """Does nothing: a candidate leaves no checkpoints."""
