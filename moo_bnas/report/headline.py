"""What a report says first."""

from __future__ import annotations

from moo_bnas.evolution.scoring import front
from moo_bnas.report.tables import marks
from moo_bnas.results.points import Point, Report

_NEAR = (0.5, 2.0)  # points of accuracy; what is closer than the first may be chance


def headline(report: Report) -> list[str]:
    """A sentence or two, true of the data: how a searched network stands beside the uniform ones.

    Of all pairs of a marked network and a dearer uniform one it tells of the one that saves the
    greatest share of FLOPs, at up to half a point less accuracy; where there is none, at up to two
    points. Uniform networks that a cheaper uniform one equals are no match. Where both were finally
    trained, it tells what came of it.
    """
    if report.best is None:
        return ["No candidate of the search is finished yet."]
    uniform = [p for p in report.references if p.precision == "binary"]
    rivals = [uniform[i] for i in front([p.accuracy for p in uniform], [p.cost for p in uniform])]
    for near in _NEAR:
        pairs = [
            (p, mark, rival)
            for p, mark in marks(report)
            for rival in rivals
            if p.cost < rival.cost and p.accuracy >= rival.accuracy - near
        ]
        if pairs:
            p, mark, rival = min(pairs, key=lambda pair: pair[0].cost / pair[2].cost)
            return [
                f"The network marked {mark} {_beside(p.accuracy - rival.accuracy)} "
                f"uniform {rival.ratios[0]:g}x with {100 * p.cost / rival.cost:.0f} % of its "
                f"{report.cost.title} (on validation images).",
                *_in_the_end(report, p, rival),
            ]
    so_far = (
        f"The fittest of {len(report.search)} candidates reaches {report.best.accuracy:.2f} % "
        f"with {report.cost.amount(report.best.cost)} {report.cost.title} (on validation images)"
    )
    if uniform:
        return [f"{so_far}; none of those marked is ahead of uniform widening."]
    return [f"{so_far}; no uniform network is finished yet to compare it with."]


def _beside(gain: float) -> str:
    if gain > 0:
        return f"is {gain:.2f} points more accurate than"
    return f"comes within {-gain:.2f} points of" if gain < 0 else "is as accurate as"


def _in_the_end(report: Report, point: Point, rival: Point) -> list[str]:
    tested = {f.ratios: f.accuracy for f in report.finals if f.precision == "binary"}
    if point.ratios not in tested or rival.ratios not in tested:
        return []
    return [
        f"Finally trained, it reaches {tested[point.ratios]:.2f} % and uniform "
        f"{rival.ratios[0]:g}x {tested[rival.ratios]:.2f} % (on test images)."
    ]
