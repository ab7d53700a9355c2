"""Candidates of a search, its references, and repeats of both, on the worker's side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from moo_bnas.definition import stored_definition
from moo_bnas.evaluation import PRECISIONS, Evaluation
from moo_bnas.storage import Claim, Storage, Study, baselines_of, confirm_of
from moo_bnas.worker.evaluates import TrainsCandidates


class Candidates:
    """The candidates of a run; when none wait its references, then repeats; see `jobs.Job`.

    Repeats have the fingerprints of what they repeat: the number of a repeat tells them apart.

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
        self._storage = storage
        self.studies: tuple[Study, ...] = (study, storage.studies.open(baselines_of(study.name)))
        self.fingerprints: Mapping[str, str] = {
            p: definition.fingerprint(p, data_hash, parent_hash) for p in PRECISIONS
        }
        self._evaluator = evaluator

    def find_repeats(self) -> None:
        """Serves repeats from now on, too: their study may be made at any time, or again."""
        study, references, *_ = self.studies
        repeats = self._storage.studies.find(confirm_of(study.name))
        self.studies = (study, references, *([repeats] if repeats else []))

    def train(self, claim: Claim, should_stop: Callable[[], bool]) -> Evaluation:
        """Trains and scores one network."""
        return self._evaluator.evaluate(
            claim.genotype, claim.precision, should_stop, repeat=claim.repeat
        )

    def forget(self, claim: Claim) -> None:
        """Does nothing: a candidate leaves no checkpoints."""
