"""How a search improved from evaluation to evaluation. Pure data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moo_bnas.definition import Definition
from moo_bnas.evolution.scoring import front, hypervolume
from moo_bnas.storage import Trial


@dataclass(frozen=True)
class Step:
    """The state of a search after an evaluation.

    Attributes:
        evaluations: Number of evaluations that were finished, failed ones included.
        hours: Hours since the first candidate was begun; pauses count.
        score: Best fitness, or hypervolume, of all candidates that were finished by then.
    """

    evaluations: int
    hours: float
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
    begun = min((t.started for t in trials if t.started is not None), default=None)
    ended = [(t.ended, t.number, t) for t in trials if t.ended is not None]
    cheapest, most_expensive = definition.cost_range()
    best = float("-inf")
    # Only the front so far is kept: the hypervolume depends on nothing else, and stays cheap.
    accuracies: list[float] = []
    costs: list[float] = []
    steps: list[Step] = []
    for count, (at, _, trial) in enumerate(sorted(ended, key=lambda e: e[:2]), start=1):
        if trial.evaluation is not None:
            accuracy, flops = trial.evaluation.accuracy, trial.costs["flops"]
            if mode == "scalar":
                best = max(best, trial.fitness)
            elif not any(
                a >= accuracy and c <= flops for a, c in zip(accuracies, costs, strict=True)
            ):
                accuracies.append(accuracy)
                costs.append(flops)
                on = front(accuracies, costs)
                accuracies, costs = [accuracies[i] for i in on], [costs[i] for i in on]
                best = hypervolume(accuracies, costs, cheapest, most_expensive)
        if best > float("-inf") and begun is not None:
            steps.append(Step(count, (at - begun).total_seconds() / 3600, best))
    return tuple(steps)
