"""The table of a report for a terminal, and what its repeats say beside uniform networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from moo_bnas.output import one_line
from moo_bnas.report.tables import (
    Row,
    believing,
    confirmed_as,
    confirming,
    costs_of,
    estimated,
    inheriting,
    rows,
)
from moo_bnas.results.naming import called
from moo_bnas.results.points import Point, Report
from moo_bnas.results.repeats import Confirmed

_Network = tuple[str, Point]


def as_table(report: Report) -> str:
    """The front, the references and the finally trained networks, one line each, for a terminal."""
    tested = {(f.ratios, f.precision): f.accuracy for f in report.finals}
    shown = _shown(report)
    costs = [c.title for c in costs_of(report)]
    kind, values = ("network", "ratios") if report.has_widths else ("candidate", "values")
    lines = [[kind, *_titles(report), *costs, "fitness", values]]
    for name, p in shown:
        accuracies = _accuracies(
            report,
            p.accuracy,
            tested.get((p.ratios, p.precision)),
            estimated(p),
            report.confirmed_as(p),
        )
        costs = _amounts(report, p.costs)
        lines.append([name, *accuracies, *costs, f"{p.fitness:.2f}", _shortly(report, p)])
    known = {(p.ratios, p.precision) for _, p in shown}
    for row in rows(report):
        if row.final_top1 is not None and (row.ratios, row.precision) not in known:
            accuracies = _accuracies(
                report, row.search_top1, row.final_top1, estimated(row), row.confirmed
            )
            costs = _amounts(report, row.costs)
            lines.append([row.model, *accuracies, *costs, "-", _shortly(report, row)])
    return "\n".join([_aligned(lines), *map(one_line, _remarks(report))])


def _shown(report: Report) -> list[_Network]:
    """The front, other searched networks that matter, and the references, with their names."""
    best, references = report.best, {p.ratios for p in report.references}
    confirmed = [p for p in report.search if report.confirmed_as(p) is not None]
    others = [p for p in confirmed if p.ratios not in references]
    searched = [*report.front, *([] if best is None else [best]), *others]
    named = {p.trial: (f"trial {p.trial}{_marked(report, p)}", p) for p in searched}
    return [
        *named.values(),
        *((called(report.space, p.ratios, p.precision, None), p) for p in report.references),
    ]


def _titles(report: Report) -> list[str]:
    """The columns of accuracies that a report has."""
    kinds = (("test", report.finals), ("estimate", report.is_estimated))
    return [
        "accuracy",
        *(title for title, there in kinds if there),
        *(["confirmed"] if report.confirmed else []),
    ]


def _accuracies(
    report: Report,
    searched: float | None,
    tested: float | None,
    estimate: str,
    confirmed: Confirmed | None,
) -> list[str]:
    """The cells under `_titles`."""
    cells = {
        "accuracy": _percent(searched),
        "test": _percent(tested),
        "estimate": f"{estimate} %" if estimate else "-",
        "confirmed": f"{confirmed_as(confirmed)} %" if confirmed else "-",
    }
    return [cells[title] for title in _titles(report)]


def _remarks(report: Report) -> list[str]:
    """What the reader of the terminal's table must know of its accuracies."""
    found = []
    if report.finals:
        found.append(
            "accuracy: on validation images, after training in the search; test: on test images, "
            "after final training"
        )
    if report.search:
        found.append(believing(report))
    if report.confirmed:
        found.append(confirming(report))
    if report.definition.parent is not None:
        began = inheriting(report)
        found.append(began[0].upper() + began[1:])
    return found


def _marked(report: Report, point: Point) -> str:
    marked = [m for m, q in (("knee", report.knee), ("best", report.best)) if point is q]
    return f" ({', '.join(marked)})" if marked else ""


def _amounts(report: Report, costs: Mapping[str, float]) -> list[str]:
    return [cost.amount(costs[cost.name]) for cost in costs_of(report)]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} %"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    last = len(widths) - 1

    def side(i: int) -> Callable[[str, int], str]:
        return str.ljust if i in (0, last) else str.rjust

    return "\n".join(
        "  ".join(side(i)(cell, widths[i]) for i, cell in enumerate(line)).rstrip()
        for line in lines
    )


def _shortly(report: Report, network: Point | Row) -> str:
    values = network.ratios
    if not (report.has_widths and report.space.is_uniform(values)):
        return " ".join(f"{v:g}" for v in values)
    bits = f", bits {network.bits[0]}" if network.bits else ""
    return f"all {values[0]:g}{bits}"
