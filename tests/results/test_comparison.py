from __future__ import annotations

from dataclasses import replace

import pytest

from moo_bnas.results.comparison import comparisons
from moo_bnas.results.points import Report
from moo_bnas.results.repeats import Confirmed

ONE, TWO = (1.0,) * 6, (2.0,) * 6
KNEE, BEATEN, MOST = (0.25, 2, 0.25, 0.5, 2, 0.5), (1, 1, 1, 1, 1, 0.5), (1, 1, 2, 1, 1, 2)


def confirm(report: Report, **means: tuple[float, float | None]) -> Report:
    names = {"one": ONE, "two": TWO, "knee": KNEE, "beaten": BEATEN, "most": MOST}
    points = {p.ratios: p for p in report.points if p.precision == "binary"}
    return replace(
        report,
        confirmed={
            (names[name], points[names[name]].precision): Confirmed(*values, 3)
            for name, values in means.items()
        },
    )


def test_each_network_stands_beside_the_cheapest_uniform_one_that_is_not_cheaper(
    report: Report,
) -> None:
    report = confirm(
        report, one=(70.0, 0.4), two=(90.0, 0.0), knee=(88.0, 0.3), beaten=(69.5, 0.3), most=(91, 1)
    )
    found = comparisons(report)
    assert [(c.searched.trial, c.uniform.ratios[0]) for c in found] == [(1, 1), (2, 1), (3, 2)]
    # By hand: errors 0.3 and 0.4 add to 0.5.
    assert [c.difference for c in found] == [18.0, -0.5, 1.0]
    assert [c.standard_error for c in found] == pytest.approx([0.5, 0.5, 1.0])
    assert found[0].share == 1074 / 3306
    assert [c.verdict for c in found] == [
        *("more accurate", "level within the noise", "level within the noise"),
    ]


def test_a_network_is_ahead_or_behind_beyond_two_standard_errors_only(report: Report) -> None:
    def verdict(difference: float, error: float | None) -> str:
        (it,) = comparisons(confirm(report, one=(70, 0.0), knee=(70 + difference, error)))
        return it.verdict

    assert verdict(2.125, 1.0) == "more accurate"
    assert verdict(2.0, 1.0) == verdict(-2.0, 1.0) == "level within the noise"
    assert verdict(-2.125, 1.0) == "less accurate"
    assert verdict(9.0, None) == "one run only, noise unknown"


def test_a_uniform_network_without_any_in_its_range_gets_the_next_cheaper_one(
    report: Report,
) -> None:
    found = comparisons(confirm(report, one=(70, 0.1), two=(90, 0.1), knee=(88, 0.1)))
    assert [(c.searched.trial, c.uniform.ratios[0]) for c in found] == [(1, 1), (1, 2)]
    widest = replace(report.search[3], trial=9, ratios=TWO)
    on_front = replace(report, points=(*report.points, widest))
    found = comparisons(confirm(on_front, one=(70, 0.1), two=(90, 0.1), knee=(88, 0.1)))
    assert [(c.searched.trial, c.uniform.ratios[0]) for c in found] == [(1, 1)]


def test_nothing_is_compared_without_repeats(report: Report) -> None:
    assert comparisons(report) == []
    assert comparisons(confirm(report, knee=(88, 0.1))) == []
    assert comparisons(confirm(report, one=(70, 0.1))) == []
