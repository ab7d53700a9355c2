"""Draws a report as one Plotly page."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from moo_bnas.report.points import Point, Report
from moo_bnas.units import quantity

# Okabe and Ito's palette: told apart by colour-blind readers; shapes differ as well.
_GREY, _BLUE, _ORANGE, _GREEN, _RED = "#8c8c8c", "#0072b2", "#e69f00", "#009e73", "#d55e00"


def figure(report: Report) -> go.Figure:
    """Accuracy against log FLOPs: all points, the front, the references, the knee."""
    drawn = go.Figure()
    others = [p for p in report.points if p.kind == "search" and not p.on_front]
    uniform = [p for p in report.references if p.precision == "binary"]
    twin = [p for p in report.references if p.precision == "full"]
    _add(drawn, "evaluated", others, {"color": _GREY, "size": 7, "opacity": 0.55})
    _add(
        drawn,
        "uniform widening",
        uniform,
        {"color": _ORANGE, "size": 11, "symbol": "square"},
        line={"color": _ORANGE, "width": 1.5, "dash": "dot"},
        labels=[f"{p.ratios[0]:g}x" for p in uniform],
    )
    _add(
        drawn,
        "full precision 1x",
        twin,
        {"color": _RED, "size": 13, "symbol": "diamond"},
        labels=["full precision"] * len(twin),
        label_position="middle left",
    )
    _add(
        drawn,
        "front",
        report.front,
        {"color": _BLUE, "size": 9},
        line={"color": _BLUE, "width": 2},
    )
    _add(
        drawn,
        "knee",
        [report.knee],
        {
            "color": "rgba(0,0,0,0)",
            "size": 20,
            "symbol": "circle",
            "line": {"color": _GREEN, "width": 3},
        },
    )
    if report.mode == "scalar":
        _add(
            drawn,
            "best fitness",
            [report.best],
            {"color": _GREEN, "size": 15, "symbol": "star"},
        )
    counted = sum(p.kind == "search" for p in report.points)
    failed = f", {report.failed} failed" if report.failed else ""
    inherited = ""
    if report.definition.parent is not None:
        inherited = ", from the weights of a parent (full precision: from scratch)"
    drawn.update_layout(
        title={
            "text": f"{report.study}: {counted} binary networks, "
            f"{len(report.front)} on the front"
            f"<br><sup>{report.definition.network.name} on {report.definition.data.name}, "
            f"{report.mode} search{failed}; validation accuracy after "
            f"{report.definition.recipe.epochs} epochs{inherited}</sup>"
        },
        xaxis={
            "title": "FLOPs (multiply-accumulates, binary ones / 64)",
            "type": "log",
            **_ticks([p.flops for p in report.points]),
        },
        yaxis={"title": "accuracy (%)"},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.01, "yanchor": "bottom"},
        template="plotly_white",
        hoverlabel={"align": "left"},
        margin={"t": 110, "r": 40},
    )
    return drawn


def page(report: Report) -> str:
    """A self-contained page: it opens offline, the script of Plotly included."""
    html: str = figure(report).to_html(
        include_plotlyjs=True,
        full_html=True,
        default_height="100vh",
        config={"responsive": True, "displaylogo": False},
    )
    title = f"<title>{report.study}: Pareto front</title><style>body {{ margin: 0 }}</style>"
    return html.replace(
        "<head>", f'<head><meta name="viewport" content="width=device-width">{title}', 1
    )


def hover(point: Point) -> str:
    """What a point says under the pointer."""
    ratios = ", ".join(f"{r:g}" for r in point.ratios)
    widths = ", ".join(str(w) for w in point.widths)
    return "<br>".join(
        [
            f"<b>{point.accuracy:.2f} %</b>, {quantity(point.flops)} FLOPs, "
            f"{quantity(point.memory_bits)}bit",
            f"{point.kind} trial {point.trial}, {point.precision}, fitness {point.fitness:.2f}",
            f"ratios {ratios}",
            f"widths {widths}",
        ]
    )


def _ticks(flops: Sequence[float]) -> dict[str, list[object]]:
    """Ticks at 1, 2 and 5 of every decade; Plotly's own between decades are bare digits."""
    decades = range(math.floor(math.log10(min(flops))), math.ceil(math.log10(max(flops))) + 1)
    values = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    return {"tickvals": [*values], "ticktext": [quantity(v, digits=0) for v in values]}


def _add(
    drawn: go.Figure,
    name: str,
    points: Sequence[Point],
    marker: dict[str, object],
    line: dict[str, object] | None = None,
    labels: Sequence[str] = (),
    label_position: str = "bottom right",
) -> None:
    if not points:
        return
    parts = ["markers"] + ["lines"] * (line is not None) + ["text"] * bool(labels)
    drawn.add_trace(
        go.Scatter(
            name=name,
            x=[p.flops for p in points],
            y=[p.accuracy for p in points],
            mode="+".join(parts),
            marker=marker,
            line=line,
            text=list(labels) or None,
            textposition=label_position,
            hovertext=[hover(p) for p in points],
            hoverinfo="text",
        )
    )
