"""The driver of a search: asks it for candidates, submits them, and waits for workers.

A resumed run replays: the algorithm is seeded, so that it proposes what it proposed before, and
finished evaluations are answered from the storage. Killing anything at any moment changes nothing
in the result.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from moo_bnas.driver.candidates import binary_candidates, candidate
from moo_bnas.driver.confirmation import Confirmation
from moo_bnas.driver.local_workers import LocalWorkers
from moo_bnas.driver.progress import Progress, Shown
from moo_bnas.driver.run import Run, make_search
from moo_bnas.driver.upkeep import Upkeep, pause
from moo_bnas.errors import ParentError
from moo_bnas.evolution.space import Genotype
from moo_bnas.results.score import leaders, score_of
from moo_bnas.results.status import parent_progress
from moo_bnas.storage import Trial, study_gone

log = logging.getLogger(__name__)


class Driver:
    """Drives a run to its end.

    Args:
        run: Run to drive.
        workers: Local workers, which the caller starts and stops.
        show: Function that is called with the progress whenever it may have changed.
        renew_lease: Function that `driver_lease` gives for the study of the run.
    """

    def __init__(
        self,
        run: Run,
        workers: LocalWorkers,
        show: Callable[[Shown], None],
        renew_lease: Callable[[], None],
    ) -> None:
        self._run = run
        self._upkeep = Upkeep(run.storage, run.study, run.study, workers, renew_lease)
        self._show = show
        self._space = run.definition.make_space()
        self._known: dict[Genotype, Trial] = {}
        self._started = time.monotonic()
        self._leaders: list[Trial] = []
        self._failed = 0
        self._done_at_start = 0
        self._total = run.definition.search.population * run.definition.search.generations
        self._score = score_of(run.definition, run.mode, [])

    def drive(self) -> None:
        """Runs all generations that are left; returns at once where none is left."""
        run, options = self._run, self._run.definition.search
        self._begin()
        self.make_parent()
        self._started = time.monotonic()  # time left is estimated from candidates alone
        self._submit_references()
        stored = self._stored_generations()
        search = make_search(run.definition, run.mode, run.seed)
        differs = False
        for generation in range(1, options.generations + 1):
            asked = search.ask()
            if generation in stored and set(stored[generation]) != set(asked):
                asked = stored[generation]
                if not differs:
                    log.warning(
                        "generation %d was stored with other proposals than are made now (another "
                        "version of pymoo or numpy?); continuing with the stored ones",
                        generation,
                    )
                differs = True
            if not asked:
                log.info(
                    "all that fits the budgets was searched after %d generations", generation - 1
                )
                self._total = len(self._known)
                break
            self._submit(asked, generation)
            self._wait(asked, generation)
            found = {g: self._known[g].evaluation for g in asked}
            search.tell({g: None if e is None else e.accuracy for g, e in found.items()})
        self._wait([], options.generations)
        if failed := run.storage.trials.counts(run.baselines)["fail"]:
            log.warning("%d reference networks failed; see the logs of the workers", failed)
        for study in run.studies:
            run.storage.studies.set_attributes(study, {"finished": True})

    def confirm(self, confirmation: Confirmation) -> None:
        """Has training runs repeated, once the search is finished."""
        confirmation.drive(self._upkeep, self._show)

    def make_parent(self) -> Trial | None:
        """Has the parent trained, if the run has one that is not trained yet.

        Returns:
            The trial of the parent; None where the run has no parent.

        Raises:
            ParentError: Where its training failed.
        """
        run, parent = self._run, self._run.parent
        if parent is None:
            return None
        self._begin()
        top = self._space.uniform(self._space.ratios[-1])
        run.storage.trials.submit(
            parent, self._space, binary_candidates(run.definition, [top], None)
        )
        began = time.monotonic()
        while run.storage.trials.count_open([parent]) != [0]:
            if self._upkeep.is_due:
                self._upkeep.look()
                self._show(self._parent_progress())
            pause(began)
        trial = next(iter(run.storage.trials.read(parent)), None)
        if trial is None:
            raise study_gone(parent.name)
        if trial.state == "fail":
            raise ParentError(
                f"the parent of study {run.study.name!r} failed: "
                f"{trial.failure}; fix [parent] of the definition and give "
                "another --study-name"
            )
        run.storage.studies.set_attributes(parent, {"finished": True})
        return trial

    def _begin(self) -> None:
        """Marks the studies as not finished, so that workers look for work again."""
        run = self._run
        values = {"definition": run.definition.model_dump(mode="json"), "finished": False}
        for study in run.studies:
            run.storage.studies.set_attributes(study, values)

    def _submit_references(self) -> None:
        """The uniform networks and the full-precision twin, in the sibling study."""
        run, space = self._run, self._space
        uniform = [space.uniform(ratio) for ratio in space.ratios]
        references = binary_candidates(run.definition, uniform, None)
        if 1.0 in space.ratios:
            references.append(candidate(run.definition, space.uniform(1.0), "full"))
        run.storage.trials.submit(run.baselines, space, references)

    def _stored_generations(self) -> dict[int, list[Genotype]]:
        stored: dict[int, list[Genotype]] = {}
        trials = self._run.storage.trials.read(self._run.study)
        for trial in trials:
            if trial.generation is not None:
                stored.setdefault(trial.generation, []).append(trial.genotype)
        self._learn(trials)
        self._done_at_start = len(self._known)
        return stored

    def _submit(self, genotypes: Sequence[Genotype], generation: int) -> None:
        new = [g for g in genotypes if g not in self._known]
        if new:
            candidates = binary_candidates(self._run.definition, new, generation)
            self._run.storage.trials.submit(self._run.study, self._space, candidates)

    def _wait(self, genotypes: Sequence[Genotype], generation: int) -> None:
        """Waits until these genotypes are finished; without any, until the references are."""
        run, trials, began = self._run, self._run.storage.trials, time.monotonic()
        missing = [g for g in genotypes if g not in self._known]
        if genotypes and not missing:  # a replay
            return
        while True:
            open_trials, open_references = trials.count_open([run.study, run.baselines])
            over = not (open_trials if genotypes else open_references)
            upkeep_is_due = self._upkeep.is_due
            if (over or upkeep_is_due) and len(missing) > open_trials:
                self._learn(trials.read(run.study, missing))
                missing = [g for g in missing if g not in self._known]
            if over and missing:
                raise study_gone(run.study.name)
            done = len(self._known) + max(len(missing) - open_trials, 0)
            if upkeep_is_due:
                self._upkeep.look()
            self._show(self._progress(generation, done, open_references))
            if over:
                return
            pause(began)

    def _learn(self, trials: Sequence[Trial]) -> None:
        """Notes the results of those of these trials that are finished."""
        run = self._run
        self._known.update((t.genotype, t) for t in trials if t.state in ("complete", "fail"))
        self._failed += sum(t.state == "fail" for t in trials)
        complete = [t for t in trials if t.state == "complete"]
        self._leaders = leaders(run.mode, [*self._leaders, *complete])
        self._score = score_of(run.definition, run.mode, self._leaders)

    def _parent_progress(self) -> Progress:
        run = self._run
        return replace(
            self._progress(0, self._done_at_start, 0),
            parent=parent_progress(run.storage, run.study),
        )

    def _progress(self, generation: int, done: int, open_references: int) -> Progress:
        run = self._run
        here = done - self._done_at_start
        elapsed = time.monotonic() - self._started
        score_name, score = self._score
        return Progress(
            generation=generation,
            generations=run.definition.search.generations,
            done=done,
            total=self._total,
            failed=self._failed,
            references_left=open_references,
            score_name=score_name,
            score=score,
            workers=self._upkeep.alive,
            seconds_left=elapsed / here * (self._total - done) if here > 0 else None,
        )
