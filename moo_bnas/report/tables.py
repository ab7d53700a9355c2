"""The tables of a report: chosen networks, as rows and as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from moo_bnas.evaluation import Precision
from moo_bnas.networks.cost import LayerCost
from moo_bnas.results.points import Point, Report, called
from moo_bnas.results.repeats import Confirmed

MISSING = "\N{EN DASH}"


@dataclass(frozen=True)
class Row:
    """One network of the table.

    Attributes:
        model: Name of the network.
        precision: `binary` or `full`.
        ratios: Expansion ratio of each gene.
        widths: Channels of each gene.
        costs: All costs of the network, by name.
        cost: The cost that the search weighs accuracy against.
        speedup: `cost` of the full-precision 1x network over `cost` of this network.
        search_top1: Top-1 accuracy in percent on the validation images, after training in the
            search; None if there is none yet.
        confirmed: What repeats of that training run with other seeds say; None without repeats.
        final_top1: Top-1 accuracy in percent on the test images, after final training; None if
            there is none yet.
        final_top5: Top-5 accuracy in percent on the test images, after final training; None if
            there is none yet.
    """

    model: str
    precision: Precision
    ratios: tuple[float, ...]
    widths: tuple[int, ...]
    costs: Mapping[str, float]
    cost: float
    speedup: float
    search_top1: float | None
    confirmed: Confirmed | None
    final_top1: float | None
    final_top5: float | None

    @property
    def is_uniform(self) -> bool:
        """Whether all genes have one ratio."""
        return len(set(self.ratios)) == 1


def rows(report: Report) -> list[Row]:
    """Full precision, the uniform networks of the space, then the searched ones by cost.

    Searched networks are listed if they are marked (see `marks`), confirmed or finally trained.
    """
    network, space = report.definition.make_network(), report.definition.make_space()
    validated = {(p.ratios, p.precision): p for p in report.points}
    tested = {(f.ratios, f.precision): f for f in report.finals}
    marked = marks(report)
    one = (1.0,) * len(space.genes)
    twin = report.cost.of(network, network.base_widths, "full")

    def row(ratios: tuple[float, ...], precision: Precision) -> Row:
        widths = tuple(int(b * r) for b, r in zip(network.base_widths, ratios, strict=True))
        point, final = validated.get((ratios, precision)), tested.get((ratios, precision))
        costs = {n: c.of(network, widths, precision) for n, c in report.definition.costs().items()}
        name = called(ratios, precision, None if point is None else point.trial)
        own = [mark for p, mark in marked if (p.ratios, p.precision) == (ratios, precision)]
        return Row(
            model=f"{name} ({', '.join(own)})" if own else name,
            precision=precision,
            ratios=ratios,
            widths=widths,
            costs=costs,
            cost=costs[report.cost.name],
            speedup=twin / costs[report.cost.name],
            search_top1=None if point is None else point.accuracy,
            confirmed=report.confirmed.get((ratios, precision)),
            final_top1=None if final is None else final.accuracy,
            final_top5=None if final is None else final.top5,
        )

    uniform = [(r,) * len(space.genes) for r in space.ratios]
    listed: list[tuple[tuple[float, ...], Precision]] = [(one, "full")]
    listed += [(ratios, "binary") for ratios in uniform]
    chosen = {(p.ratios, p.precision) for p, _ in marked} | set(report.confirmed) | set(tested)
    others = [row(ratios, precision) for ratios, precision in chosen - set(listed)]
    return [
        *(row(ratios, precision) for ratios, precision in listed),
        *sorted(others, key=lambda r: (r.cost, r.ratios)),
    ]


def marks(report: Report) -> list[tuple[Point, str]]:
    """The searched networks that a report points out, each with its mark."""
    most_accurate = max(report.front, key=lambda p: p.accuracy, default=None)
    return [
        (point, mark)
        for point, mark in (
            (report.knee, "knee"),
            (report.best, "best"),
            (most_accurate, "most accurate"),
        )
        if point is not None
    ]


def header(report: Report) -> tuple[str, ...]:
    """The titles of the columns that `cells` fills: the searched cost first, then the others."""
    first, *others = [cost.title[0].upper() + cost.title[1:] for cost in _costs(report)]
    confirmed = ["Confirmed"] if report.confirmed else []
    accuracies = ["Search top-1", *confirmed, "Final top-1", "Final top-5"]
    return ("Model", first, "Speedup", *others, *accuracies)


def cells(report: Report, row: Row) -> tuple[str, ...]:
    """A row as text, under `header`; rounded as in the paper."""
    first, *others = [cost.amount(row.costs[cost.name]) for cost in _costs(report)]
    confirmed = [_confirmed(row.confirmed) or MISSING] if report.confirmed else []
    search, *final = [
        MISSING if percent is None else f"{percent:.2f}"
        for percent in (row.search_top1, row.final_top1, row.final_top5)
    ]
    return (row.model, first, f"{row.speedup:.1f}x", *others, search, *confirmed, *final)


def note(report: Report) -> str:
    """Explanation of the accuracies and the speedup in the table."""
    epochs = report.definition.recipe.epochs
    parts = [
        "Search top-1: percent of the validation images, after training in the search (epochs: "
        f"{epochs}); it is optimistic, as the search has chosen networks on these images.",
        f"Speedup: {report.cost.title} of full precision 1x over {report.cost.title}.",
    ]
    if report.confirmed:
        parts.insert(1, f"Confirmed: {_confirmed_note(report)}.")
    if report.finals:
        lengths = sorted({f.epochs for f in report.finals})
        epochs_of = f" (epochs: {' or '.join(map(str, lengths))})" if lengths else ""
        parts.insert(
            -1,
            f"Final top-1 and top-5: percent of the test images, after final training{epochs_of}.",
        )
    if report.definition.parent is not None:
        parts.append(
            "In the search, binary networks inherited the weights of a parent; full precision "
            f"began from scratch, and also had {epochs} epochs."
        )
    return " ".join(parts)


def as_markdown(report: Report) -> str:
    """The table in GitHub's Markdown."""

    def line(values: Sequence[str]) -> str:
        return "| " + " | ".join(v.replace("|", "\\|") for v in values) + " |"

    ruler = ["---", *["---:"] * (len(header(report)) - 1)]
    body = [line(cells(report, row)) for row in rows(report)]
    return "\n".join([line(header(report)), line(ruler), *body, "", note(report)]) + "\n"


def as_tex(report: Report) -> str:
    """The table in LaTeX, for `\\input`; it needs the package booktabs."""

    def line(values: Sequence[str]) -> str:
        return " & ".join(_tex(v) for v in values) + r" \\"

    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            rf"\begin{{tabular}}{{l{'r' * (len(header(report)) - 1)}}}",
            r"\toprule",
            line(header(report)),
            r"\midrule",
            *(line(cells(report, row)) for row in rows(report)),
            r"\bottomrule",
            r"\end{tabular}",
            "% " + note(report),
            "",
        ]
    )


_TEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    MISSING: "--",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in text)


def as_table_csv(report: Report) -> str:
    """The table with all digits; ratios and widths joined by spaces, missing values empty."""
    first, *others = [cost.name for cost in _costs(report)]
    columns = [*("model", "precision", "ratios", "widths", first, "speedup"), *others]
    columns += ["search_top1", "final_top1", "final_top5"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows(report):
        joined = {"ratios": _listing(row.ratios), "widths": _listing(row.widths)}
        writer.writerow({**asdict(row), **row.costs, **joined})
    return text.getvalue()


def as_table(report: Report) -> str:
    """The front, the references and the finally trained networks, one line each, for a terminal."""
    tested = {(f.ratios, f.precision): f.accuracy for f in report.finals}
    measured = ["accuracy", *(["confirmed"] if report.confirmed else [])]
    header = ["network", *measured, *(c.title for c in _costs(report)), "fitness", "ratios"]
    test_at = 1 + len(measured)
    shown = _shown(report)
    lines = [_line(report, name, p) for name, p in shown]
    if tested:
        header.insert(test_at, "test")
        for line, (_, p) in zip(lines, shown, strict=True):
            line.insert(test_at, _percent(tested.get((p.ratios, p.precision))))
        known = {(p.ratios, p.precision) for _, p in shown}
        for row in rows(report):
            if row.final_top1 is not None and (row.ratios, row.precision) not in known:
                costs = [*_amounts(report, row.costs), "-"]
                accuracies = _accuracies(report, row.search_top1, row.confirmed)
                accuracies.append(_percent(row.final_top1))
                lines.append([row.model, *accuracies, *costs, _shortly(row.ratios)])
    text = _aligned([header, *lines])
    if report.confirmed:
        text += f"\nconfirmed: {_confirmed_note(report)}"
    if tested:
        text += "\naccuracy: on validation images, after training in the search; test: on test "
        text += "images, after final training"
    if report.definition.parent is not None:
        text += (
            "\nBinary networks inherited the weights of a parent; full precision began from "
            f"scratch, and also had {report.definition.recipe.epochs} epochs."
        )
    return text


def _shown(report: Report) -> list[tuple[str, Point]]:
    """The front, other searched networks that matter, and the references, with their names."""
    best = report.best
    references = {p.ratios for p in report.references}
    confirmed = [p for p in report.search if report.confirmed_as(p) is not None]
    others = [p for p in confirmed if p.ratios not in references]
    searched = [*report.front, *([best] if best is not None else []), *others]
    named = {p.trial: (f"trial {p.trial}{_marked(report, p)}", p) for p in searched}
    return [
        *named.values(),
        *((called(p.ratios, p.precision, None), p) for p in report.references),
    ]


def _marked(report: Report, point: Point) -> str:
    marked = [m for m, q in (("knee", report.knee), ("best", report.best)) if point is q]
    return f" ({', '.join(marked)})" if marked else ""


def _line(report: Report, name: str, p: Point) -> list[str]:
    costs = _amounts(report, p.costs)
    accuracies = _accuracies(report, p.accuracy, report.confirmed_as(p))
    return [name, *accuracies, *costs, f"{p.fitness:.2f}", _shortly(p.ratios)]


def _accuracies(report: Report, searched: float | None, confirmed: Confirmed | None) -> list[str]:
    """On validation images: in the search, and over repeats if the report has any."""
    if not report.confirmed:
        return [_percent(searched)]
    return [_percent(searched), f"{_confirmed(confirmed)} %" if confirmed else "-"]


def _costs(report: Report) -> list[LayerCost]:
    """All costs; first the one that the search weighs accuracy against."""
    costs = report.definition.costs().values()
    return [report.cost, *(cost for cost in costs if cost.name != report.cost.name)]


def _amounts(report: Report, costs: Mapping[str, float]) -> list[str]:
    return [cost.amount(costs[cost.name]) for cost in _costs(report)]


def _confirmed(found: Confirmed | None) -> str:
    """Mean and standard error; empty without repeats."""
    if found is None:
        return ""
    error = "" if found.standard_error is None else f" +- {found.standard_error:.2f}"
    return f"{found.mean:.2f}{error}"


def _confirmed_note(report: Report) -> str:
    runs = sorted({found.runs for found in report.confirmed.values()})
    return (
        f"mean and standard error of {' or '.join(map(str, runs))} training runs with other seeds, "
        "on the same validation images; the training run of the search is not among them"
    )


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


def _shortly(ratios: Sequence[float]) -> str:
    return f"all {ratios[0]:g}" if len(set(ratios)) == 1 else _listing(ratios)


def _listing(values: Sequence[float]) -> str:
    return " ".join(f"{v:g}" for v in values)
