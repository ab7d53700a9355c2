"""Figures of accuracy against cost: the front, and the networks of the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import plotly.graph_objects as go

from moo_bnas.networks.cost import LayerCost
from moo_bnas.report.published import published
from moo_bnas.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PAPER,
    PINK,
    RED,
    Figure,
    axis_title,
    empty,
    use_cost_axis,
)
from moo_bnas.report.tables import Row, rows
from moo_bnas.results.points import Point, Report


def pareto(report: Report) -> go.Figure:
    """The figure of `pareto.html`: the front, with a title."""
    drawn = _draw_front(report)
    failed = f", {report.failed} failed" if report.failed else ""
    inherited = ""
    if report.definition.parent is not None:
        inherited = ", from the weights of a parent (full precision: from scratch)"
    drawn.update_layout(
        title={
            "pad": {"t": 16},
            "text": f"{escape(report.study)}: {len(report.search)} binary networks, "
            f"{len(report.front)} on the front"
            f"<br><sup>{escape(report.definition.network.name)} on {report.definition.data.name}, "
            f"{report.mode} search{failed}; validation accuracy after "
            f"{report.definition.recipe.epochs} epochs{inherited}</sup>",
            "y": 0.98,
            "yanchor": "top",
        },
        legend={"x": 1, "xanchor": "right"},
        paper_bgcolor=PAPER,
        margin={"t": 110, "r": 40},
    )
    return drawn


def front_figure(report: Report) -> Figure:
    """Accuracy against cost of all searched networks and references."""
    epochs = report.definition.recipe.epochs
    if not report.points:
        caption = "No candidate and no reference of the search has finished yet."
        return Figure("front", "The front", caption, None)
    caption = (
        f"Accuracy on validation images after {epochs} epochs against {report.cost.title}, of "
        f"{len(report.search)} searched networks, {len(report.front)} of them on the front, and of "
        f"{len(report.references)} uniform and full-precision references."
    )
    if report.definition.parent is not None:
        caption += " Binary networks inherited a parent's weights; full precision did not."
    return Figure("front", "The front", caption, _draw_front(report))


def _draw_front(report: Report) -> go.Figure:
    drawn = empty("accuracy (%)", axis_title(report.cost))
    others = [p for p in report.search if not p.on_front]
    uniform = [p for p in report.references if p.precision == "binary"]
    twin = [p for p in report.references if p.precision == "full"]
    _add(drawn, report, "evaluated", others, {"color": GREY, "size": 7, "opacity": 0.55})
    _add(
        drawn,
        report,
        "uniform widening",
        uniform,
        {"color": ORANGE, "size": 11, "symbol": "square"},
        line={"color": ORANGE, "width": 1.5, "dash": "dot"},
        labels=[f"{p.ratios[0]:g}x" for p in uniform],
    )
    _add(drawn, report, "full precision 1x", twin, {"color": RED, "size": 13, "symbol": "diamond"})
    _add(
        drawn,
        report,
        "front",
        report.front,
        {"color": BLUE, "size": 9},
        line={"color": BLUE, "width": 2},
    )
    if report.knee is not None:
        ring = {"size": 20, "symbol": "circle-open", "color": GREEN, "line": {"width": 3}}
        _add(drawn, report, "knee", [report.knee], ring)
    if report.best is not None:
        _add(drawn, report, "best", [report.best], {"color": PINK, "size": 15, "symbol": "star"})
    use_cost_axis(drawn, [p.cost for p in report.points])
    return drawn


def table_figure(report: Report) -> Figure:
    """Accuracy against cost of the networks in the table, like Figure 1 of the paper."""
    listed, title = rows(report), f"Accuracy against {report.cost.title}"
    drawn = empty("accuracy (%)", axis_title(report.cost))
    binary = [r for r in listed if r.precision == "binary"]
    kinds = (
        ("uniform", ORANGE, "square", [r for r in binary if r.is_uniform]),
        ("searched", BLUE, "circle", [r for r in binary if not r.is_uniform]),
        ("full precision", RED, "diamond", [r for r in listed if r.precision == "full"]),
    )
    shown: list[float] = []
    for sort, dash, end in (("search, validation", "dot", "-open"), ("final, test", "solid", "")):
        for kind, color, symbol, some in kinds:
            drawable = [(r, _top1(r, sort)) for r in some]
            known = [(r, top1) for r, top1 in drawable if top1 is not None]
            if not known:
                continue
            shown += [r.cost for r, _ in known]
            drawn.add_trace(
                go.Scatter(
                    name=f"{kind} ({sort})",
                    x=[r.cost for r, _ in known],
                    y=[top1 for _, top1 in known],
                    mode="lines+markers" if kind == "uniform" else "markers",
                    line={"color": color, "dash": dash, "width": 1.5},
                    marker={"color": color, "symbol": symbol + end, "size": 11},
                    hovertext=[f"<b>{escape(r.model)}</b>" for r, _ in known],
                    hovertemplate="%{hovertext}<br>%{y:.2f} %, %{x:.4~s} "
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
        return Figure("accuracy-flops", title, "Nothing has finished yet.", None)
    if paper := published(report.definition):
        drawn.add_trace(
            go.Scatter(
                name=f"published ({paper.source})",
                x=[p.flops for p in paper.rows],
                y=[p.top1 for p in paper.rows],
                mode="markers",
                marker={"color": INK, "symbol": "x-thin-open", "size": 10, "line": {"width": 2}},
                hovertext=[f"<b>{p.name}</b>" for p in paper.rows],
                hovertemplate="%{hovertext}<br>%{y:.2f} %, %{x:.3~s} FLOPs"
                f"<extra>{paper.source}</extra>",
                visible="legendonly",
            )
        )
        shown += [p.flops for p in paper.rows]
        caption += (
            f" Tap the legend to show the published results ({paper.source}), which are accuracies "
            "on test images after final training."
        )
    use_cost_axis(drawn, shown)
    drawn.update_layout(showlegend=True)
    return Figure("accuracy-flops", title, caption, drawn)


def hover(point: Point, costs: Iterable[LayerCost]) -> str:
    """The text shown when the pointer is over a point."""
    ratios = ", ".join(f"{r:g}" for r in point.ratios)
    widths = ", ".join(str(w) for w in point.widths)
    return "<br>".join(
        [
            f"<b>{point.accuracy:.2f} %</b>",
            ", ".join(f"{c.amount(point.costs[c.name])} {c.title}" for c in costs),
            f"{point.kind} trial {point.trial}, {point.precision}, fitness {point.fitness:.2f}",
            f"ratios {ratios}",
            f"widths {widths}",
        ]
    )


def _add(
    drawn: go.Figure,
    report: Report,
    name: str,
    points: Sequence[Point],
    marker: dict[str, object],
    line: dict[str, object] | None = None,
    labels: Sequence[str] = (),
) -> None:
    if not points:
        return
    parts = ["markers"] + ["lines"] * (line is not None) + ["text"] * bool(labels)
    drawn.add_trace(
        go.Scatter(
            name=name,
            x=[p.cost for p in points],
            y=[p.accuracy for p in points],
            mode="+".join(parts),
            marker=marker,
            line=line,
            text=list(labels) or None,
            textposition="bottom right",
            hovertext=[hover(p, report.definition.costs().values()) for p in points],
            hoverinfo="text",
        )
    )


def _top1(row: Row, sort: str) -> float | None:
    return row.final_top1 if sort == "final, test" else row.search_top1
