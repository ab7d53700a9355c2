"""Runs that differ in their seed alone, summed up: spread of the score, and the joint front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from moo_bnas.evolution.scoring import front
from moo_bnas.results.points import Point, Report
from moo_bnas.subject import AnyCost
from moo_bnas.units import count


@dataclass(frozen=True)
class Seeds:
    """Several finished runs of one definition.

    Attributes:
        mode: `scalar` or `pareto`.
        score_name: Name of the score: `best fitness` or `hypervolume`, by mode.
        cost: Cost that accuracy is weighed against.
        scores: Score of each run, by the name of its study.
        front: Points that no point of any run dominates in `believed` accuracy and cost, by
            ascending cost, each with the study that it is from. A network that several runs found
            is there once.
    """

    mode: str
    score_name: str
    cost: AnyCost
    scores: dict[str, float]
    front: tuple[tuple[str, Point], ...]

    @property
    def mean(self) -> float:
        """The mean score."""
        return fmean(self.scores.values())

    @property
    def standard_error(self) -> float | None:
        """The standard error of the mean; None of a single run."""
        runs = len(self.scores)
        return None if runs < 2 else stdev(self.scores.values()) / runs**0.5

    def as_document(self) -> dict[str, Any]:
        """What `seeds.json` holds."""
        return {
            "mode": self.mode,
            "score": self.score_name,
            "runs": [{"study": name, "score": score} for name, score in self.scores.items()],
            "mean": self.mean,
            "standard_error": self.standard_error,
            "front": [
                {
                    "study": study,
                    "trial": point.trial,
                    "ratios": list(point.ratios),
                    "accuracy": point.accuracy,
                    "estimate": point.estimate,
                    "estimate_sd": point.estimate_sd,
                    **point.costs,
                    "fitness": point.fitness,
                }
                for study, point in self.front
            ],
        }

    def as_text(self) -> str:
        """What people read."""
        error = "" if self.standard_error is None else f" ± {self.standard_error:.4f}"
        lines = [f"{name:<24} {score:.4f}" for name, score in self.scores.items()]
        lines.append(f"{'mean ' + self.score_name:<24} {self.mean:.4f}{error}")
        lines.append(f"joint front of {count(len(self.front), 'network')}")
        for study, point in self.front:
            ratios = " ".join(f"{r:g}" for r in point.ratios)
            estimate = ""
            if point.estimate is not None and point.estimate_sd is not None:
                estimate = f"estimate {point.estimate:.1f} ± {point.estimate_sd:.1f} %  "
            lines.append(
                f"  {point.accuracy:6.2f} %  {estimate}{self.cost.amount(point.cost):>9} "
                f"{self.cost.title}  {ratios}  ({study} trial {point.trial})"
            )
        return "\n".join(lines)


def joined(reports: Sequence[Report]) -> Seeds:
    """Sums up the reports of runs, of which each has at least one finished candidate."""
    found: dict[tuple[float, ...], tuple[str, Point]] = {}
    for report in reports:
        for point in report.front:
            found.setdefault(point.ratios, (report.study, point))
    points = list(found.values())
    on = front([p.believed for _, p in points], [p.cost for _, p in points])
    scores = {r.study: r.convergence[-1].score for r in reports if r.convergence}
    return Seeds(
        mode=reports[0].mode,
        score_name=reports[0].score_name,
        cost=reports[0].cost,
        scores=scores,
        front=tuple(points[i] for i in on),
    )
