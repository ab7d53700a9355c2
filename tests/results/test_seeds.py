from __future__ import annotations

from dataclasses import replace

import pytest

from moo_bnas.results.points import Report
from moo_bnas.results.seeds import joined


def test_the_joint_front_goes_by_what_is_believed(report: Report) -> None:
    """The other run measured 95 % by luck, and believes 85 %: less than the first run's 90 %."""
    lucky = replace(report.search[1], trial=8, accuracy=95.0, estimate=85.0, estimate_sd=1.5)
    lucky = replace(lucky, ratios=(0.25, 2, 0.25, 0.5, 2, 1), cost=lucky.cost + 50)
    kept = replace(report.search[1], trial=9, estimate=92.0, estimate_sd=0.5, ratios=(0.5,) * 6)
    other = replace(report, study="t", points=(lucky, replace(kept, cost=kept.cost + 100)))
    found = joined([report, other])
    assert [(study, p.trial) for study, p in found.front] == [("s", 0), ("s", 1), ("t", 9)]
    assert (found.mean, found.standard_error) == (0.75, 0.0)
    document = found.as_document()["front"][2]
    assert (document["accuracy"], document["estimate"], document["estimate_sd"]) == (
        90.0,
        92.0,
        0.5,
    )
    assert "90.00 %  estimate 92.0 ± 0.5 %" in found.as_text()
    assert "mean hypervolume         0.7500 ± 0.0000" in found.as_text()


def test_a_single_run_has_no_standard_error(report: Report) -> None:
    assert joined([report]).standard_error is None
    assert joined([report]).mean == pytest.approx(0.75)
