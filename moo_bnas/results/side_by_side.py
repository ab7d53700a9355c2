"""Runs beside each other: what each was told, and what came of it. Pure data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from moo_bnas.errors import DefinitionError, StorageError
from moo_bnas.evolution.scoring import fitness, front, hypervolume
from moo_bnas.networks.latency import LATENCY
from moo_bnas.overrides import flat_keys_of
from moo_bnas.results.naming import sized
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
        joint: How many networks of the front of all runs together, by the first run's cost, are
            from each run. A network that several runs found counts for the first of them.
    """

    studies: tuple[str, ...]
    differences: dict[str, tuple[Any, ...]]
    results: dict[str, tuple[str, ...]]
    joint: tuple[int, ...]


def side_by_side(reports: Sequence[Report]) -> SideBySide:
    """Compares runs, by the measured accuracies of their candidates.

    Where they weigh accuracy against different costs, all of them are compared by each.

    Args:
        reports: A report of each run.

    Raises:
        DefinitionError: If they search other networks or spaces, or on other data.
        StorageError: If one has no finished candidate.
    """
    first, *others = reports
    for report in reports:
        if not report.search:
            raise StorageError(
                f"the run {report.study!r} has no finished candidate to compare; see `moo-bnas "
                "status`"
            )
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
    results: list[dict[str, str]] = [{} for _ in reports]
    joints: list[tuple[int, ...]] = []
    leaders: dict[str, Report] = {}  # the first run by each cost
    for report in reports:
        leaders.setdefault(report.cost.name, report)
    for leader in leaders.values():
        by_leader = [weighed(report, leader) for report in reports]
        whose = [study for study, _ in joined(by_leader).front]
        joints.append(tuple(whose.count(r.study) for r in reports))
        by = f" by {leader.cost.title}" if len(leaders) > 1 else ""
        for own, report, count in zip(results, by_leader, joints[-1], strict=True):
            own |= {f"{k}{by}": v for k, v in _results(report, leader, first).items()}
            own[f"in the joint front{by}"] = str(count)
    titles = dict.fromkeys(title for each in results for title in each)
    return SideBySide(
        studies=tuple(r.study for r in reports),
        differences={k: v for k, v in values.items() if any(each != v[0] for each in v)},
        results={title: tuple(each.get(title, "-") for each in results) for title in titles},
        joint=joints[0],
    )


def as_text(value: object) -> str:
    """A value of `SideBySide.differences` for people."""
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value)


def _told(report: Report) -> dict[str, Any]:
    own = {"mode": report.mode, "seed": report.making.seed}
    return own | flat_keys_of(report.definition)


def weighed(report: Report, leader: Report) -> Report:
    """The report as if its search had weighed accuracy against the cost of another one.

    Args:
        report: Report to change.
        leader: Report of the run whose cost counts.
    """
    definition = leader.definition
    same_table = report.definition.latency == definition.latency
    if report.cost.name == leader.cost.name and (report.cost.name != LATENCY or same_table):
        return report
    subject, name = definition.subject(), leader.cost.name
    points = [replace(p, cost=subject.costs_of(p.ratios, p.precision)[name]) for p in report.points]
    searched = [i for i, p in enumerate(points) if p.kind == "search"]
    on = front([points[i].believed for i in searched], [points[i].cost for i in searched])
    best = {searched[i] for i in on}
    marked = tuple(replace(p, on_front=i in best) for i, p in enumerate(points))
    return replace(report, definition=definition, points=marked)


def _results(report: Report, leader: Report, first: Report) -> dict[str, str]:
    """Scores by one cost and one trade-off, so that they mean the same for all.

    Args:
        report: Run, weighed by the cost of `leader`.
        leader: Run that weighs accuracy against this cost.
        first: Run whose trade-off and references count.
    """
    points, definition = report.search, leader.definition
    accuracies, costs = [p.accuracy for p in points], [p.cost for p in points]
    reference, trade_off = definition.reference_cost(), first.definition.search.trade_off
    fittest = max(points, key=lambda p: fitness(p.accuracy, p.cost, reference, trade_off))
    best = fitness(fittest.accuracy, fittest.cost, reference, trade_off)
    found = {
        "evaluations": str(len(points)),
        "hypervolume": f"{hypervolume(accuracies, costs, *definition.cost_range()):.4f}",
        "best fitness": f"{best:.2f}",
        "fittest": _shortly(report, fittest),
        "most accurate": _shortly(report, max(points, key=lambda p: (p.accuracy, -p.cost))),
    }
    for rival in weighed(first, leader).references:
        if rival.precision == "binary":
            within = [p for p in points if p.cost <= rival.cost]
            if within:
                best_within = max(within, key=lambda p: (p.accuracy, -p.cost))
                found[f"within uniform {sized(first.space, rival.ratios)}"] = _shortly(
                    report, best_within
                )
    return found


def _shortly(report: Report, point: Point) -> str:
    return f"{point.accuracy:.2f} %, {report.cost.amount(point.cost)}"
