"""The driver of a search: asks it for candidates, submits them, and waits for workers.

A resumed run replays: the algorithm is seeded, so it proposes what it proposed before, and what
is finished is answered from the storage. Killing anything at any moment changes nothing in the
result of the barrier schedule; the steady one resumes from the very state before the kill, after
which results may come back in another order.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from moo_bnas.driver.candidates import binary_candidates, candidate
from moo_bnas.driver.confirmation import Confirmation
from moo_bnas.driver.limits import Hours, has_plateaued
from moo_bnas.driver.local_workers import LocalWorkers
from moo_bnas.driver.progress import Progress, Shown
from moo_bnas.driver.run import Run, make_search
from moo_bnas.driver.steady import Steady
from moo_bnas.driver.upkeep import Upkeep, pause
from moo_bnas.driver.warm_start import known_before, taken_over
from moo_bnas.errors import ParentError
from moo_bnas.evolution.algorithm import Search
from moo_bnas.evolution.space import Genotype
from moo_bnas.results.score import leaders, score_of
from moo_bnas.results.status import parent_progress
from moo_bnas.storage import Trial, study_gone

log = logging.getLogger(__name__)

_FEW = 4  # results after the first ones that a pace is told from


class Driver:
    """Drives a run to its end.

    Args:
        run: Run to drive.
        workers: Local workers, which the caller starts and stops.
        show: Function that is called with the progress whenever it may have changed.
        renew_lease: Function that `driver_lease` gives for the study of the run.
        learned: Function that is called with the trials that have ended since it was called last.
    """

    def __init__(
        self,
        run: Run,
        workers: LocalWorkers,
        show: Callable[[Shown], None],
        renew_lease: Callable[[], None],
        learned: Callable[[Sequence[Trial]], None] | None = None,
    ) -> None:
        self._run = run
        self._learned = learned
        self._upkeep = Upkeep(run.storage, run.study, run.study, workers, renew_lease)
        self._show = show
        self._space = run.definition.make_space()
        self._known: dict[Genotype, Trial] = {}
        self._leaders: list[Trial] = []
        self._failed = 0
        self._done_at_start = 0
        self._first: tuple[float, int] | None = None  # when the first results were in, and how many
        self._total = run.definition.search.candidates
        self._hours = Hours(run)
        self._closed = False  # once the hours are over
        self._score = score_of(run.definition, run.mode, [])

    def drive(self) -> None:
        """Evaluates all candidates that are left; returns at once where none are."""
        run = self._run
        self._begin()
        try:
            self.make_parent()
            self._submit_references()
            trials = self._read_or_begin()
            self._learn(trials)
            self._done_at_start = len(self._known)
            taken = [t.genotype for t in trials if t.generation == 0]
            self._total += len(taken)
            if not taken or self._wait(taken, 0):
                search = make_search(run.definition, run.mode, run.seed, known_before(run.study))
                self._tell(search, taken)
                own = trials[len(taken) :]
                if run.definition.search.schedule == "steady":
                    self._drive_steadily(Steady(run, search, own))
                else:
                    self._drive_generations(search, own)
            if self._stop_in_time():
                log.info("the hours of this run are over: what waits is not begun")
            self._wait([], run.definition.search.generations)
        finally:
            self._hours.keep(now=True)
        self._upkeep.refuse_enqueued()
        if failed := run.storage.trials.counts(run.baselines)["fail"]:
            log.warning("%d reference networks failed; see the workers' logs", failed)
        for study in run.studies:
            run.storage.studies.set_attributes(study, {"finished": True})

    def _read_or_begin(self) -> list[Trial]:
        """The trials so far; of a new run those that it takes over from another one."""
        run = self._run
        trials = run.storage.trials.read(run.study)
        if not trials and (taken := taken_over(run.storage, run.study, run.definition)):
            run.storage.trials.submit(run.study, self._space, taken)
            trials = run.storage.trials.read(run.study)
        return trials

    def _tell(self, search: Search, genotypes: Sequence[Genotype]) -> None:
        """Gives the evaluations of finished genotypes to the search."""
        found = {g: self._known[g].evaluation for g in genotypes}
        search.tell({g: None if e is None else e.accuracy for g, e in found.items()})

    def _drive_generations(self, search: Search, trials: Sequence[Trial]) -> None:
        """The barrier schedule."""
        options = self._run.definition.search
        stored: dict[int, list[Genotype]] = {}
        for trial in trials:
            if trial.generation is not None:
                stored.setdefault(trial.generation, []).append(trial.genotype)
        differs, submitted = False, 0
        counted = set(self._known) - {trial.genotype for trial in trials}
        for generation in range(1, options.generations + 1):
            asked = search.ask()
            before = stored.get(generation, [])
            if not set(before) <= set(asked):  # fewer than asked: cut short by a limit
                asked = before
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
            asked = asked[: options.candidates - submitted]
            submitted += len(asked)
            self._total -= len(asked) - len(set(asked) - counted)  # repeats are not trained
            counted.update(asked)
            self._submit(asked, generation)
            if not self._wait(asked, generation):
                break
            self._tell(search, asked)
            done = [t for t in self._known.values() if (t.generation or 0) <= generation]
            if submitted >= options.candidates or self._ends_on_plateau(done):
                break

    def _drive_steadily(self, steady: Steady) -> None:
        """The steady schedule."""
        trials, options = self._run.storage.trials, self._run.definition.search
        began, ends = time.monotonic(), False
        while True:
            open_trials, open_references = trials.count_open([self._run.study, self._run.baselines])
            if len(steady.running) > open_trials:
                read = trials.read(self._run.study, steady.running)
                ended = [t for t in read if t.state in ("complete", "fail")]
                if not (ended or open_trials or self._closed):
                    raise study_gone(self._run.study.name)
                self._learn(ended)
                steady.tell(ended)
                began = time.monotonic()
                ends = ends or self._ends_on_plateau(list(self._known.values()))
            ends = ends or self._stop_in_time()
            if not ends and steady.propose():
                log.info("all that fits the budgets was searched")
                self._total, ends = self._total - options.candidates + steady.submitted, True
            over = not (open_trials if self._closed else steady.running)
            generation = -(-steady.submitted // options.population)
            self._look(generation, len(self._known), open_references)
            if over:
                return
            pause(began)

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
        top = self._space.largest
        run.storage.trials.submit(
            parent, self._space, binary_candidates(run.definition, [top], None)
        )
        began = time.monotonic()
        while run.storage.trials.count_open([parent]) != [0]:
            self._stop_in_time()
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
        self._hours.begin()
        values = {"definition": run.definition.model_dump(mode="json"), "finished": False}
        for study in run.studies:
            run.storage.trials.reopen(study)  # what an earlier limit left
            run.storage.studies.set_attributes(study, values)

    def _submit_references(self) -> None:
        """The uniform networks and the full-precision twin, in the sibling study."""
        run = self._run
        references = [candidate(run.definition, *each) for each in run.definition.references()]
        run.storage.trials.submit(run.baselines, self._space, references)

    def _submit(self, genotypes: Sequence[Genotype], generation: int) -> None:
        new = [g for g in dict.fromkeys(genotypes) if g not in self._known]
        if new:
            candidates = binary_candidates(self._run.definition, new, generation)
            self._run.storage.trials.submit(self._run.study, self._space, candidates)

    def _wait(self, genotypes: Sequence[Genotype], generation: int) -> bool:
        """Waits until these genotypes are finished; without any, until the references are.

        Returns:
            False if the time was over before.
        """
        run, trials, began = self._run, self._run.storage.trials, time.monotonic()
        missing = [g for g in dict.fromkeys(genotypes) if g not in self._known]
        if genotypes and not missing:  # a replay
            return True
        while True:
            stopped = self._stop_in_time()
            open_trials, open_references = trials.count_open([run.study, run.baselines])
            over = not (open_trials if genotypes else open_references)
            if (over or self._upkeep.is_due) and len(missing) > open_trials:
                self._learn(trials.read(run.study, missing))
                missing = [g for g in missing if g not in self._known]
            if over and missing and not stopped:
                raise study_gone(run.study.name)
            done = len(self._known)
            if not stopped:
                done += max(len(missing) - open_trials, 0)
            self._look(generation, done, open_references)
            if over:
                return not missing
            pause(began)

    def _look(self, generation: int, done: int, open_references: int) -> None:
        """Looks after the workers where that is due, and shows the progress."""
        if self._upkeep.is_due:
            self._upkeep.look()
            self._hours.keep()
        self._show(self._progress(generation, done, open_references))

    def _stop_in_time(self) -> bool:
        """Whether the hours of the run are over; then what waits is held back."""
        if not self._closed and self._hours.are_over:
            self._closed = True
            for study in self._run.studies:
                self._run.storage.trials.close(study)
        return self._closed

    def _ends_on_plateau(self, done: Sequence[Trial]) -> bool:
        if not has_plateaued(self._run, done):
            return False
        window = self._run.definition.search.plateau
        log.info("the last %d evaluations brought less than a thousandth: the search ends", window)
        return True

    def _learn(self, trials: Sequence[Trial]) -> None:
        """Notes the results of those of these trials that are finished."""
        run = self._run
        self._known.update((t.genotype, t) for t in trials if t.state in ("complete", "fail"))
        if self._learned is not None:
            self._learned(trials)
        self._failed += sum(t.state == "fail" for t in trials)
        complete = [t for t in trials if t.state == "complete"]
        self._leaders = leaders(run.definition, run.mode, [*self._leaders, *complete])
        self._score = score_of(run.definition, run.mode, self._leaders)

    def _parent_progress(self) -> Progress:
        run = self._run
        return replace(
            self._progress(0, self._done_at_start, 0),
            parent=parent_progress(run.storage, run.study),
        )

    def _progress(self, generation: int, done: int, open_references: int) -> Progress:
        run = self._run
        now = time.monotonic()
        if done > self._done_at_start and self._first is None:
            self._first = now, done  # workers were starting before
        since, first = self._first or (now, done)
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
            seconds_left=(
                (now - since) / (done - first) * (self._total - done)
                if done - first >= _FEW
                else None
            ),
        )
