"""One page of several runs: their fronts over each other, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import cycle

import plotly.graph_objects as go

from moo_bnas.evolution.scoring import errors
from moo_bnas.report.page import document, figure_html, html_table
from moo_bnas.report.style import (
    BLUE,
    GREEN,
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
from moo_bnas.report.trade_off import hover
from moo_bnas.results.points import Point, Report
from moo_bnas.results.side_by_side import as_text, side_by_side, weighed

_RUNS = (
    (BLUE, "circle", "solid"),
    (RED, "diamond", "dash"),
    (GREEN, "triangle-up", "dot"),
    (PINK, "star", "dashdot"),
)


def together_page(reports: Sequence[Report]) -> str:
    """The page of several runs, the first of which gives the cost and the references.

    Args:
        reports: A report of each run.

    Raises:
        DefinitionError: If they search other networks or spaces, or on other data.
        StorageError: If one has no finished candidate.
    """
    found, figure = side_by_side(reports), fronts_figure(reports)
    columns = ("", *found.studies)
    differences = [((key, *map(as_text, values)), "") for key, values in found.differences.items()]
    results = [((title, *values), "") for title, values in found.results.items()]
    differ = html_table("differences", columns, differences) if differences else ""
    body = f"""<header>
<h1>{len(reports)} runs: {escape(", ".join(found.studies))}</h1>
<p class="about">{escape(reports[0].definition.title)}</p>
</header>
<main>
<section><h2>The fronts</h2>{figure_html(figure)}</section>
<section><h2>What was found</h2>{html_table("results", columns, results)}
<p class="note">By accuracies as they were measured on validation images, once each: the noise of a
single training run is in them.</p></section>
<section><h2>Where they differ</h2>{differ or "<p>In nothing but their names.</p>"}</section>
</main>
"""
    return document(f"{len(reports)} runs", body, [figure])


def fronts_figure(reports: Sequence[Report]) -> Figure:
    """The fronts of several runs over each other, by the cost of the first."""
    first = reports[0]
    drawn = empty("accuracy (%)", axis_title(first.cost))
    uniform = [p for p in first.references if p.precision == "binary"]
    points: list[Point] = [*uniform]
    if uniform:
        look = {"color": ORANGE, "symbol": "square", "size": 9}
        _add(drawn, first, f"uniform widening ({first.study})", uniform, look, "dot")
    for report, (color, symbol, dash) in zip(reports, cycle(_RUNS), strict=False):
        own = weighed(report, first)
        line = {"color": color, "symbol": symbol, "size": 9}
        if len(reports) > len(_RUNS):
            line["line"] = {"color": INK, "width": 1}
        _add(drawn, own, report.study, own.front, line, dash, shape="hv")
        points += own.front
    use_cost_axis(drawn, [p.cost for p in points])
    use_accuracy_axis(drawn, [p.believed for p in points])
    drawn.update_layout(showlegend=True)
    estimated = [r.study for r in reports if r.is_estimated]
    by = "" if not estimated else f" Those of {', '.join(estimated)} are made of estimates."
    caption = (
        f"The front of each run: validation accuracy against {first.cost.title}.{by} Tap the "
        "legend to hide a run."
    )
    return Figure("fronts", "The fronts", caption, drawn)


def _add(
    drawn: go.Figure,
    report: Report,
    name: str,
    points: Sequence[Point],
    marker: dict[str, object],
    dash: str,
    shape: str = "linear",
) -> None:
    costs = report.definition.costs().values()
    drawn.add_trace(
        go.Scatter(
            name=escape(name),
            x=[p.cost for p in points],
            y=errors([p.believed for p in points]).tolist(),
            mode="lines+markers",
            marker=marker,
            line={"color": marker["color"], "width": 1.5, "dash": dash, "shape": shape},
            hovertext=[f"{escape(name)}<br>{hover(p, costs)}" for p in points],
            hoverinfo="text",
        )
    )
