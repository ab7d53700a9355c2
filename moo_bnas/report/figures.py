"""All figures of a report, drawn with Plotly."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go

from moo_bnas.report.style import BLUE, GREEN, GREY, ORANGE, PAPER, PINK, RED, Figure, empty
from moo_bnas.report.tables import marks, rows
from moo_bnas.report.trade_off import front_figure, table_figure
from moo_bnas.results.importance import ENOUGH, importances
from moo_bnas.results.points import Report
from moo_bnas.units import duration, time_unit

_NETWORKS = (
    (BLUE, "circle", "solid"),
    (GREEN, "star", "dash"),
    (RED, "diamond", "dot"),
    (PINK, "triangle-up", "dashdot"),
)


def figures(report: Report) -> list[Figure]:
    """All figures of a report, in order."""
    return [
        front_figure(report),
        *_convergence(report),
        *([_channels(report), table_figure(report)] if report.has_widths else []),
        _importance(report),
    ]


def _convergence(report: Report) -> list[Figure]:
    title = f"Convergence: {report.score_name}"
    steps = report.convergence
    if not steps:
        caption = "No candidate of the search has finished yet."
        return [Figure("convergence-evaluations", title, caption, None)]
    what = (
        "Best fitness (Eq. 4) so far"
        if report.mode == "scalar"
        else f"Share of the space's accuracy and log {report.cost.title} that the front dominates"
    )
    alone = ""
    if report.uniform_score is not None:
        alone = f"; the uniform networks alone have {report.uniform_score:.4g}"
    unit, seconds = time_unit(steps[-1].seconds)
    found = []
    for against, of, axis, x in (
        ("evaluations", "evaluations", "finished evaluations", [s.evaluations for s in steps]),
        ("time", unit, f"{unit} of training", [s.seconds / seconds for s in steps]),
    ):
        drawn = empty(report.score_name, axis)
        drawn.add_trace(
            go.Scatter(
                name="search",
                x=x,
                y=[step.score for step in steps],
                mode="lines" if len(steps) > 1 else "markers",
                line={"color": BLUE, "width": 2, "shape": "hv"},
                hovertemplate=f"%{{y:.4f}} after %{{x:.4~g}} {of}<extra></extra>",
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
        if against == "time":
            caption = (
                "The same against the time in which candidates were in training, pauses left out: "
                f"{duration(steps[-1].seconds)} so far."
            )
        found.append(Figure(f"convergence-{against}", f"{title} against {against}", caption, drawn))
    return found


def _channels(report: Report) -> Figure:
    """Channels of each gene, like Figure 2 of the paper."""
    title, listed = "Channels per layer", rows(report)
    marked = {(p.ratios, p.precision) for p, _ in marks(report)[:2]}
    tested = [r for r in listed if r.final_top1 is not None and not r.is_uniform]
    wanted = [r for r in listed if (r.ratios, r.precision) in marked]
    wanted += [r for r in tested if r not in wanted]
    space, base = report.space, report.definition.make_network().base_widths
    chosen = [r for r in wanted if r.ratios != space.of_ratio(1.0)][: len(_NETWORKS)]
    own = len(base) - space.bit_genes
    genes, bits, base = space.genes[:own], space.genes[own:], base[:own]
    if not chosen:
        return Figure("channels", title, "No searched network has been chosen yet.", None)
    drawn = empty("channels", None)
    drawn.add_trace(
        go.Bar(
            name="uniform 1x",
            x=list(range(len(base))),
            y=list(base),
            marker={"color": GREY, "opacity": 0.4},
            hovertext=list(genes),
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
                hovertext=list(genes),
                hovertemplate=f"%{{hovertext}}: %{{y}}<extra>{escape(row.model)}</extra>",
            )
        )
        if bits:
            drawn.add_trace(
                go.Scatter(
                    x=[gene + aside for gene in range(own, own + len(bits))],
                    y=list(row.bits),
                    yaxis="y2",
                    mode="markers",
                    marker={"color": color, "symbol": symbol, "size": 10},
                    cliponaxis=False,
                    showlegend=False,
                    hovertext=list(bits),
                    hovertemplate=f"%{{hovertext}}: %{{y}}<extra>{escape(row.model)}</extra>",
                )
            )
    names = [*genes, *bits]
    drawn.update_xaxes(tickvals=list(range(len(names))), ticktext=names, showgrid=False)
    drawn.update_yaxes(rangemode="tozero")
    if bits:
        _add_bits_axis(drawn, space.bits[-1])
    values = "; ".join(
        f"{name}: {' '.join(map(str, numbers))}"
        for name, numbers in (
            ("uniform 1x", base),
            *((r.model, (*r.widths, *r.bits)) for r in chosen),
        )
    )
    caption = (
        "Channels of each gene of chosen networks, beside the channels of the uniform 1x network "
        f"(bars){'; on the right, bits of activations' if bits else ''}. table.csv has the numbers."
    )
    return Figure("channels", title, caption, drawn, f"{' '.join(space.genes)}: {values}")


def _add_bits_axis(drawn: go.Figure, most: int) -> None:
    """A second y axis, on the right, for bits of activations."""
    drawn.update_layout(
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "title": {"text": "bits", "standoff": 8},
            "range": [0, most + 0.5],
            "tickvals": list(range(1, most + 1)),
            "showgrid": False,
            "automargin": True,
        }
    )


def _importance(report: Report) -> Figure:
    title, found = "Importance of each gene", importances(report)
    if found is None:
        caption = (
            f"{len(report.search)} candidates have finished; at least {ENOUGH} are needed to show "
            "which genes matter."
        )
        return Figure("importance", title, caption, None)
    drawn = empty(None, "share (%)")
    for name, color, pattern, shares in (
        ("accuracy", BLUE, "", [i.accuracy for i in found]),
        (report.cost.title, ORANGE, "/", [i.cost for i in found]),
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
        f"How much each gene explains of the differences between the {len(report.search)} searched "
        f"networks, in accuracy and in {report.cost.title}: mean decrease of impurity in a random "
        "forest. A search samples good networks more often, so this holds for good networks. "
        f"Accuracy depends most on {first.gene} ({100 * first.accuracy:.0f} %)."
    )
    return Figure("importance", title, caption, drawn)
