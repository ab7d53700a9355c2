"""The tables of a report: chosen networks, as rows and as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from moo_bnas.evaluation import Precision
from moo_bnas.evolution.estimates import ENOUGH
from moo_bnas.networks.latency import LATENCY
from moo_bnas.report.speedups import measures_beside, speeding
from moo_bnas.results.naming import called
from moo_bnas.results.points import Point, Report
from moo_bnas.results.repeats import Confirmed
from moo_bnas.subject import AnyCost
from moo_bnas.units import count

MISSING = "\N{EN DASH}"


@dataclass(frozen=True)
class Row:
    """One network of the table.

    Attributes:
        model: Name of the network.
        precision: `binary` or `full`.
        ratios: Value of each gene: expansion ratios, then bits of activations where it has some.
        widths: Channels of each gene that is a width.
        bits: Bits of each gene that is bits of activations.
        is_uniform: Whether all widths have one ratio, and all bits are the same.
        costs: All costs of the network, by name.
        cost: The cost that the search weighs accuracy against.
        speedup: `cost` of the full-precision 1x network over `cost` of this network; None in a
            space of its own.
        measured_speedup: The same of latencies; None without a latency table.
        search_top1: Top-1 accuracy in percent on the validation images, after training in the
            search; None if there is none yet.
        estimate: Estimate of the mean of many such accuracies, in percent; None if there is none.
        estimate_sd: Standard deviation of the estimate, in percent; None if there is none.
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
    bits: tuple[int, ...]
    is_uniform: bool
    costs: Mapping[str, float]
    cost: float
    speedup: float | None
    measured_speedup: float | None
    search_top1: float | None
    estimate: float | None
    estimate_sd: float | None
    confirmed: Confirmed | None
    final_top1: float | None
    final_top5: float | None


def rows(report: Report) -> list[Row]:
    """Full precision, the uniform networks of the space, then the searched ones by cost.

    Searched networks are listed if they are marked (see `marks`), confirmed or finally trained.
    """
    subject = report.definition.subject()
    space = subject.space
    validated = {(p.ratios, p.precision): p for p in report.points}
    tested = {(f.ratios, f.precision): f for f in report.finals}
    marked = marks(report)
    one = space.of_ratio(1.0)
    twin = subject.costs_of(one, "full") if report.has_widths else {}

    def row(ratios: tuple[float, ...], precision: Precision) -> Row:
        point, final = validated.get((ratios, precision)), tested.get((ratios, precision))
        costs = subject.costs_of(ratios, precision)
        trial = None if point is None else point.trial
        name = called(space, ratios, precision, trial) if report.has_widths else f"trial {trial}"
        speedups = {n: twin[n] / costs[n] for n in twin}
        own = [mark for p, mark in marked if (p.ratios, p.precision) == (ratios, precision)]
        return Row(
            model=f"{name} ({', '.join(own)})" if own else name,
            precision=precision,
            ratios=ratios,
            widths=subject.widths_of(ratios),
            bits=subject.bits_of(ratios) if precision == "binary" else (),
            is_uniform=report.has_widths and space.is_uniform(ratios),
            costs=costs,
            cost=costs[report.cost.name],
            speedup=speedups.get(report.cost.name),
            measured_speedup=speedups.get(LATENCY),
            search_top1=None if point is None else point.accuracy,
            estimate=None if point is None else point.estimate,
            estimate_sd=None if point is None else point.estimate_sd,
            confirmed=report.confirmed.get((ratios, precision)),
            final_top1=None if final is None else final.accuracy,
            final_top5=None if final is None else final.top5,
        )

    listed: list[tuple[tuple[float, ...], Precision]] = []
    if report.has_widths:
        listed.append((one, "full"))
    listed += [(ratios, "binary") for ratios in space.uniforms()]
    chosen = {(p.ratios, p.precision) for p, _ in marked} | set(report.confirmed) | set(tested)
    others = [row(ratios, precision) for ratios, precision in chosen - set(listed)]
    return [
        *(row(ratios, precision) for ratios, precision in listed),
        *sorted(others, key=lambda r: (r.cost, r.ratios)),
    ]


def marks(report: Report) -> list[tuple[Point, str]]:
    """The searched networks that a report points out, each with its mark."""
    most_accurate = max(report.front, key=lambda p: p.believed, default=None)
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
    first, *others = [cost.title[0].upper() + cost.title[1:] for cost in costs_of(report)]
    estimate = ("Estimate",) if report.is_estimated else ()
    confirmed = ("Confirmed",) if report.confirmed else ()
    final = ("Final top-1", "Final top-5") if report.is_trained else ()
    speedups = ["Speedup"] * report.has_widths + ["Measured speedup"] * measures_beside(report)
    search = "Search top-1" if report.is_trained else "Accuracy"
    return ("Model", first, *speedups, *others, search, *estimate, *confirmed, *final)


def cells(report: Report, row: Row) -> tuple[str, ...]:
    """A row as text, under `header`; rounded as in the paper."""
    first, *others = [cost.amount(row.costs[cost.name]) for cost in costs_of(report)]
    search, *final = [
        MISSING if percent is None else f"{percent:.2f}"
        for percent in (row.search_top1, row.final_top1, row.final_top5)
    ]
    estimate = [estimated(row) or MISSING] if report.is_estimated else []
    confirmed = [confirmed_as(row.confirmed) or MISSING] if report.confirmed else []
    accuracies = (search, *estimate, *confirmed, *(final if report.is_trained else ()))
    known = (row.speedup, row.measured_speedup if measures_beside(report) else None)
    speedups = [f"{speedup:.1f}x" for speedup in known if speedup is not None]
    return (row.model, first, *speedups, *others, *accuracies)


def estimated(network: Row | Point) -> str:
    """The estimate of a network with its standard deviation, as text; empty if it has none."""
    if network.estimate is None or network.estimate_sd is None:
        return ""
    return f"{network.estimate:.1f} ± {network.estimate_sd:.1f}"


def confirmed_as(found: Confirmed | None) -> str:
    """The mean of repeats with its standard error, as text; empty without repeats."""
    if found is None:
        return ""
    error = "" if found.standard_error is None else f" ± {found.standard_error:.2f}"
    return f"{found.mean:.2f}{error}"


def note(report: Report) -> str:
    """Explanation of the accuracies and the speedup in the table."""
    parts = [_searching(report), believing(report)]
    if report.confirmed:
        parts.append(confirming(report))
    if report.has_widths:
        parts.append(speeding(report))
    if report.finals:
        lengths = sorted({f.epochs for f in report.finals})
        epochs_of = f" (epochs: {' or '.join(map(str, lengths))})" if lengths else ""
        parts.insert(
            1,
            f"Final top-1 and top-5: percent of the test images, after final training{epochs_of}.",
        )
    if report.definition.parent is not None:
        parts.append(f"In the search, {inheriting(report)}")
    return " ".join(parts)


def _searching(report: Report) -> str:
    if (evaluator := report.definition.evaluator) is not None:
        return (
            f"Accuracy: percent by the evaluator {evaluator.name}; it is optimistic, as the search "
            "has chosen candidates by it."
        )
    epochs = report.definition.training().epochs
    return (
        "Search top-1: percent of the validation images, after training in the search (epochs: "
        f"{epochs}); it is optimistic, as the search has chosen networks on these images."
    )


def how_to_fill(report: Report) -> str:
    """Which commands fill the cells of the table that are empty; empty where none is."""
    empty = [row for row in rows(report) if row.final_top1 is None]
    if not (empty and report.is_trained):
        return ""
    name, commands = f"--study-name {report.study}", []
    if any(not row.is_uniform for row in empty):
        commands.append(f"moo-bnas train {name} --best (or --knee, --trial N)")
    if any(row.is_uniform for row in empty):
        commands.append(f"moo-bnas baseline {name}")
    several = (
        ""
        if report.confirmed
        else (" Accuracies over several seeds: moo-bnas run with --confirm 4.")
    )
    return f"To fill the empty cells of Final top-1 and top-5: {'; '.join(commands)}.{several}"


def inheriting(report: Report) -> str:
    """What the networks of a search with a parent began with: the end of a sentence."""
    epochs = report.definition.training().epochs
    if not epochs:
        return "binary networks were scored with the weights of a parent, without training."
    return (
        "binary networks inherited the weights of a parent; full precision began from scratch, and "
        f"also had {count(epochs, 'epoch')}."
    )


def confirming(report: Report) -> str:
    """What confirmed accuracies are."""
    runs = sorted({found.runs for found in report.confirmed.values()})
    images = report.validation_images
    number = "the same" if images is None else f"the same {images:,}"
    if not report.is_trained:
        return (
            f"Confirmed: mean and standard error of {' or '.join(map(str, runs))} evaluations with "
            "other seeds; that of the search is not among them."
        )
    return (
        f"Confirmed: mean and standard error of {' or '.join(map(str, runs))} training runs with "
        f"other seeds, on {number} validation images; the training run of the search is not among "
        "them."
    )


def believing(report: Report) -> str:
    """What front, knee and best go by."""
    runs, kind, done = ("training run", "networks", "trained")
    if not report.is_trained:
        runs, kind, done = ("evaluation", "candidates", "evaluated")
    if report.is_estimated:
        return (
            f"Estimate: the mean accuracy that is expected of many such {runs}s, with its "
            f"standard deviation, by a model of all {kind} that were {done} in the search; "
            "front, knee, best and most accurate go by it."
        )
    return (
        f"With fewer than {ENOUGH} {kind} nothing is estimated: front, knee, best and most "
        f"accurate go by single {runs}s."
    )


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
    "±": r"$\pm$",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in text)


def as_table_csv(report: Report) -> str:
    """The table with all digits; ratios and widths joined by spaces, missing values empty."""
    first, *others = [cost.name for cost in costs_of(report)]
    bits = ["bits"] * bool(report.space.bit_genes)
    columns = [*("model", "precision", "ratios", "widths", *bits, first, "speedup"), *others]
    columns += ["measured_speedup"] * measures_beside(report)
    columns += ["search_top1", "final_top1", "final_top5"]
    columns += ["estimate", "estimate_sd"]
    if not report.has_widths:
        columns = ["model", "values", first, *others, "search_top1", "estimate", "estimate_sd"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows(report):
        ratios = _listing(row.ratios)
        joined = {"ratios": ratios, "values": ratios, "widths": _listing(row.widths)}
        joined["bits"] = _listing(row.bits)
        writer.writerow({**asdict(row), **row.costs, **joined})
    return text.getvalue()


def costs_of(report: Report) -> list[AnyCost]:
    """All costs; first the one that the search weighs accuracy against."""
    costs = report.definition.costs().values()
    return [report.cost, *(cost for cost in costs if cost.name != report.cost.name)]


def _listing(values: Sequence[float]) -> str:
    return " ".join(f"{v:g}" for v in values)
