"""Which kinds of trials a worker serves, and which of them is due.

A worker of a run with a parent trains the parent first, or waits until another has; then it serves
candidates, when none wait references, then repeats that confirm some of both. Final trainings are
served when nothing else waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from moo_bnas.definition import stored_definition
from moo_bnas.errors import ArtifactsError, DataError, VersionError
from moo_bnas.evaluation import Evaluation
from moo_bnas.storage import Claim, RunState, Storage, Study, confirm_of, final_of, study_gone
from moo_bnas.storage.artifacts import Artifacts, join_artifacts
from moo_bnas.versions import versions
from moo_bnas.worker.candidates import Candidates
from moo_bnas.worker.evaluates import Evaluates
from moo_bnas.worker.final_training import FinalTraining
from moo_bnas.worker.options import WorkerOptions
from moo_bnas.worker.parent import Parent

log = logging.getLogger(__name__)


class Job(Protocol):
    """One kind of trials that a worker serves."""

    @property
    def studies(self) -> Sequence[Study]:
        """Studies that hold its trials, in order of preference."""

    @property
    def fingerprints(self) -> Mapping[str, str]:
        """Fingerprints of its evaluations, by precision."""

    def train(self, claim: Claim, should_stop: Callable[[], bool]) -> Evaluation:
        """Trains and scores the network of a claim."""

    def forget(self, claim: Claim) -> None:
        """Drops what was kept to resume the training run; called once its trial is finished."""


class Jobs:
    """The jobs that one worker has in a run.

    Args:
        storage: Storage that holds the run.
        study: Study of the run.
        evaluator: Trains the networks.
        options: How the worker serves the run.

    Attributes:
        state: Result of the last look; `WAITING` before the first one, so that a claim is tried
            at once.

    Raises:
        ArtifactsError: If the store of the parent's weights cannot be used.
        DataError: If the data are not the data of the study.
        VersionError: If the study is evaluated by other code.
    """

    def __init__(
        self, storage: Storage, study: Study, evaluator: Evaluates, options: WorkerOptions
    ) -> None:
        self._storage = storage
        self._study = study
        self._evaluator = evaluator
        self._options = options
        self._serves_finals = True
        self._parent: Parent | None = None
        self._search: Parent | Candidates | None = None
        self.state = RunState.WAITING
        if options.only_final:
            self.look()
            return
        definition = stored_definition(study.attributes["definition"])
        storage.studies.agree_on_code(study, definition.code(), versions())
        storage.studies.agree_on_data(study, evaluator.load("search"))
        if definition.parent is None:
            self._search = Candidates(storage, study, evaluator, None)
        else:
            artifacts = self._join_artifacts()
            self._search = self._parent = Parent(storage, study, artifacts, evaluator)

    def look(self) -> RunState:
        """Looks at the run again.

        Raises:
            StorageError: If the study was deleted.
        """
        look = self._storage.studies.look
        if self._search is None:
            study = self._storage.studies.open(final_of(self._study.name))
            state = look(study)
            self.state = RunState.FINAL if state is RunState.WAITING else state
        else:
            study, *siblings = self._search.studies
            # Whoever waits for the parent waits for nothing else.
            serves_more, name = self._parent is None, self._study.name
            confirm = confirm_of(name) if serves_more else None
            final = final_of(name) if serves_more and self._serves_finals else None
            self.state = look(study, *siblings, confirm=confirm, final=final)
            if self.state is RunState.CONFIRM and isinstance(self._search, Candidates):
                self._search.find_repeats()
        if self.state is RunState.GONE:
            raise study_gone(study.name)
        return self.state

    def due(self) -> Job | None:
        """The job whose trials wait; None if none do, or if this worker cannot serve them."""
        if self.state in (RunState.WAITING, RunState.CONFIRM):
            return self._search
        return self._finals() if self.state is RunState.FINAL else None

    def turn_to_candidates(self) -> bool:
        """Once the parent is trained, begins with the candidates that inherit its weights.

        Returns:
            False if there is no parent, or if this was done before: then the run is over.
        """
        if self._parent is None:
            return False
        weights, parent_hash = self._parent.weights()
        self._evaluator.inherit(weights)
        self._search = Candidates(self._storage, self._study, self._evaluator, parent_hash)
        self._parent, self.state = None, RunState.WAITING
        return True

    def _finals(self) -> FinalTraining | None:
        """The final trainings, opened afresh: between two commands their recipe may change."""
        try:
            artifacts = self._join_artifacts()
            return FinalTraining(self._storage, self._study, artifacts, self._evaluator)
        except (ArtifactsError, DataError, VersionError) as error:
            if self._options.only_final:
                raise
            log.warning("this worker leaves final trainings to others: %s", error)
            self._serves_finals = False
            return None

    def _join_artifacts(self) -> Artifacts:
        known = self._storage.studies.open(self._study.name).attributes.get("artifacts")
        return join_artifacts(known, self._options.artifacts_url, self._storage.url)
