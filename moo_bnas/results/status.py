"""How far a run is, read from the storage alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import mean
from typing import Any

from moo_bnas.definition import stored_definition
from moo_bnas.output import one_line
from moo_bnas.processes import has_exited
from moo_bnas.results.estimates import believed, measured_elsewhere
from moo_bnas.results.score import score_of
from moo_bnas.storage import (
    ENQUEUED,
    TRAINING,
    LeaseRow,
    Storage,
    Study,
    WorkerRow,
    confirm_of,
    final_of,
    parent_of,
    training_of,
)
from moo_bnas.units import count, duration


@dataclass(frozen=True)
class SeenWorker:
    """A worker that joined.

    Attributes:
        row: The worker as stored.
        images_per_second: How fast it trained on average; None if it has not finished anything.
    """

    row: WorkerRow
    images_per_second: float | None


@dataclass(frozen=True)
class Status:
    """What `moo-bnas status` shows.

    Attributes:
        study: Name of the run's study.
        mode: `scalar` or `pareto`.
        finished: Whether the search is finished.
        counts: Number of search trials by state, and of those that somebody enqueued with Optuna.
        enqueued: Number of trials that somebody enqueued with Optuna and no driver refused yet.
        generation: The latest generation that was submitted.
        generations: Number of generations of the search.
        evaluations: Number of candidates that are complete or failed.
        total: Number of candidates of the whole search.
        score_name: Name of the score: `best fitness` or `hypervolume`, by mode.
        best: That score; None before any candidate is finished.
        best_estimate: The score of the estimated accuracies in place of the measured ones; None
            while too few candidates are finished to estimate anything.
        driver: The driver at work; None if there is none, or once the search is finished.
        workers: The workers at work.
        workers_silent: Number of workers that sent no heartbeat for long.
        workers_gone: Number of workers that have left or died.
        seconds_left: Estimate of the time that the search still takes; None if it cannot be made,
            or nobody drives the search.
        parent: How far the training run of the parent is; None if the run has no parent.
        confirm: Number of repeats that confirm networks by state; None if there are none.
        final: Number of final trainings by state; None if there are none.
        final_epochs: Epochs done of each final training that is running.
        failures: Number of failed search trials, and of refused enqueued ones, by reason.
    """

    study: str
    mode: str
    finished: bool
    counts: dict[str, int]
    enqueued: int
    generation: int
    generations: int
    evaluations: int
    total: int
    score_name: str
    best: float | None
    best_estimate: float | None
    driver: LeaseRow | None
    workers: list[SeenWorker]
    workers_silent: int
    workers_gone: int
    seconds_left: float | None
    parent: str | None
    confirm: dict[str, int] | None
    final: dict[str, int] | None
    final_epochs: list[int]
    failures: dict[str, int]

    def as_document(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "study": self.study,
            "mode": self.mode,
            "finished": self.finished,
            "counts": self.counts,
            "enqueued": self.enqueued,
            "generation": self.generation,
            "generations": self.generations,
            "evaluations": self.evaluations,
            "total": self.total,
            "best": self.best,
            "best_estimate": self.best_estimate,
            "driver": self.driver
            and {
                "host": _name(self.driver.host),
                "pid": self.driver.pid,
                "since_seconds": self.driver.held_seconds,
            },
            "workers": [
                {
                    "worker": w.row.worker,
                    "host": _name(w.row.host),
                    "pid": w.row.pid,
                    "device": w.row.device,
                    "idle_seconds": w.row.idle_seconds,
                    "evaluations": w.row.evaluations,
                    "images_per_second": w.images_per_second,
                }
                for w in self.workers
            ],
            "workers_silent": self.workers_silent,
            "workers_gone": self.workers_gone,
            "seconds_left": self.seconds_left,
            "parent": self.parent,
            "confirm": self.confirm,
            "final": self.final,
            "final_epochs": self.final_epochs,
            "failures": self.failures,
        }

    def as_text(self) -> str:
        """What people read."""
        counts = ", ".join(f"{n} {state}" for state, n in self.counts.items())
        best = "none yet" if self.best is None else f"{self.best:.4f}"
        if self.best_estimate is not None:
            best = f"{self.best_estimate:.4f} estimated, {self.best:.4f} measured"
        early = self.finished and self.generation < self.generations
        lines = [
            f"{self.study} ({self.mode}): {'finished' if self.finished else 'not finished'}",
            f"generation   {self.generation} of {self.generations}{', and ended there' * early}",
            f"evaluations  {self.evaluations} of {self.total}: {counts}"
            + f" ({self.enqueued} enqueued with Optuna: the driver refuses it)"
            * bool(self.enqueued),
            f"{self.score_name:<12} {best}",
        ]
        if self.parent is not None:
            lines.insert(1, f"parent       {self.parent.removeprefix('parent ')}")
        if self.confirm is not None:
            counts = ", ".join(f"{n} {state}" for state, n in self.confirm.items())
            lines.append(f"confirm      {counts}")
        if self.final is not None:
            counts = ", ".join(f"{n} {state}" for state, n in self.final.items())
            epochs = ", ".join(map(str, self.final_epochs))
            lines.append(f"final        {counts}" + f" (after epoch {epochs})" * bool(epochs))
        if self.seconds_left:
            lines.append(f"time left    about {duration(self.seconds_left)}")
        if self.driver is not None:
            lines.append(
                f"driver       process {self.driver.pid} on {_name(self.driver.host)}, since "
                f"{duration(self.driver.held_seconds)}"
            )
        elif not self.finished or any((self.confirm or {}).get(s) for s in ("waiting", "running")):
            lines.append("driver       none: resume with the same moo-bnas run")
        silent = f", {self.workers_silent} silent" if self.workers_silent else ""
        gone = f", {self.workers_gone} have left" if self.workers_gone else ""
        lines.append(f"workers      {len(self.workers)} at work{silent}{gone}")
        if self.workers:
            lines.append(
                f"  {'host':<20} {'pid':>8}  {'device':<24} {'last heard of':>13} "
                f"{'evaluations':>11} {'images/s':>9}"
            )
        for w in self.workers:
            speed = "-" if w.images_per_second is None else f"{w.images_per_second:,.0f}"
            lines.append(
                f"  {_name(w.row.host):<20} {w.row.pid:>8}  {w.row.device:<24} "
                f"{duration(w.row.idle_seconds) + ' ago':>13} {w.row.evaluations:>11} {speed:>9}"
            )
        lines += [f"failed {times}x: {reason}" for reason, times in self.failures.items()]
        return "\n".join(map(one_line, lines))


def _name(host: str) -> str:
    return host.partition("/")[0]


def read_status(storage: Storage, study_name: str) -> Status:
    """Reads the status of a run."""
    study = storage.studies.open(study_name)
    definition = stored_definition(study.attributes["definition"])
    trials = storage.trials.read(study)
    complete = [t for t in trials if t.state == "complete"]
    failures = Counter(t.failure or "unknown" for t in trials if t.state == "fail")
    foreign = storage.trials.enqueued(study)
    finished = study.attributes["finished"]
    confirm = storage.studies.find(confirm_of(study_name))
    confirms = confirm is not None and not confirm.attributes["finished"]
    driver = storage.leases.read(study) if confirms or not finished else None
    if driver is not None and (not driver.is_recent or has_exited(driver.host, driver.pid)):
        driver = None
    final = storage.studies.find(final_of(study_name))
    over = finished and not confirms and (final is None or final.attributes["finished"])
    joined = storage.workers.read(study)
    missed = [w for w in joined if not (over or w.has_left or has_exited(w.host, w.pid))]
    recent = [w for w in missed if w.is_recent]
    speeds = defaultdict[str | None, list[float]](list)
    for found in (t.result for t in complete):
        # Evaluators of other packages count no images.
        if found.copied_from is None and found.images_per_second:
            speeds[found.worker].append(found.images_per_second)
    total = definition.search.candidates + sum(t.generation == 0 for t in trials)
    mode = study.attributes["mode"]
    score_name, best = score_of(definition, mode, complete)
    estimates = believed(definition, [*complete, *measured_elsewhere(storage, study_name)])
    by_estimate = score_of(definition, mode, complete, estimates)[1] if estimates else None
    seconds = [t.result.train_seconds for t in complete]
    left = None
    if seconds and recent and driver is not None:
        undone = max(total - len(complete) - sum(failures.values()), 0)
        left = sum(seconds) / len(seconds) * undone / len(recent)
    return Status(
        study=study_name,
        mode=mode,
        finished=finished,
        counts={
            state: number + foreign.get(state, 0)
            for state, number in storage.trials.counts(study).items()
        },
        enqueued=foreign["waiting"],
        generation=max((t.generation or 0 for t in trials), default=0),
        generations=definition.search.generations,
        evaluations=len(complete) + sum(failures.values()),
        total=total,
        score_name=score_name,
        best=best,
        best_estimate=by_estimate,
        driver=driver,
        workers=[
            SeenWorker(w, mean(speeds[w.worker]) if w.worker in speeds else None) for w in recent
        ],
        workers_silent=len(missed) - len(recent),
        workers_gone=len(joined) - len(missed),
        seconds_left=left,
        parent=None if definition.parent is None else parent_progress(storage, study),
        confirm=None if confirm is None else storage.trials.counts(confirm),
        final=None if final is None else storage.trials.counts(final),
        final_epochs=[] if final is None else _epochs(storage, final),
        failures=dict((failures + Counter({ENQUEUED: foreign["fail"]})).most_common()),
    )


def parent_progress(storage: Storage, study: Study) -> str:
    """How far the training run of a run's parent is, in words."""
    recipe = stored_definition(study.attributes["definition"]).parent
    parent = storage.studies.open(parent_of(study.name))
    if parent.attributes["finished"]:
        return "parent trained"
    epochs = (parent.attributes.get(TRAINING) or {}).get("progress", 0)
    return f"parent {epochs} of {count(recipe.epochs if recipe else 0, 'epoch')}"


def _epochs(storage: Storage, final: Study) -> list[int]:
    """Epochs done of each final training that is running."""
    running = [t for t in storage.trials.read(final) if t.state == "running"]
    known = [final.attributes.get(training_of(t.number)) or {} for t in running]
    return [len((k.get("progress") or {}).get("losses", [])) for k in known]
