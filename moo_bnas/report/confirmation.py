"""What repeats of training runs with other seeds say, in words."""

from __future__ import annotations

from moo_bnas.results.comparison import Comparison, comparisons
from moo_bnas.results.naming import called
from moo_bnas.results.points import Report


def confirmation(report: Report) -> list[str]:
    """A line for each confirmed network, beside a uniform one; none without repeats."""
    return [_line(report, each) for each in comparisons(report)]


def _line(report: Report, it: Comparison) -> str:
    name = called(report.space, it.searched.ratios, "binary", it.searched.trial)
    rival = called(report.space, it.uniform.ratios, "binary", None)
    error = "" if it.standard_error is None else f" ± {it.standard_error:.2f}"
    share = f"{it.share:.2f} of its {report.cost.title}"
    return f"{name} beside {rival}, at {share}: {it.difference:+.2f}{error} points, {it.verdict}"
