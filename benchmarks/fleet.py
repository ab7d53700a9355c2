"""Simulates fleets of uneven workers: a barrier between generations beside a steady schedule.

    python benchmarks/fleet.py --table TABLE.csv.xz --workers 64 --evaluations 640 --seeds 3

A simulation of discrete events: a training run takes hours in proportion to the FLOPs of its
network and to the slowness of its worker (log-normal), some are stragglers that take several times
as long, and some fail half-way and are started again on the next free worker. The search is this
project's own (`moo_bnas.evolution`), its accuracies come from a table (see tables.py). With the
barrier a generation is proposed when all results of the one before are there; with the steady
schedule every result makes room for a new proposal.

- `utilisation`: busy hours of all workers as a share of the hours until the last evaluation starts,
  after which there is nothing left to do.
- `hours`: until all evaluations are done, in units of one training run of average FLOPs.
- `hours_to_hypervolume`: until the hypervolume that the barrier ends with is reached; the steady
  search may take half as many evaluations again, as its workers do not wait. `reached` is the share
  of the seeds in which it is.
- `share_of_barrier_hours`: the same as a share of the hours of the barrier's whole search.
- `hypervolume`: after `--evaluations`, as a share of the true front's (see search_quality.py).
"""

from __future__ import annotations

import argparse
import heapq
import json
import platform
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tables import TRADE_OFF, Table, Truth, read

from moo_bnas.evolution.algorithm import Search
from moo_bnas.evolution.cost import Cost
from moo_bnas.evolution.model_screen import ModelScreen
from moo_bnas.evolution.space import Genotype

Schedule = Literal["barrier", "steady"]


@dataclass(frozen=True)
class Outcome:
    """One simulated search.

    Attributes:
        rows: Rows of the table in the order their results came.
        hours: Hour at which each result came.
        utilisation: Share of the workers' hours that was spent training.
    """

    rows: list[int]
    hours: list[float]
    utilisation: float


def simulated(
    table: Table,
    truth: Truth,
    schedule: Schedule,
    evaluations: int,
    seed: int,
    options: argparse.Namespace,
) -> Outcome:
    """Simulates one search on a fleet."""
    rng = np.random.default_rng(seed)
    slowness = rng.lognormal(0.0, options.uneven, options.workers)
    search = _search(table, options.population if schedule == "steady" else options.workers, seed)
    waiting: deque[Genotype] = deque()
    running: dict[Genotype, None] = {}
    told: dict[Genotype, float | None] = {}  # of a generation, until all of it is there
    free = list(range(options.workers))
    events: list[tuple[float, int, Genotype, bool]] = []  # when, whose, what, whether it failed
    spans: list[tuple[float, float]] = []  # in which a worker is busy
    now = 0.0
    proposed = 0
    rows: list[int] = []
    hours: list[float] = []
    while len(rows) < evaluations:
        room = evaluations - proposed
        if room and schedule == "barrier" and not running and not waiting:
            asked = search.ask()[:room]
        elif room and schedule == "steady" and len(free) > len(waiting):
            number = min(room, len(free) - len(waiting))
            asked = search.ask(number, running=[*running, *waiting])
        else:
            asked = []
        proposed += len(asked)
        waiting.extend(asked)
        while waiting and free:
            worker, genotype = free.pop(0), waiting.popleft()
            cost = float(table.costs[table.row(genotype)] / table.costs.mean())
            straggles, failed = rng.random(2) < (options.stragglers, options.failures)
            took = slowness[worker] * cost * (options.slow if straggles else 1.0)
            took *= 0.5 if failed else 1.0
            spans.append((now, now + took))
            running[genotype] = None
            heapq.heappush(events, (now + took, worker, genotype, failed))
        if not events:
            break  # the space is exhausted
        now, worker, genotype, failed = heapq.heappop(events)
        free.append(worker)
        del running[genotype]
        if failed:
            waiting.appendleft(genotype)
            continue
        rows.append(int(table.row(genotype)))
        hours.append(now)
        told[genotype] = float(truth.accuracies[rows[-1]])
        if schedule == "steady" or not (running or waiting):
            search.tell(told)
            told = {}
    last = max(start for start, _ in spans)
    busy = sum(min(end, last) - start for start, end in spans)
    return Outcome(rows, hours, busy / (options.workers * last) if last else 1.0)


def _search(table: Table, population: int, seed: int) -> Search:
    return Search(
        table.choices,
        Cost("flops", "FLOPs", lambda genotypes: table.costs[table.row(genotypes)]),
        mode="pareto",
        population=population,
        seed=seed,
        reference_cost=float(table.costs.max()),
        trade_off=TRADE_OFF,
        screen=ModelScreen(table.choices),
    )


def main() -> None:
    """Simulates and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, required=True, help="CSV file, possibly .xz")
    parser.add_argument("--workers", type=int, default=64, help="1 to 1,000")
    parser.add_argument("--evaluations", type=int, default=640)
    parser.add_argument(
        "--population", type=int, default=16, help="of the steady search; the barrier's: --workers"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--uneven", type=float, default=0.2, help="sigma of the workers' slowness")
    parser.add_argument("--stragglers", type=float, default=0.02, help="share of slow runs")
    parser.add_argument("--slow", type=float, default=4.0, help="times as long as others they take")
    parser.add_argument("--failures", type=float, default=0.01, help="share of failed runs")
    parser.add_argument("--processes", type=int, default=1, help="seeds simulated side by side")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    values: dict[tuple[str, str], list[float]] = {}
    with ProcessPoolExecutor(options.processes) as pool:
        for scores in pool.map(partial(_compared, options), range(options.seeds)):
            for key, value in scores.items():
                values.setdefault(key, []).append(value)
    rows = [
        {
            "system": system,
            "metric": metric,
            "value": float(np.mean(found)),
            "spread": float(np.std(found, ddof=1) / len(found) ** 0.5) if len(found) > 1 else None,
            "seeds": len(found),
        }
        for (system, metric), found in values.items()
    ]
    if options.json:
        settings: dict[str, Any] = {
            k: v for k, v in vars(options).items() if k not in ("json", "processes")
        }
        settings["table"] = options.table.name.split(".")[0]
        machine = {
            "cpu": platform.processor() or platform.machine(),
            "python": platform.python_version(),
        }
        document = {"benchmark": "fleet", "settings": settings, "machine": machine, "rows": rows}
        print(json.dumps(document, indent=1))
        return
    for row in rows:
        spread = "" if row["spread"] is None else f"+- {row['spread']:.4f}"
        print(f"{row['system']:<20} {row['metric']:<26} {row['value']:>9.4f} {spread}")


def _compared(options: argparse.Namespace, seed: int) -> dict[tuple[str, str], float]:
    """The scores of both schedules with one seed, by system and metric."""
    table = read(options.table)
    truth, number = Truth(table.accuracies["acc"], table.costs), options.evaluations
    barrier = simulated(table, truth, "barrier", number, seed, options)
    goal = truth.hypervolume(np.array(barrier.rows))
    steady = simulated(table, truth, "steady", number + number // 2, seed, options)
    found = {}
    for name, done in (("barrier", barrier), ("steady", steady)):
        hour = _reached(truth, done, goal)
        scores = {
            "utilisation": done.utilisation,
            "hours": done.hours[:number][-1],
            "hypervolume": truth.hypervolume(np.array(done.rows[:number])),
            "reached": float(hour is not None),
        }
        if hour is not None:
            scores["hours_to_hypervolume"] = hour
            scores["share_of_barrier_hours"] = hour / barrier.hours[-1]
        found.update({(f"moo-bnas {name}", metric): value for metric, value in scores.items()})
    return found


def _reached(truth: Truth, done: Outcome, goal: float) -> float | None:
    """The hour at which a hypervolume was reached."""
    for count, hour in enumerate(done.hours, 1):
        if truth.hypervolume(np.array(done.rows[:count])) >= goal - 1e-12:
            return hour
    return None


if __name__ == "__main__":
    main()
