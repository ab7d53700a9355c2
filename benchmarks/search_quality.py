"""Measures what searches find in an enumerated table, for equal numbers of evaluations.

    python benchmarks/search_quality.py --table TABLE.csv.xz --seeds 20 --budget 300
    python benchmarks/search_quality.py --table TABLE.csv.xz --seeds 20 --budget 500 \\
        --signal acc1 --truth acc23

This project's search, through its public Python door, runs beside random search, Optuna's samplers,
pymoo's algorithms and, in Pareto mode and where botorch is installed, BoTorch's qLogNEHVI (see
search_peers.py). Budgets are distinct evaluations: what a peer asks
for again is answered from memory and counted in `repeats`. All metrics are means over seeds, with
their standard error as spread.

- `hypervolume@B`: area that the front handed back dominates, by its true accuracies, as a share of
  the true front's; `regret@B`: how far Eq. 4 of the network handed back is below the best one's, in
  points, with `acc - 4 * flops / max flops`. What is handed back is chosen by the measured values.
- `smoothed_hypervolume@B`, `smoothed_regret@B`: the same, with boosted trees over all training runs
  of the table as the truth, since a part of the table's front is luck of its training runs.
- `front_share@B`: share of the true front that was evaluated.
- `estimated_*@B`, where the signal is not the truth: what is handed back is chosen by the estimates
  that a report has. `optimism@B` is how far the front's measured (or
  estimated) accuracies are above the true ones, in points.
- `hypervolume@raw1600`, `regret@raw1600`: of fast peers after 1,600 evaluations with the repeated
  ones. `evaluations_to_hypervolume_of_NAME`: evaluations of this project's search until it is as
  good as the mean of that peer, over the seeds that get there within the budget;
  `evaluations_reached_hypervolume_of_NAME` is their share.
- `repeats`: repeated evaluations until the budget was reached; a peer that finds nothing new is
  stopped after 1,600. `ms_per_evaluation`: process time of the optimizer per evaluation.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import optuna
from search_peers import BOTORCH, RAW, SLOW, SYSTEMS, BudgetSpentError, Memory
from tables import Table, Truth, read

from moo_bnas.evolution.candidates import tuples
from moo_bnas.evolution.estimates import estimates
from moo_bnas.evolution.scoring import Mode, front
from moo_bnas.evolution.space import FloatArray, IntArray

OURS = "moo-bnas"
METRICS: dict[Mode, str] = {"pareto": "hypervolume", "scalar": "regret"}


@dataclass(frozen=True)
class Setting:
    """What is the same for all systems and seeds.

    Attributes:
        table: Table that is searched.
        signal: Accuracies that a search sees.
        truth: Accuracies that score what it hands back.
        smoothed: Smoothed accuracies of the table.
        estimate: Whether to hand back by a model's estimate too.
        budgets: Distinct evaluations at which results are scored.
    """

    table: Table
    signal: FloatArray
    truth: Truth
    smoothed: Truth
    estimate: bool
    budgets: list[int]


def main() -> None:
    """Measures and prints."""
    options = parsed()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = read(options.table)
    truth = Truth(table.accuracies[options.truth], table.costs)
    setting = Setting(
        table,
        table.accuracies[options.signal],
        truth,
        Truth(table.smoothed(), table.costs),
        options.signal != options.truth,
        sorted({b for b in (100, 200, 300) if b < options.budget} | {options.budget}),
    )
    values: dict[tuple[str, str], list[float]] = {}
    for mode in options.modes:
        for key, found in measured(setting, mode, options).items():
            values.setdefault(key, []).extend(found)
    rows = [_row(system, metric, found) for (system, metric), found in values.items()]
    if options.json:
        settings = {k: v for k, v in vars(options).items() if k not in ("json", "table")}
        settings["table"] = options.table.name.split(".")[0]
        machine = {
            "cpu": platform.processor() or platform.machine(),
            "python": platform.python_version(),
        }
        document = {"benchmark": "search_quality", "settings": settings, "machine": machine}
        print(json.dumps({**document, "rows": rows}, indent=1))
        return
    for row in rows:
        spread = "" if row["spread"] is None else f"+- {row['spread']:.4f}"
        print(f"{row['system']:<26} {row['metric']:<42} {row['value']:>10.4f} {spread}")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, required=True, help="CSV file, possibly .xz")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--slow-seeds", type=int, default=2, help="seeds of " + ", ".join(SLOW))
    parser.add_argument("--budget", type=int, default=300, help="distinct evaluations")
    parser.add_argument(
        "--raw", type=int, default=1600, help="evaluations of fast peers, repeated ones included"
    )
    parser.add_argument("--signal", default="acc", help="column that a search sees")
    parser.add_argument("--truth", default="acc", help="column that scores its results")
    parser.add_argument("--modes", nargs="+", choices=get_args(Mode), default=list(get_args(Mode)))
    parser.add_argument(
        "--systems", nargs="+", choices=list(SYSTEMS), metavar="SYSTEM", help="default: all"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    installed = find_spec("botorch") is not None
    if options.systems is None:
        options.systems = [name for name in SYSTEMS if installed or name != BOTORCH]
    elif BOTORCH in options.systems and not installed:
        parser.error(f"{BOTORCH} needs the package botorch: pip install botorch")
    return options


def measured(
    setting: Setting, mode: Mode, options: argparse.Namespace
) -> dict[tuple[str, str], list[float]]:
    """Runs all systems in one mode; values of all seeds by system and metric."""
    values: dict[tuple[str, str], list[float]] = {}
    ours: list[IntArray] = []
    at_raw = f"{METRICS[mode]}@raw{options.raw}"
    for name in options.systems:
        if name == BOTORCH and mode != "pareto":
            continue
        seeds = min(options.seeds, options.slow_seeds) if name in SLOW else options.seeds
        raw = options.raw if name in RAW else 0
        for seed in range(seeds):
            memory = Memory(setting.table, setting.signal, options.budget, raw)
            began = time.process_time()
            with contextlib.suppress(BudgetSpentError):
                SYSTEMS[name](memory, mode, seed)
            took = (time.process_time() - began) * 1000 / memory.raw
            evaluated = np.array(list(memory.rows))
            scores = scored(setting, mode, evaluated)
            if memory.distinct_at is not None:
                scores[at_raw] = _handed_back(setting, mode, evaluated[: memory.distinct_at])
            scores |= {"repeats": memory.repeats, "ms_per_evaluation": took}
            for metric, value in scores.items():
                values.setdefault((name, metric), []).append(value)
            if name == OURS:
                ours.append(evaluated)
            print(f"{mode}, {name}, seed {seed}: {took:.1f} ms per evaluation", file=sys.stderr)
    for name in options.systems:
        if ours and (name, at_raw) in values:
            goal = float(np.mean(values[name, at_raw]))
            needed = [n for each in ours if (n := _until(setting, mode, each, goal))]
            label = f"{METRICS[mode]}_of_{name.replace(', ', '_').replace(' ', '_')}"
            if needed:
                values[OURS, f"evaluations_to_{label}"] = needed
            values[OURS, f"evaluations_reached_{label}"] = [len(needed) / len(ours)]
    return values


def scored(setting: Setting, mode: Mode, evaluated: IntArray) -> dict[str, float]:
    """Scores of the rows that a search evaluated, in order, by metric."""
    scores: dict[str, float] = {}
    metric = METRICS[mode]
    for budget in setting.budgets:
        rows = evaluated[:budget]
        scores[f"{metric}@{budget}"] = _handed_back(setting, mode, rows)
        scores[f"smoothed_{metric}@{budget}"] = _score(
            setting.smoothed, mode, rows, setting.signal[rows]
        )
        if mode == "pareto":
            scores[f"front_share@{budget}"] = setting.truth.front_share(rows)
        if setting.estimate:
            scores |= _estimated(setting, mode, rows, metric, budget)
    return scores


def _estimated(
    setting: Setting, mode: Mode, rows: IntArray, metric: str, budget: int
) -> dict[str, float]:
    genotypes = tuples(setting.table.genotypes()[rows])
    measured = list(zip(genotypes, setting.signal[rows].tolist(), strict=True))
    found = estimates(setting.table.choices, measured, genotypes)  # None: too few
    believed = setting.signal[rows] if found is None else np.array([e.accuracy for e in found])
    scores = {f"estimated_{metric}@{budget}": _score(setting.truth, mode, rows, believed)}
    if mode == "pareto":
        for prefix, values in (("", setting.signal[rows]), ("estimated_", believed)):
            on = front(values, setting.table.costs[rows])
            above = values[on] - setting.truth.accuracies[rows[on]]
            scores[f"{prefix}optimism@{budget}"] = float(above.mean())
    return scores


def _handed_back(setting: Setting, mode: Mode, rows: IntArray) -> float:
    return _score(setting.truth, mode, rows, setting.signal[rows])


def _score(truth: Truth, mode: Mode, rows: IntArray, values: FloatArray) -> float:
    """The true score of what is handed back by the given accuracies of some rows."""
    if mode == "pareto":
        return truth.hypervolume(rows[front(values, truth.costs[rows])])
    return truth.regret(int(rows[np.argmax(truth.fitness(values, rows))]))


def _until(setting: Setting, mode: Mode, evaluated: IntArray, goal: float) -> int | None:
    """Evaluations of one search until it is as good as a goal."""
    for count in range(1, len(evaluated) + 1):
        score = _handed_back(setting, mode, evaluated[:count])
        if score >= goal - 1e-12 if mode == "pareto" else score <= goal + 1e-12:
            return count
    return None


def _row(system: str, metric: str, values: list[float]) -> dict[str, Any]:
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return {
        "system": system,
        "metric": metric,
        "value": float(np.mean(values)),
        "spread": error,
        "seeds": len(values),
    }


if __name__ == "__main__":
    main()
