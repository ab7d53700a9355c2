"""The tables of a report: chosen networks, as rows and as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from moo_bnas.evaluation import Precision
from moo_bnas.networks.cost import flops, memory_bits
from moo_bnas.results.points import Point, Report, called
from moo_bnas.units import quantity

MISSING = "\N{EN DASH}"
HEADER = ("Model", "FLOPs", "Speedup", "Memory", "Search top-1", "Final top-1", "Final top-5")


@dataclass(frozen=True)
class Row:
    """One network of the table.

    Attributes:
        model: What it is called.
        precision: `binary` or `full`.
        ratios: One per gene.
        widths: Channels, one per gene.
        flops: Multiply-accumulates, those of binary layers counted 1/64.
        speedup: FLOPs of the full-precision 1x network over its own.
        memory_bits: Of its weights.
        search_top1: Percent, on the validation images after a training of the search; None
            where there is none yet.
        final_top1: Percent, on the test images after a final training; likewise.
        final_top5: Likewise.
    """

    model: str
    precision: Precision
    ratios: tuple[float, ...]
    widths: tuple[int, ...]
    flops: float
    speedup: float
    memory_bits: int
    search_top1: float | None
    final_top1: float | None
    final_top5: float | None

    @property
    def is_uniform(self) -> bool:
        """Whether all genes have one ratio."""
        return len(set(self.ratios)) == 1


def rows(report: Report) -> list[Row]:
    """Full precision, the uniform networks of the space, then the searched ones by FLOPs.

    Of the search, those that are marked (see `marks`), and all that were finally trained.
    """
    network, space = report.definition.make_network(), report.definition.make_space()
    validated = {(p.ratios, p.precision): p for p in report.points}
    tested = {(f.ratios, f.precision): f for f in report.finals}
    marked = marks(report)
    one = (1.0,) * len(space.genes)
    full_flops = flops(network, network.base_widths, "full")

    def row(ratios: tuple[float, ...], precision: Precision) -> Row:
        widths = tuple(int(b * r) for b, r in zip(network.base_widths, ratios, strict=True))
        point, final = validated.get((ratios, precision)), tested.get((ratios, precision))
        cost = flops(network, widths, precision)
        name = called(ratios, precision, None if point is None else point.trial)
        told = [mark for p, mark in marked if (p.ratios, p.precision) == (ratios, precision)]
        return Row(
            model=f"{name} ({', '.join(told)})" if told else name,
            precision=precision,
            ratios=ratios,
            widths=widths,
            flops=cost,
            speedup=full_flops / cost,
            memory_bits=memory_bits(network, widths, precision),
            search_top1=None if point is None else point.accuracy,
            final_top1=None if final is None else final.accuracy,
            final_top5=None if final is None else final.top5,
        )

    uniform = [(r,) * len(space.genes) for r in space.ratios]
    listed: list[tuple[tuple[float, ...], Precision]] = [(one, "full")]
    listed += [(ratios, "binary") for ratios in uniform]
    chosen = {(p.ratios, p.precision) for p, _ in marked} | set(tested)
    others = [row(ratios, precision) for ratios, precision in chosen - set(listed)]
    return [
        *(row(ratios, precision) for ratios, precision in listed),
        *sorted(others, key=lambda r: (r.flops, r.ratios)),
    ]


def marks(report: Report) -> list[tuple[Point, str]]:
    """The searched networks that a report points out, each with why."""
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


def cells(row: Row) -> tuple[str, ...]:
    """A row as people read it, under `HEADER`; rounded as the paper rounds."""
    return (
        row.model,
        quantity(row.flops).strip(),
        f"{row.speedup:.1f}x",
        f"{quantity(row.memory_bits)}bit",
        *(
            MISSING if percent is None else f"{percent:.2f}"
            for percent in (row.search_top1, row.final_top1, row.final_top5)
        ),
    )


def note(report: Report) -> str:
    """What the three accuracies of the table are."""
    epochs = report.definition.recipe.epochs
    parts = [
        "Search top-1: percent of the validation images, after a training of the search (epochs: "
        f"{epochs}), which has chosen on them, so they flatter.",
        "Speedup: FLOPs of full precision 1x over FLOPs.",
    ]
    if report.finals:
        lengths = sorted({f.epochs for f in report.finals})
        told = f" (epochs: {' or '.join(map(str, lengths))})" if lengths else ""
        parts.insert(
            1, f"Final top-1 and top-5: percent of the test images, after a final training{told}."
        )
    if report.definition.parent is not None:
        parts.append(
            "In the search, binary networks inherited the weights of a parent; full precision "
            f"began from scratch, and had {epochs} epochs as they."
        )
    return " ".join(parts)


def as_markdown(report: Report) -> str:
    """The table as GitHub renders it."""

    def line(values: Sequence[str]) -> str:
        return "| " + " | ".join(v.replace("|", "\\|") for v in values) + " |"

    ruler = ["---", *["---:"] * (len(HEADER) - 1)]
    body = [line(cells(row)) for row in rows(report)]
    return "\n".join([line(HEADER), line(ruler), *body, "", note(report)]) + "\n"


def as_tex(report: Report) -> str:
    """The table as LaTeX, for `\\input`; it needs the package booktabs."""

    def line(values: Sequence[str]) -> str:
        return " & ".join(_tex(v) for v in values) + r" \\"

    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            rf"\begin{{tabular}}{{l{'r' * (len(HEADER) - 1)}}}",
            r"\toprule",
            line(HEADER),
            r"\midrule",
            *(line(cells(row)) for row in rows(report)),
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
    """The table with all digits; ratios and widths joined by spaces, what is missing is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Row.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    for row in rows(report):
        joined = {"ratios": _listing(row.ratios), "widths": _listing(row.widths)}
        writer.writerow({**asdict(row), **joined})
    return text.getvalue()


def as_table(report: Report) -> str:
    """The front, the references and what was finally trained, one line each, for a terminal."""
    tested = {(f.ratios, f.precision): f.accuracy for f in report.finals}
    header = ["network", "accuracy", "FLOPs", "memory", "fitness", "ratios"]
    lines = [_line(f"trial {p.trial}{_marked(report, p)}", p) for p in report.front]
    shown = list(report.front)
    if report.best is not None and not report.best.on_front:
        lines.append(_line(f"trial {report.best.trial} (best)", report.best))
        shown.append(report.best)
    for p in report.references:
        name = f"uniform {p.ratios[0]:g}x" if p.precision == "binary" else "full precision 1x"
        lines.append(_line(name, p))
        shown.append(p)
    if tested:
        header.insert(2, "test")
        for line, p in zip(lines, shown, strict=True):
            line.insert(2, _percent(tested.get((p.ratios, p.precision))))
        known = {(p.ratios, p.precision) for p in shown}
        for row in rows(report):
            if row.final_top1 is not None and (row.ratios, row.precision) not in known:
                costs = [quantity(row.flops), f"{quantity(row.memory_bits)}bit", "-"]
                accuracies = [_percent(row.search_top1), _percent(row.final_top1)]
                lines.append([row.model, *accuracies, *costs, _shortly(row.ratios)])
    text = _aligned([header, *lines])
    if tested:
        text += "\naccuracy: on validation images, as the search sees it; test: after a final "
        text += "training, on test images"
    if report.definition.parent is not None:
        text += (
            "\nBinary networks inherited the weights of a parent; full precision began from "
            f"scratch, and had {report.definition.recipe.epochs} epochs as they."
        )
    return text


def _marked(report: Report, point: Point) -> str:
    told = [m for m, q in (("knee", report.knee), ("best", report.best)) if point is q]
    return f" ({', '.join(told)})" if told else ""


def _line(name: str, p: Point) -> list[str]:
    costs = [quantity(p.flops), f"{quantity(p.memory_bits)}bit"]
    return [name, _percent(p.accuracy), *costs, f"{p.fitness:.2f}", _shortly(p.ratios)]


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
