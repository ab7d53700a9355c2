"""Runs beside each other: what each was told, and what came of it. Pure data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.scoring import fitness, hypervolume
from moo_bnas.results.points import Point, Report
from moo_bnas.results.seeds import joined


@dataclass(frozen=True)
class SideBySide:
    """Runs that can be compared: of one network, one space and one data set.

    Attributes:
        studies: Names of the runs.
        differences: Keys in which their definitions, modes or seeds differ, with a value for each
            run; None where it has none.
        results: What came of them, by title, with a text for each run.
        joint: How many networks of the front of all runs together are from each run. A network
            that several runs found counts for the first of them.
    """

    studies: tuple[str, ...]
    differences: dict[str, tuple[Any, ...]]
    results: dict[str, tuple[str, ...]]
    joint: tuple[int, ...]


def side_by_side(reports: Sequence[Report]) -> SideBySide:
    """Compares runs, by the measured accuracies of their candidates.

    Args:
        reports: A report of each run, of which each has finished candidates.

    Raises:
        DefinitionError: If they search other networks or spaces, or on other data.
    """
    first, *others = reports
    for other in others:
        for key in ("network", "space", "data"):
            if getattr(first.definition, key) != getattr(other.definition, key):
                raise DefinitionError(
                    f"{first.study} and {other.study} differ in [{key}], expected one network, one "
                    "space and one data set: accuracies and costs of others mean something else; "
                    "compare runs that share them"
                )
    told = [_told(report) for report in reports]
    keys = dict.fromkeys(key for each in told for key in each)
    values = {key: tuple(each.get(key) for each in told) for key in keys}
    whose = [study for study, _ in joined(reports).front]
    results = [_results(report, first) for report in reports]
    titles = dict.fromkeys(title for each in results for title in each)
    return SideBySide(
        studies=tuple(r.study for r in reports),
        differences={k: v for k, v in values.items() if any(each != v[0] for each in v)},
        results={title: tuple(each.get(title, "-") for each in results) for title in titles},
        joint=tuple(whose.count(r.study) for r in reports),
    )


def _told(report: Report) -> dict[str, Any]:
    told: dict[str, Any] = {"mode": report.mode, "seed": report.making.seed}
    for section, options in report.definition.keys().items():
        if isinstance(options, dict):
            told |= {f"{section}.{key}": value for key, value in options.items()}
        elif section not in ("name", "description"):
            told[section] = options
    return told


def _results(report: Report, first: Report) -> dict[str, str]:
    """Scores by the trade-off of the first run, so that they mean the same for all."""
    points, definition = report.search, first.definition
    accuracies, costs = [p.accuracy for p in points], [p.cost for p in points]
    reference, trade_off = definition.reference_cost(), definition.search.trade_off
    fittest = max(points, key=lambda p: fitness(p.accuracy, p.cost, reference, trade_off))
    best = fitness(fittest.accuracy, fittest.cost, reference, trade_off)
    found = {
        "evaluations": str(len(points)),
        "hypervolume": f"{hypervolume(accuracies, costs, *definition.cost_range()):.4f}",
        "best fitness": f"{best:.2f}",
        "fittest": _shortly(report, fittest),
        "most accurate": _shortly(report, max(points, key=lambda p: (p.accuracy, -p.cost))),
    }
    for rival in first.references:
        if rival.precision == "binary":
            within = [p for p in points if p.cost <= rival.cost]
            if within:
                leader = max(within, key=lambda p: (p.accuracy, -p.cost))
                found[f"within uniform {rival.ratios[0]:g}x"] = _shortly(report, leader)
    return found


def _shortly(report: Report, point: Point) -> str:
    return f"{point.accuracy:.2f} %, {report.cost.amount(point.cost)}"
