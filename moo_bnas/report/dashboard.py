"""What a report puts into optuna-dashboard: a note, and the front as a figure."""

from __future__ import annotations

from moo_bnas.report.headline import headline
from moo_bnas.report.style import PAPER
from moo_bnas.report.tables import as_markdown
from moo_bnas.report.trade_off import front_figure
from moo_bnas.results.points import Report


def note(report: Report) -> str:
    """The head of the report and its table, in Markdown."""
    return "\n\n".join([*headline(report), as_markdown(report)])


def figures(report: Report) -> dict[str, str]:
    """Plotly's JSON of the front, by the name of the figure; empty while there is nothing to draw.

    Texts that appear under the pointer are left out: those of a long search are megabytes, which
    the dashboard would load again and again. The paper is white, as lines and letters are dark.
    """
    drawn = front_figure(report).drawn
    if drawn is None:
        return {}
    drawn.update_traces(hovertext=None, customdata=None, hoverinfo="x+name")
    drawn.update_layout(paper_bgcolor=PAPER, plot_bgcolor=PAPER)
    return {"front": drawn.to_json()}
