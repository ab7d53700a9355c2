"""What all figures of a report share: colours, axes, and the record of a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from moo_bnas.evolution.scoring import errors
from moo_bnas.subject import AnyCost
from moo_bnas.units import quantity

# Okabe and Ito's palette for colour-blind readers; symbols and dashes differ as well.
BLUE, ORANGE, GREEN, RED, PINK = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7"
GREY, INK, GRID, PAPER = "#767676", "#24292f", "#d9dee3", "#ffffff"
DARK = {BLUE: "#56b4e9", GREY: "#a3a9b0", INK: "#e6e8ea", GRID: "#3b4249", PAPER: "#14181c"}
"""Replacements of colours on a dark page; colours left out suit both."""


@dataclass(frozen=True)
class Figure:
    """One figure of a report.

    Attributes:
        name: Name of its file and of its place in the page.
        title: Title of a few words.
        caption: Sentence that says what the figure shows.
        drawn: The figure itself; None if there is nothing to draw yet, and `caption` says why.
        values: Values of the figure in words, read out with the caption to those who cannot see it.
    """

    name: str
    title: str
    caption: str
    drawn: go.Figure | None
    values: str = ""


def empty(y_title: str | None, x_title: str | None) -> go.Figure:
    """Axes in colours that `DARK` can replace, on a transparent background."""
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
        uirevision="kept",  # what a reader hid or enlarged stays so in another colour scheme
    )
    return drawn


def use_cost_axis(drawn: go.Figure, costs: Sequence[float]) -> None:
    """Makes the x axis logarithmic, with ticks over these costs that are written in full."""
    drawn.update_xaxes(type="log", **_ticks(costs))


def use_accuracy_axis(drawn: go.Figure, accuracies: Sequence[float]) -> None:
    """Makes the y axis one of errors on a reversed log scale, with ticks labelled as accuracies.

    What is drawn must be errors (see `scoring.errors`). Half of the height is then for the best
    networks, of which 98 % and 99 % differ as much as 60 % and 80 %.
    """
    low, high = (float(f(errors(accuracies))) for f in (np.min, np.max))
    ticks = [digit * 10.0**decade for decade in (-1, 0, 1) for digit in (1, 2, 5)]
    drawn.update_yaxes(
        type="log",
        range=[math.log10(min(high * 1.15, 100)), math.log10(low / 1.15)],
        tickvals=ticks,
        ticktext=[f"{100 - tick:g}" for tick in ticks],
    )


def axis_title(cost: AnyCost) -> str:
    """The title of an axis of this cost: name, unit, and how it is counted."""
    unit = f" ({cost.unit})" if cost.unit else ""
    return f"{cost.title}{unit}" + (f" ({cost.note})" if cost.note else "")


def _ticks(costs: Sequence[float]) -> dict[str, list[object]]:
    """Ticks with full labels; Plotly labels those between decades with single digits."""
    if not costs:
        return {}
    low, high = math.log10(min(costs)), math.log10(max(costs))
    # As many as fit on a phone.
    digits = (1, 2, 5) if high - low < 1.5 else (1, 3) if high - low < 2.5 else (1,)
    decades = range(math.floor(low), math.ceil(high) + 1)
    values = [digit * 10.0**decade for decade in decades for digit in digits]
    return {"tickvals": [*values], "ticktext": [quantity(v, digits=0) for v in values]}
