"""What repeats of training runs with other seeds say, in words."""

from __future__ import annotations

from itertools import groupby

from moo_bnas.results.comparison import Comparison, comparisons
from moo_bnas.results.naming import called
from moo_bnas.results.points import Report


def confirmation(report: Report) -> list[str]:
    """A line for each confirmed network, beside uniform ones; none without repeats."""
    by_network = groupby(comparisons(report), lambda each: each.searched)
    return [
        f"{called(report.space, point.ratios, 'binary', point.trial)} beside "
        + "; beside ".join(_beside(report, each) for each in its)
        for point, its in by_network
    ]


def _beside(report: Report, it: Comparison) -> str:
    rival = called(report.space, it.uniform.ratios, "binary", None)
    error = "" if it.standard_error is None else f" ± {it.standard_error:.2f}"
    share = f"{it.share:.2f} of its {report.cost.title}"
    return f"{rival}, at {share}: {it.difference:+.2f}{error} points, {it.verdict}"
