"""Draws the figures of a report with Plotly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go

from moo_bnas.report.published import published
from moo_bnas.report.tables import Row, marks, rows
from moo_bnas.results.importance import ENOUGH, importances
from moo_bnas.results.points import Point, Report
from moo_bnas.units import duration, quantity

# Okabe and Ito's palette: told apart by colour-blind readers; symbols and dashes differ as well.
BLUE, ORANGE, GREEN, RED, PINK = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7"
GREY, INK, GRID, PAPER = "#767676", "#24292f", "#d9dee3", "#ffffff"
DARK = {BLUE: "#56b4e9", GREY: "#a3a9b0", INK: "#e6e8ea", GRID: "#3b4249", PAPER: "#14181c"}
"""What stands for a colour on a dark page; those left out do for both."""

_NETWORKS = (
    (BLUE, "circle", "solid"),
    (GREEN, "star", "dash"),
    (RED, "diamond", "dot"),
    (PINK, "triangle-up", "dashdot"),
)
_FLOPS_AXIS = "FLOPs (binary ones count 1/64)"


@dataclass(frozen=True)
class Figure:
    """One figure of a report.

    Attributes:
        name: Of its file, and of its place in the page.
        title: In a few words.
        caption: What it shows.
        drawn: None where there is nothing to draw yet; `caption` says why.
        values: What is in it, beside the caption for those who do not see it.
    """

    name: str
    title: str
    caption: str
    drawn: go.Figure | None
    values: str = ""


def figures(report: Report) -> list[Figure]:
    """All figures of a report, in order."""
    return [
        _front(report),
        *_convergence(report),
        _channels(report),
        _table(report),
        _importance(report),
    ]


def pareto(report: Report) -> go.Figure:
    """The one of `pareto.html`: the front, titled."""
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


def _front(report: Report) -> Figure:
    epochs = report.definition.recipe.epochs
    if not report.points:
        caption = "No candidate and no reference of the search is finished yet."
        return Figure("front", "The front", caption, None)
    caption = (
        f"Accuracy on validation images after {epochs} epochs against FLOPs, of "
        f"{len(report.search)} searched networks, {len(report.front)} of them on the front, and of "
        f"{len(report.references)} uniform and full-precision references."
    )
    if report.definition.parent is not None:
        caption += " Binary networks inherited a parent's weights; full precision did not."
    return Figure("front", "The front", caption, _draw_front(report))


def _draw_front(report: Report) -> go.Figure:
    drawn = _empty("accuracy (%)", _FLOPS_AXIS)
    others = [p for p in report.search if not p.on_front]
    uniform = [p for p in report.references if p.precision == "binary"]
    twin = [p for p in report.references if p.precision == "full"]
    _add(drawn, "evaluated", others, {"color": GREY, "size": 7, "opacity": 0.55})
    _add(
        drawn,
        "uniform widening",
        uniform,
        {"color": ORANGE, "size": 11, "symbol": "square"},
        line={"color": ORANGE, "width": 1.5, "dash": "dot"},
        labels=[f"{p.ratios[0]:g}x" for p in uniform],
    )
    _add(drawn, "full precision 1x", twin, {"color": RED, "size": 13, "symbol": "diamond"})
    _add(
        drawn,
        "front",
        report.front,
        {"color": BLUE, "size": 9},
        line={"color": BLUE, "width": 2},
    )
    if report.knee is not None:
        ring = {"size": 20, "symbol": "circle-open", "color": GREEN, "line": {"width": 3}}
        _add(drawn, "knee", [report.knee], ring)
    if report.best is not None:
        _add(drawn, "best", [report.best], {"color": PINK, "size": 15, "symbol": "star"})
    drawn.update_xaxes(type="log", **_ticks([p.flops for p in report.points]))
    return drawn


def _convergence(report: Report) -> list[Figure]:
    title = f"Convergence: {report.score_name}"
    names = {
        "convergence-evaluations": ("evaluations", "finished evaluations"),
        "convergence-hours": ("hours", "hours since the first candidate"),
    }
    steps = report.convergence
    if not steps:
        caption = "No candidate of the search is finished yet."
        return [Figure("convergence-evaluations", title, caption, None)]
    what = (
        "Best fitness (Eq. 4) so far"
        if report.mode == "scalar"
        else "Share of the space's accuracy and log FLOPs that the front dominates"
    )
    alone = ""
    if report.uniform_score is not None:
        alone = f"; the uniform networks alone have {report.uniform_score:.4g}"
    found = []
    for name, (attribute, axis) in names.items():
        drawn = _empty(report.score_name, axis)
        x = [getattr(step, attribute) for step in steps]
        drawn.add_trace(
            go.Scatter(
                name="search",
                x=x,
                y=[step.score for step in steps],
                mode="lines" if len(steps) > 1 else "markers",
                line={"color": BLUE, "width": 2, "shape": "hv"},
                hovertemplate=f"%{{y:.4f}} after %{{x:.4~g}} {attribute}<extra></extra>",
            )
        )
        if report.uniform_score is not None:
            drawn.add_trace(
                go.Scatter(
                    name="uniform networks alone",
                    x=[x[0], x[-1]],
                    y=[report.uniform_score] * 2,
                    mode="lines",
                    line={"color": ORANGE, "width": 2, "dash": "dot"},
                    hovertemplate="%{y:.4f}<extra>uniform networks</extra>",
                )
            )
        drawn.update_xaxes(exponentformat="none")
        drawn.update_layout(showlegend=True)
        caption = (
            f"{what}, against {axis}: {steps[-1].score:.4g} after {steps[-1].evaluations} "
            f"evaluations{alone}."
        )
        if attribute == "hours":
            caption = (
                "The same by the clock, pauses included: "
                f"{duration(3600 * steps[-1].hours)} so far."
            )
        found.append(Figure(name, f"{title} against {attribute}", caption, drawn))
    return found


def _channels(report: Report) -> Figure:
    """Channels of each gene, as Figure 2 of the paper has them."""
    title, listed = "Channels per layer", rows(report)
    marked = {(p.ratios, p.precision) for p, _ in marks(report)[:2]}
    tested = [r for r in listed if r.final_top1 is not None and not r.is_uniform]
    wanted = [r for r in listed if (r.ratios, r.precision) in marked]
    wanted += [r for r in tested if r not in wanted]
    chosen = [r for r in wanted if not (r.is_uniform and r.ratios[0] == 1)][: len(_NETWORKS)]
    space, base = report.definition.make_space(), report.definition.make_network().base_widths
    if not chosen:
        return Figure("channels", title, "No searched network is chosen yet.", None)
    drawn = _empty("channels", None)
    drawn.add_trace(
        go.Bar(
            name="uniform 1x",
            x=list(range(len(base))),
            y=list(base),
            marker={"color": GREY, "opacity": 0.4},
            hovertext=list(space.genes),
            hovertemplate="%{hovertext}: %{y}<extra>uniform 1x</extra>",
        )
    )
    for i, row in enumerate(chosen):
        color, symbol, dash = _NETWORKS[i]
        aside = (i - (len(chosen) - 1) / 2) * 0.15  # equal widths do not hide each other
        drawn.add_trace(
            go.Scatter(
                name=row.model,
                x=[gene + aside for gene in range(len(base))],
                y=list(row.widths),
                mode="lines+markers",
                line={"color": color, "dash": dash, "width": 1.5},
                marker={"color": color, "symbol": symbol, "size": 10},
                cliponaxis=False,
                hovertext=list(space.genes),
                hovertemplate=f"%{{hovertext}}: %{{y}}<extra>{escape(row.model)}</extra>",
            )
        )
    drawn.update_xaxes(tickvals=list(range(len(base))), ticktext=list(space.genes), showgrid=False)
    drawn.update_yaxes(rangemode="tozero")
    values = "; ".join(
        f"{name}: {' '.join(map(str, widths))}"
        for name, widths in (("uniform 1x", base), *((r.model, r.widths) for r in chosen))
    )
    caption = (
        "Channels of each gene of chosen networks, beside those of the uniform 1x network (bars). "
        "table.csv has the numbers."
    )
    return Figure("channels", title, caption, drawn, f"{' '.join(space.genes)}: {values}")


def _table(report: Report) -> Figure:
    """Accuracy against FLOPs of the table, as Figure 1 of the paper has it."""
    listed = rows(report)
    drawn = _empty("accuracy (%)", _FLOPS_AXIS)
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
            shown += [r.flops for r, _ in known]
            drawn.add_trace(
                go.Scatter(
                    name=f"{kind} ({sort})",
                    x=[r.flops for r, _ in known],
                    y=[top1 for _, top1 in known],
                    mode="lines+markers" if kind == "uniform" else "markers",
                    line={"color": color, "dash": dash, "width": 1.5},
                    marker={"color": color, "symbol": symbol + end, "size": 11},
                    hovertext=[f"<b>{escape(r.model)}</b>" for r, _ in known],
                    hovertemplate="%{hovertext}<br>%{y:.2f} %, %{x:.4~s} FLOPs"
                    f"<extra>{sort}</extra>",
                )
            )
    caption = (
        "All networks of the table. Open symbols: validation images, after the search's short "
        "training; filled ones: test images, after a final training. The two are not to be "
        "compared with each other."
    )
    if not shown:
        return Figure("accuracy-flops", "Accuracy against FLOPs", "Nothing is finished yet.", None)
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
            f" A tap on the legend shows what is published ({paper.source}; test images, as final "
            "trainings)."
        )
    drawn.update_xaxes(type="log", **_ticks(shown))
    drawn.update_layout(showlegend=True)
    return Figure("accuracy-flops", "Accuracy against FLOPs", caption, drawn)


def _top1(row: Row, sort: str) -> float | None:
    return row.final_top1 if sort == "final, test" else row.search_top1


def _importance(report: Report) -> Figure:
    title, found = "Importance of each gene", importances(report)
    if found is None:
        caption = (
            f"{len(report.search)} candidates are finished; it takes {ENOUGH} to tell which genes "
            "matter."
        )
        return Figure("importance", title, caption, None)
    drawn = _empty(None, "share (%)")
    for name, color, pattern, shares in (
        ("accuracy", BLUE, "", [i.accuracy for i in found]),
        ("FLOPs", ORANGE, "/", [i.flops for i in found]),
    ):
        drawn.add_trace(
            go.Bar(
                name=name,
                orientation="h",
                y=[i.gene for i in found],
                x=[100 * share for share in shares],
                marker={
                    "color": color,
                    "pattern": {"shape": pattern, "fillmode": "overlay", "fgcolor": PAPER},
                },
                hovertemplate=f"%{{y}}: %{{x:.1f}} % of {name}<extra></extra>",
            )
        )
    drawn.update_yaxes(autorange="reversed")
    first = max(found, key=lambda i: i.accuracy)
    caption = (
        f"How much each gene tells the {len(report.search)} searched networks apart, in accuracy "
        "and in FLOPs: mean decrease of impurity of a random forest. A search looks where it is "
        f"good, so this holds there. Accuracy hangs most on {first.gene} "
        f"({100 * first.accuracy:.0f} %)."
    )
    return Figure("importance", title, caption, drawn)


def _empty(y_title: str | None, x_title: str | None) -> go.Figure:
    """Axes in colours that `DARK` knows, on what lies behind."""
    axis: dict[str, Any] = {"gridcolor": GRID, "linecolor": GRID, "zeroline": False}
    axis |= {"automargin": True, "ticks": "outside", "tickcolor": GRID, "showline": True}
    drawn = go.Figure()
    drawn.update_layout(
        template="none",
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis={**axis, "title": {"text": x_title, "standoff": 8}},
        yaxis={**axis, "title": {"text": y_title, "standoff": 8}},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        hoverlabel={"align": "left", "bgcolor": PAPER, "font": {"color": INK}},
        margin={"t": 30, "r": 16, "b": 30, "l": 30},
        uirevision="kept",  # what a reader has hidden or enlarged outlives another colour scheme
    )
    return drawn


def _ticks(flops: Sequence[float]) -> dict[str, list[object]]:
    """Ticks that are told in full; Plotly's own between decades are bare digits."""
    if not flops:
        return {}
    low, high = math.log10(min(flops)), math.log10(max(flops))
    # As many as a phone has room for.
    digits = (1, 2, 5) if high - low < 1.5 else (1, 3) if high - low < 2.5 else (1,)
    decades = range(math.floor(low), math.ceil(high) + 1)
    values = [digit * 10.0**decade for decade in decades for digit in digits]
    return {"tickvals": [*values], "ticktext": [quantity(v, digits=0) for v in values]}


def _add(
    drawn: go.Figure,
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
            x=[p.flops for p in points],
            y=[p.accuracy for p in points],
            mode="+".join(parts),
            marker=marker,
            line=line,
            text=list(labels) or None,
            textposition="bottom right",
            hovertext=[hover(p) for p in points],
            hoverinfo="text",
        )
    )
