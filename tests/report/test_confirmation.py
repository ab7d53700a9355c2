from __future__ import annotations

from dataclasses import replace

from moo_bnas.report.confirmation import confirmation
from moo_bnas.results.points import Report
from moo_bnas.results.repeats import Confirmed


def test_a_confirmed_network_is_compared_in_one_line(report: Report) -> None:
    assert confirmation(report) == []
    knee = report.search[1]
    confirmed = {
        ((1.0,) * 6, knee.precision): Confirmed(70.0, 0.4, 3),
        (knee.ratios, knee.precision): Confirmed(88.0, 0.3, 3),
    }
    # By hand: 1074 / 3306 and 1074 / 7764 FLOPs; errors 0.3 and 0.4 add to 0.5.
    assert confirmation(replace(report, confirmed=confirmed)) == [
        "trial 1 beside uniform 1x, at 0.32 of its FLOPs: +18.00 ± 0.50 points, more accurate"
    ]
    confirmed[knee.ratios, knee.precision] = Confirmed(88.0, None, 1)
    assert confirmation(replace(report, confirmed=confirmed)) == [
        "trial 1 beside uniform 1x, at 0.32 of its FLOPs: +18.00 points, one run only, noise "
        "unknown"
    ]
    confirmed[(2.0,) * 6, knee.precision] = Confirmed(92.0, 0.4, 3)
    confirmed[knee.ratios, knee.precision] = Confirmed(88.0, 0.3, 3)
    (line,) = confirmation(replace(report, confirmed=confirmed))
    assert line.endswith(
        ", more accurate; beside uniform 2x, at 0.14 of its FLOPs: -4.00 ± 0.50 points, less "
        "accurate"
    )
