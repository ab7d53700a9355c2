"""The sentences at the head of a report."""

from __future__ import annotations

from moo_bnas.evolution.scoring import front
from moo_bnas.report.tables import marks
from moo_bnas.results.points import Point, Report

_NEAR = (0.5, 2.0)  # points of accuracy; a difference below the first may be chance


def headline(report: Report) -> list[str]:
    """One or two sentences that compare a searched network with the uniform ones.

    Among all pairs of a marked network and a more expensive uniform one, they report the pair that
    saves the greatest share of the cost and loses at most half a point of accuracy; if there is
    none, at most two points. Uniform networks that a cheaper uniform one equals are left out. If
    both networks of the pair were finally trained, the second sentence reports the results.
    """
    if report.best is None:
        return ["No candidate of the search has finished yet."]
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
        return [f"{so_far}; no marked network is ahead of uniform widening."]
    return [f"{so_far}; no uniform network has finished yet to compare it with."]


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
