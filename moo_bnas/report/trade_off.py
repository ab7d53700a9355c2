"""Figures of accuracy against cost: the front, and the networks of the table.

What is drawn are errors on a reversed log axis, whose ticks are labelled as accuracies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape
from typing import TypeVar

import numpy as np
import plotly.graph_objects as go

from moo_bnas.evolution.scoring import LEAST_ERROR, errors
from moo_bnas.report.published import published
from moo_bnas.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PINK,
    RED,
    Figure,
    axis_title,
    empty,
    use_accuracy_axis,
    use_cost_axis,
)
from moo_bnas.report.tables import Row, estimated, inheriting, rows
from moo_bnas.results.points import Point, Report
from moo_bnas.subject import AnyCost
from moo_bnas.units import count

_SYMBOLS = {1: "square", 2: "triangle-down", 3: "cross", 4: "pentagon"}
"""Symbols of uniform networks, by bits per activation."""

_Uniform = TypeVar("_Uniform", Point, Row)


def front_title(report: Report) -> str:
    """The title of `pareto.html`: how many networks were found, and how many are on the front."""
    kind = "binary networks" if report.has_widths else "candidates"
    return f"{report.study}: {len(report.search)} {kind}, {len(report.front)} on the front"


def front_note(report: Report) -> str:
    """What was searched, and what the accuracies of `pareto.html` are."""
    failed = f", {report.failed} failed" if report.failed else ""
    inherited = ""
    if report.definition.parent is not None:
        inherited = ", from the weights of a parent"
        if report.definition.training().epochs:  # else no full-precision network was trained
            inherited += " (full precision: from scratch)"
    return (
        f"{report.definition.title}, {report.mode} search{failed}; "
        f"{_measured(report, 'validation ')}{inherited}"
    )


def _measured(report: Report, of: str = "", images: str = "") -> str:
    """What the accuracies of the search are."""
    recipe = report.definition.recipe
    if recipe is None:
        return "accuracy as the evaluator found it"
    return f"{of}accuracy{images} after {count(recipe.epochs, 'epoch')}"


def front_figure(report: Report) -> Figure:
    """Accuracy against cost of all searched networks and references."""
    if not report.points:
        caption = "No candidate and no reference of the search has finished yet."
        return Figure("front", "The front", caption, None)
    images = report.validation_images
    validation = "validation images" if images is None else f"{images:,} validation images"
    measured = _measured(report, images=f" on {validation}")
    kind = "networks" if report.has_widths else "candidates"
    caption = (
        f"{measured[0].upper()}{measured[1:]} against {report.cost.title}, of {len(report.search)} "
        f"searched {kind}, {len(report.front)} of them on the front"
    )
    if report.references:
        caption += f", and of {len(report.references)} uniform and full-precision references"
    caption += "."
    if report.is_estimated:
        drawn = "Binary networks" if report.has_widths else "Candidates"
        caption += (
            f" {drawn} are drawn at their estimates, which the front is made of; bars are two "
            "standard deviations. Tap the legend to show the front of the measured accuracies."
        )
    if report.finals:
        number = "" if report.test_images is None else f"{report.test_images:,} "
        caption += f" Filled hexagons: accuracy on {number}test images after final training."
    if report.definition.parent is not None:
        caption += f" In the search, {inheriting(report)}"
    return Figure("front", "The front", caption, _draw_front(report))


def _draw_front(report: Report) -> go.Figure:
    drawn = empty("accuracy (%)", axis_title(report.cost))
    tested = [r for r in rows(report) if r.final_top1 is not None and report.points]
    others = [p for p in report.search if not p.on_front]
    uniform = [p for p in report.references if p.precision == "binary"]
    twin = [p for p in report.references if p.precision == "full"]
    _add_tested(drawn, report, tested)
    _add(drawn, report, "evaluated", others, {"color": GREY, "size": 7, "opacity": 0.55})
    for of_bits, alike in _by_bits(uniform):
        _add(
            drawn,
            report,
            f"uniform widening{of_bits}",
            alike,
            {"color": ORANGE, "size": 11, "symbol": _SYMBOLS[_bits(alike[0])]},
            line={"color": ORANGE, "width": 1.5, "dash": "dot"},
            labels=[f"{p.ratios[0]:g}x" for p in alike],
            bars=True,
        )
    _add(drawn, report, "full precision 1x", twin, {"color": RED, "size": 13, "symbol": "diamond"})
    _add(
        drawn,
        report,
        "front",
        report.front,
        {"color": BLUE, "size": 9},
        line={"color": BLUE, "width": 2, "shape": "hv"},
        bars=True,
    )
    if report.is_estimated:
        measured = [replace(p, estimate=None) for p in report.search if p.on_measured_front]
        _add(
            drawn,
            report,
            "front as measured",
            sorted(measured, key=lambda p: p.cost),
            {"color": INK, "size": 7, "symbol": "circle-open"},
            line={"color": INK, "width": 1, "dash": "dash", "shape": "hv"},
        )
        drawn.data[-1].visible = "legendonly"
    if report.knee is not None:
        ring = {"size": 20, "symbol": "circle-open", "color": GREEN, "line": {"width": 3}}
        _add(drawn, report, "knee", [report.knee], ring)
    if report.best is not None:
        _add(drawn, report, "best", [report.best], {"color": PINK, "size": 15, "symbol": "star"})
    use_cost_axis(drawn, [p.cost for p in report.points])
    if report.points:
        final = [r.final_top1 for r in tested if r.final_top1 is not None]
        use_accuracy_axis(drawn, [*(p.believed for p in report.points), *final])
    return drawn


def table_figure(report: Report) -> Figure:
    """Accuracy against cost of the networks in the table, like Figure 1 of the paper."""
    listed, title = rows(report), f"Accuracy against {report.cost.title}"
    drawn = empty("accuracy (%)", axis_title(report.cost))
    binary = [r for r in listed if r.precision == "binary"]
    kinds = (
        *(
            (f"uniform{of_bits}", ORANGE, _SYMBOLS[_bits(alike[0])], alike)
            for of_bits, alike in _by_bits([r for r in binary if r.is_uniform])
        ),
        ("searched", BLUE, "circle", [r for r in binary if not r.is_uniform]),
        ("full precision", RED, "diamond", [r for r in listed if r.precision == "full"]),
    )
    shown: list[float] = []
    accuracies: list[float] = []
    for sort, dash, end in (("final, test", "solid", ""), ("search, validation", "dot", "-open")):
        for kind, color, symbol, some in kinds:
            drawable = [(r, _top1(r, sort)) for r in some]
            known = [(r, top1) for r, top1 in drawable if top1 is not None]
            if not known:
                continue
            shown += [r.cost for r, _ in known]
            accuracies += [top1 for _, top1 in known]
            drawn.add_trace(
                go.Scatter(
                    name=f"{kind} ({sort})",
                    x=[r.cost for r, _ in known],
                    y=errors([top1 for _, top1 in known]).tolist(),
                    customdata=[network_key(r) for r, _ in known],
                    mode="lines+markers" if color == ORANGE else "markers",
                    line={"color": color, "dash": dash, "width": 1.5},
                    marker={"color": color, "symbol": symbol + end, "size": 11},
                    hovertext=[f"<b>{escape(r.model)}</b><br>{top1:.2f} %" for r, top1 in known],
                    hovertemplate="%{hovertext}, %{x:.4~s} "
                    f"{report.cost.title}"
                    f"<extra>{sort}</extra>",
                )
            )
    caption = (
        "All networks of the table. Open symbols: accuracy on validation images after the search's "
        "short training; filled symbols: accuracy on test images after final training. Compare "
        "only symbols of one kind."
    )
    if not shown:
        return Figure(table_figure_name(report), title, "Nothing has finished yet.", None)
    if paper := published(report.definition):
        drawn.add_trace(
            go.Scatter(
                name=f"published ({paper.source})",
                x=[p.flops for p in paper.rows],
                y=errors([p.top1 for p in paper.rows]).tolist(),
                mode="markers",
                marker={"color": INK, "symbol": "x-thin-open", "size": 10, "line": {"width": 2}},
                hovertext=[f"<b>{p.name}</b><br>{p.top1:.2f} %" for p in paper.rows],
                hovertemplate=f"%{{hovertext}}, %{{x:.3~s}} FLOPs<extra>{paper.source}</extra>",
                visible="legendonly",
            )
        )
        shown += [p.flops for p in paper.rows]
        accuracies += [p.top1 for p in paper.rows]
        caption += (
            f" Tap the legend to show the published results ({paper.source}), which are accuracies "
            "on test images after final training."
        )
    use_cost_axis(drawn, shown)
    use_accuracy_axis(drawn, accuracies)
    drawn.update_layout(showlegend=True)
    return Figure(table_figure_name(report), title, caption, drawn)


def table_figure_name(report: Report) -> str:
    """The name of `table_figure`: `accuracy-flops` in a search by FLOPs."""
    return f"accuracy-{report.cost.title.lower()}"


def hover(point: Point, costs: Iterable[AnyCost]) -> str:
    """The text shown when the pointer is over a point."""
    ratios = ", ".join(f"{r:g}" for r in point.ratios)
    widths = ", ".join(str(w) for w in point.widths)
    genes = [f"ratios {ratios}", f"widths {widths}"] if widths else [f"values {ratios}"]
    genes += [f"bits {', '.join(map(str, point.bits))}"] if point.bits else []
    precision = f", {point.precision}" if widths else ""
    estimate = [f"estimate {estimated(point)} %"] if estimated(point) else []
    return "<br>".join(
        [
            f"<b>{point.accuracy:.2f} %</b>",
            *estimate,
            ", ".join(f"{c.amount(point.costs[c.name])} {c.title}" for c in costs),
            f"{point.kind} trial {point.trial}{precision}, fitness {point.fitness:.2f}",
            *genes,
        ]
    )


def _by_bits(uniform: Sequence[_Uniform]) -> list[tuple[str, list[_Uniform]]]:
    """Uniform networks by their bits per activation, with these in words where they are genes."""
    found: dict[int, list[_Uniform]] = {}
    for network in uniform:
        found.setdefault(_bits(network), []).append(network)
    return [
        (f", {bits} bit{'s' * (bits > 1)}" if alike[0].bits else "", alike)
        for bits, alike in sorted(found.items())
    ]


def _bits(uniform: Point | Row) -> int:
    return uniform.bits[0] if uniform.bits else 1


def network_key(network: Point | Row) -> str:
    """What a point of a figure and a row of the table have in common."""
    return f"{network.precision} {' '.join(f'{r:g}' for r in network.ratios)}"


def _add_tested(drawn: go.Figure, report: Report, tested: Sequence[Row]) -> None:
    """Draws the results of final training, which are the first in the legend."""
    if not tested:
        return
    colors = [RED if r.precision == "full" else ORANGE if r.is_uniform else BLUE for r in tested]
    drawn.add_trace(
        go.Scatter(
            name="final, test",
            x=[r.cost for r in tested],
            y=errors([r.final_top1 or 0.0 for r in tested]).tolist(),
            customdata=[network_key(r) for r in tested],
            mode="markers",
            marker={
                "color": colors,
                "size": 14,
                "symbol": "hexagon",
                "line": {"color": INK, "width": 1.5},
            },
            hovertext=[
                f"<b>{r.final_top1:.2f} % on test images</b><br>{escape(r.model)}<br>"
                f"{report.cost.amount(r.cost)} {report.cost.title}"
                for r in tested
            ],
            hoverinfo="text",
        )
    )


def _add(
    drawn: go.Figure,
    report: Report,
    name: str,
    points: Sequence[Point],
    marker: dict[str, object],
    line: dict[str, object] | None = None,
    labels: Sequence[str] = (),
    bars: bool = False,
) -> None:
    if not points:
        return
    parts = ["markers"] + ["lines"] * (line is not None) + ["text"] * bool(labels)
    drawn.add_trace(
        go.Scatter(
            name=name,
            x=[p.cost for p in points],
            y=errors([p.believed for p in points]).tolist(),
            error_y=_bars(points, marker["color"]) if bars else None,
            customdata=[network_key(p) for p in points],
            mode="+".join(parts),
            marker=marker,
            line=line,
            text=list(labels) or None,
            textposition="bottom right",
            hovertext=[hover(p, report.definition.costs().values()) for p in points],
            hoverinfo="text",
        )
    )


def _bars(points: Sequence[Point], color: object) -> dict[str, object] | None:
    """Error bars of two standard deviations, which end where the axis does."""
    if all(p.estimate_sd is None for p in points):
        return None
    around = errors([p.believed for p in points])
    twice = np.array([2 * (p.estimate_sd or 0.0) for p in points])
    return {
        "array": twice.tolist(),
        "arrayminus": (around - np.maximum(around - twice, LEAST_ERROR)).tolist(),
        "color": color,
        "thickness": 1,
        "width": 3,
    }


def _top1(row: Row, sort: str) -> float | None:
    return row.final_top1 if sort == "final, test" else row.search_top1
