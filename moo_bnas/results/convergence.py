"""How a search improved from evaluation to evaluation. Pure data."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from moo_bnas.definition import Definition
from moo_bnas.evolution.scoring import front, hypervolume
from moo_bnas.storage import Trial


@dataclass(frozen=True)
class Step:
    """The state of a search after an evaluation.

    Attributes:
        evaluations: Number of evaluations that were finished, failed ones included.
        seconds: Seconds so far in which at least one candidate was in training; pauses, in which
            nobody worked on the run, do not count.
        score: Best fitness, or hypervolume, of all candidates that were finished by then.
    """

    evaluations: int
    seconds: float
    score: float


def convergence(definition: Definition, mode: str, trials: Sequence[Trial]) -> tuple[Step, ...]:
    """The course of a search, in the order in which its evaluations were finished.

    Evaluations before the first success have no score, and no step.

    Args:
        definition: Definition of the run.
        mode: `scalar` for the best fitness so far; `pareto` for the hypervolume so far (both as
            `score.score_of` defines them).
        trials: Trials of the search.
    """
    spent = _in_training(trials)
    ended = [(t.ended, t.number, t) for t in trials if t.ended is not None]
    weighed, (cheapest, most_expensive) = definition.cost.name, definition.cost_range()
    best = float("-inf")
    # Only the front so far is kept: the hypervolume depends on nothing else, and stays cheap.
    accuracies: list[float] = []
    costs: list[float] = []
    steps: list[Step] = []
    for count, (at, _, trial) in enumerate(sorted(ended, key=lambda e: e[:2]), start=1):
        if trial.evaluation is not None:
            accuracy, cost = trial.evaluation.accuracy, trial.costs[weighed]
            if mode == "scalar":
                best = max(best, trial.fitness)
            elif not any(
                a >= accuracy and c <= cost for a, c in zip(accuracies, costs, strict=True)
            ):
                accuracies.append(accuracy)
                costs.append(cost)
                on = front(accuracies, costs)
                accuracies, costs = [accuracies[i] for i in on], [costs[i] for i in on]
                best = hypervolume(accuracies, costs, cheapest, most_expensive)
        if best > float("-inf"):
            steps.append(Step(count, spent(at), best))
    return tuple(steps)


def _in_training(trials: Sequence[Trial]) -> Callable[[datetime], float]:
    """A function that gives the seconds before a moment in which any of these was in training."""
    last = max((t.ended for t in trials if t.ended is not None), default=None)
    spans = sorted(
        (t.started, end)
        for t in trials
        if t.started is not None and (end := t.ended or last) is not None and end > t.started
    )
    merged: list[tuple[datetime, datetime]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    before = [0.0, *accumulate((end - start).total_seconds() for start, end in merged)]
    starts = [start for start, _ in merged]

    def seconds(moment: datetime) -> float:
        place = bisect_right(starts, moment)
        if not place:
            return 0.0
        start, end = merged[place - 1]
        return before[place - 1] + (min(moment, end) - start).total_seconds()

    return seconds
