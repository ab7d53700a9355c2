"""The driver: holds the search, submits its candidates, waits for the workers.

A resumed run replays: the algorithm is seeded, so it proposes what it proposed before, and what
is finished is answered from the storage. Killing anything at any moment changes nothing in the
result.
"""

from __future__ import annotations

import logging
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np

from moo_bnas.artifacts import agree_on_artifacts
from moo_bnas.cost import flops, flops_cost, memory_bits, memory_cost
from moo_bnas.definition import Definition
from moo_bnas.errors import DefinitionError, ParentError
from moo_bnas.evolution import Budget, Mode, Search
from moo_bnas.local_workers import LocalWorkers
from moo_bnas.networks.layers import Precision
from moo_bnas.processes import is_gone
from moo_bnas.progress import Progress, leaders, parent_progress, score_of
from moo_bnas.space import Genotype
from moo_bnas.storage import (
    PARETO_METRICS,
    SCALAR_METRICS,
    Candidate,
    Storage,
    Study,
    Trial,
    WorkerRow,
    baselines_of,
    is_sibling,
    parent_of,
    study_gone,
)

_STUDY_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")  # it names a folder, too
# A generation that is being evaluated is looked at again after a tenth of the time it has taken.
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 0.25
_UPKEEP = 1.0  # seconds between two looks for dead workers and lost claims
_CLEANING = 60.0  # seconds between two looks for what deleted studies have left

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A run, made or opened: see `open_run`."""

    storage: Storage
    study: Study
    baselines: Study
    parent: Study | None
    definition: Definition
    mode: Mode
    seed: int

    @property
    def studies(self) -> list[Study]:
        """The run's study and its siblings."""
        return [self.study, self.baselines, *([self.parent] if self.parent else [])]

    @property
    def is_over(self) -> bool:
        """Whether it was finished when it was opened, with as many generations as now."""
        stored = self.study.attributes
        generations = stored["definition"]["search"]["generations"]
        return bool(stored["finished"]) and generations == self.definition.search.generations


def open_run(
    storage_url: str,
    study_name: str,
    definition: Definition,
    mode: Mode,
    seed: int,
    artifacts_url: str | None = None,
) -> Run:
    """Makes the studies of a run, or opens them to go on.

    Args:
        storage_url: SQLAlchemy URL.
        study_name: Of the run.
        definition: What to search.
        mode: Scalar or pareto.
        seed: Of the search.
        artifacts_url: Where the parent's weights are kept, if there is a parent; None: where the
            run has kept them so far, at first beside an SQLite file.

    Raises:
        DefinitionError: Where the stored run differs in more than having fewer generations, where
            no network is within the budgets, or where a place for artifacts must be named.
        ArtifactsError: Where that place cannot be used.
    """
    if not _STUDY_NAME.fullmatch(study_name) or is_sibling(study_name):
        raise DefinitionError(
            f"got the study name {study_name!r}, expected letters, digits, '.', '_' and '-', not "
            "beginning with '.' and not ending in '.baselines', '.parent' or '.final'; choose "
            "another --study-name"
        )
    _make_search(definition, mode, seed)  # refuses an impossible budget before anything is stored
    storage = Storage(storage_url, create=True)
    metrics = SCALAR_METRICS if mode == "scalar" else PARETO_METRICS
    attributes = {
        "definition": definition.model_dump(mode="json"),
        "mode": mode,
        "seed": seed,
        "versions": _versions(),
        "finished": False,
    }
    place = {}
    if definition.parent is not None:
        known: Mapping[str, Any] = {}
        if study_name in storage.studies.names():
            known = storage.studies.open(study_name).attributes
            _check_unchanged(study_name, known, attributes)
        place = {
            "artifacts": agree_on_artifacts(known.get("artifacts"), artifacts_url, storage.url)
        }
    study = storage.studies.ensure(study_name, metrics, {**attributes, **place})
    baselines = storage.studies.ensure(baselines_of(study_name), PARETO_METRICS, attributes)
    parent = None
    if definition.parent is not None:
        parent = storage.studies.ensure(parent_of(study_name), PARETO_METRICS, attributes)
    run = Run(storage, study, baselines, parent, definition, mode, seed)
    for each in run.studies:
        _check_unchanged(each.name, each.attributes, attributes)
    if place and study.attributes["artifacts"] != place["artifacts"]:
        storage.studies.set_attributes(study, place)
    return run


class Driver:
    """Drives a run to its end.

    Args:
        run: Opened.
        workers: Started and stopped by the caller.
        show: Called with the progress whenever it may have changed.
        renew_lease: Of `driver_lease`.
    """

    def __init__(
        self,
        run: Run,
        workers: LocalWorkers,
        show: Callable[[Progress], None],
        renew_lease: Callable[[], None],
    ) -> None:
        self._run = run
        self._renew_lease = renew_lease
        self._workers = workers
        self._show = show
        self._network = run.definition.make_network()
        self._space = run.definition.make_space()
        self._known: dict[Genotype, Trial] = {}
        self._started = time.monotonic()
        self._leaders: list[Trial] = []
        self._failed = 0
        self._done_at_start = 0
        self._evaluations_last = 0
        self._last_upkeep = self._last_cleaning = float("-inf")
        self._total = run.definition.search.population * run.definition.search.generations
        self._alive = 0
        self._score = score_of(run.definition, run.mode, [])

    def drive(self) -> None:
        """Runs all generations that are left; returns at once where none are."""
        run, options = self._run, self._run.definition.search
        self._begin()
        self.make_parent()
        self._submit_references()
        stored = self._stored_generations()
        search = _make_search(run.definition, run.mode, run.seed)
        differs = False
        for generation in range(1, options.generations + 1):
            asked = search.ask()
            if generation in stored and set(stored[generation]) != set(asked):
                asked = stored[generation]
                if not differs:
                    log.warning(
                        "generation %d was stored with other proposals than are made now (another "
                        "version of pymoo or numpy?); going on from the stored ones",
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
            search.tell({g: self._known[g].attributes.get("accuracy") for g in asked})
        self._wait([], options.generations)
        if failed := run.storage.trials.counts(run.baselines)["fail"]:
            log.warning("%d reference networks failed; the workers' logs tell why", failed)
        for study in run.studies:
            run.storage.studies.set_attributes(study, {"finished": True})

    def make_parent(self) -> Trial | None:
        """Has the parent trained, if there is to be one and it is not trained yet.

        Returns:
            Its trial.

        Raises:
            ParentError: Where it failed.
        """
        run, parent = self._run, self._run.parent
        if parent is None:
            return None
        self._begin()
        top = self._space.uniform(self._space.ratios[-1])
        run.storage.trials.submit(parent, self._space, self._candidates([top], None))
        began = time.monotonic()
        while run.storage.trials.count_open([parent]) != [0]:
            if time.monotonic() - self._last_upkeep > _UPKEEP:
                self._upkeep()
                self._show(self._parent_progress())
            time.sleep(min(max((time.monotonic() - began) / 10, _FIRST_WAIT), _LONGEST_WAIT))
        trial = next(iter(run.storage.trials.read(parent)), None)
        if trial is None:
            raise study_gone(parent.name)
        if trial.state == "fail":
            raise ParentError(
                f"the parent of study {run.study.name!r} failed: "
                f"{trial.attributes['fail_reason']}; mend [parent] of the definition and give "
                "another --study-name"
            )
        run.storage.studies.set_attributes(parent, {"finished": True})
        return trial

    def _begin(self) -> None:
        """Tells workers that there is work again."""
        run = self._run
        values = {"definition": run.definition.model_dump(mode="json"), "finished": False}
        for study in run.studies:
            run.storage.studies.set_attributes(study, values)

    def _submit_references(self) -> None:
        """The uniform networks and the full-precision twin, in the sibling study."""
        run, space = self._run, self._space
        references = self._candidates([space.uniform(ratio) for ratio in space.ratios], None)
        if 1.0 in space.ratios:
            references.append(self._full_precision_twin())
        run.storage.trials.submit(run.baselines, space, references)

    def _stored_generations(self) -> dict[int, list[Genotype]]:
        stored: dict[int, list[Genotype]] = {}
        trials = self._run.storage.trials.read(self._run.study)
        for trial in trials:
            stored.setdefault(trial.attributes["generation"], []).append(trial.genotype)
        self._learn(trials)
        self._done_at_start = len(self._known)
        return stored

    def _submit(self, genotypes: Sequence[Genotype], generation: int) -> None:
        new = [g for g in genotypes if g not in self._known]
        if new:
            candidates = self._candidates(new, generation)
            self._run.storage.trials.submit(self._run.study, self._space, candidates)

    def _candidates(self, genotypes: Sequence[Genotype], generation: int | None) -> list[Candidate]:
        """Binary ones; to count the costs of all at once takes as long as those of one."""
        matrix = np.array(genotypes)
        costs = flops_cost(self._network, self._space).of(matrix)
        memories = memory_cost(self._network, self._space).of(matrix)
        return [
            _candidate(g, "binary", float(cost), int(memory), generation)
            for g, cost, memory in zip(genotypes, costs, memories, strict=True)
        ]

    def _full_precision_twin(self) -> Candidate:
        network, genotype = self._network, self._space.uniform(1.0)
        widths = self._space.widths_of(genotype, network.base_widths)
        cost, memory = flops(network, widths, "full"), memory_bits(network, widths, "full")
        return _candidate(genotype, "full", cost, memory, None)

    def _wait(self, genotypes: Sequence[Genotype], generation: int) -> None:
        """Until these genotypes are finished; without any, until the references are."""
        run, trials, began = self._run, self._run.storage.trials, time.monotonic()
        missing = [g for g in genotypes if g not in self._known]
        if genotypes and not missing:  # a replay
            return
        while True:
            open_trials, open_references = trials.count_open([run.study, run.baselines])
            over = not (open_trials if genotypes else open_references)
            upkeep_is_due = time.monotonic() - self._last_upkeep > _UPKEEP
            if (over or upkeep_is_due) and len(missing) > open_trials:
                self._learn(trials.read(run.study, missing))
                missing = [g for g in missing if g not in self._known]
            if over and missing:
                raise study_gone(run.study.name)
            done = len(self._known) + max(len(missing) - open_trials, 0)
            if upkeep_is_due:
                self._upkeep()
            self._show(self._progress(generation, done, open_references))
            if over:
                return
            wait = (time.monotonic() - began) / 10
            time.sleep(min(max(wait, _FIRST_WAIT), _LONGEST_WAIT))

    def _learn(self, trials: Sequence[Trial]) -> None:
        """Takes in what is finished of these."""
        run = self._run
        self._known.update((t.genotype, t) for t in trials if t.state in ("complete", "fail"))
        self._failed += sum(t.state == "fail" for t in trials)
        complete = [t for t in trials if t.state == "complete"]
        self._leaders = leaders(run.mode, [*self._leaders, *complete])
        self._score = score_of(run.definition, run.mode, self._leaders)

    def _upkeep(self) -> None:
        """Looks after the study, workers and claims."""
        self._last_upkeep = time.monotonic()
        if self._run.storage.studies.look(self._run.study) == "gone":
            raise study_gone(self._run.study.name)
        self._renew_lease()
        seen = self._run.storage.workers.read(self._run.study)
        evaluations = sum(w.evaluations for w in seen)
        self._workers.check(progressed=evaluations != self._evaluations_last)
        self._evaluations_last = evaluations
        if time.monotonic() - self._last_cleaning > _CLEANING:
            self._last_cleaning = time.monotonic()
            self._run.storage.trials.forget_deleted()
        lost = self._run.storage.claims.return_lost(_is_gone)
        if lost:
            log.warning("%d claims of lost workers go to others", lost)
        self._alive = sum(w.is_recent and not _is_gone(w) for w in seen)

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
            workers=self._alive,
            seconds_left=elapsed / here * (self._total - done) if here > 0 else None,
        )


def _candidate(
    genotype: Genotype, precision: Precision, cost: float, memory: int, generation: int | None
) -> Candidate:
    attributes: dict[str, Any] = {
        "genotype": list(genotype),
        "precision": precision,
        "flops": cost,
        "memory_bits": memory,
    }
    if generation is not None:
        attributes["generation"] = generation
    return Candidate(genotype, precision, cost, attributes)


def _make_search(definition: Definition, mode: Mode, seed: int) -> Search:
    network, space, options = definition.make_network(), definition.make_space(), definition.search
    cost = flops_cost(network, space)
    limits = (
        (cost, options.max_flops),
        (memory_cost(network, space), options.max_memory),
    )
    return Search(
        [len(space.ratios)] * len(space.genes),
        cost,
        mode=mode,
        population=options.population,
        seed=seed,
        reference_cost=definition.reference_flops(),
        trade_off=options.trade_off,
        budgets=[Budget(c, limit) for c, limit in limits if limit is not None],
    )


def _is_gone(worker: WorkerRow) -> bool:
    return is_gone(worker.host, worker.pid)


def _check_unchanged(study_name: str, known: Mapping[str, Any], attributes: dict[str, Any]) -> None:
    stored = {**_flat(known["definition"]), "mode": known["mode"], "seed": known["seed"]}
    given = {
        **_flat(attributes["definition"]),
        "mode": attributes["mode"],
        "seed": attributes["seed"],
    }
    for key in ("name", "description"):  # what a definition is called decides no result
        stored.pop(key), given.pop(key)
    changed = [k for k in sorted(stored | given) if stored.get(k) != given.get(k)]
    if (
        "search.generations" in changed
        and given["search.generations"] > stored["search.generations"]
    ):
        changed.remove("search.generations")
    if changed:
        raise DefinitionError(
            f"study {study_name!r} was begun with another definition: "
            + ", ".join(f"{k} was {stored.get(k)!r}, now {given.get(k)!r}" for k in changed)
            + "; only generations may be raised: restore it, or give another --study-name"
        )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _versions() -> dict[str, str]:
    packages = ("moo-bnas", "optuna", "pymoo", "numpy", "torch")
    return {"python": platform.python_version(), **{p: version(p) for p in packages}}
