from __future__ import annotations

from dataclasses import replace

from moo_bnas.report.headline import headline
from moo_bnas.results.points import Report


def test_it_reports_the_greatest_saving_at_almost_no_loss(report: Report) -> None:
    # The knee is 20 points above uniform 1x with 1074 of 3306 FLOPs, and 0.4 below uniform 2x
    # with 1074 of 7764.
    assert headline(report) == [
        "The network marked knee comes within 0.40 points of uniform 2x with 14 % of its FLOPs "
        "(on validation images).",
        "Finally trained, it reaches 92.50 % and uniform 2x 93.00 % (on test images).",
    ]


def test_it_claims_no_more_than_there_is(report: Report, empty: Report) -> None:
    # Uniform 2x reaches 94: the most accurate is 3 below, so the knee beside uniform 1x is left.
    better = tuple(
        replace(p, accuracy=94.0) if (p.kind, p.ratios[0], p.precision) == expensive else p
        for expensive in [("baseline", 2.0, "binary")]
        for p in report.points
    )
    assert headline(replace(report, points=better, finals=())) == [
        "The network marked knee is 20.00 points more accurate than uniform 1x with 32 % of its "
        "FLOPs (on validation images)."
    ]
    behind = tuple(replace(p, accuracy=p.accuracy + 50 * (p.kind != "search")) for p in better)
    assert headline(replace(report, points=behind)) == [
        "The fittest of 4 candidates reaches 90.00 % with 1.07 k FLOPs (on validation images); "
        "no marked network is ahead of uniform widening."
    ]
    alone = replace(report, points=tuple(report.search))
    assert headline(alone)[0].endswith("no uniform network has finished yet to compare it with.")
    assert headline(empty) == ["No candidate of the search has finished yet."]
