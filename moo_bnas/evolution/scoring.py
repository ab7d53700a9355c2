"""Scores of evaluations: fitness, the front, its knee, its hypervolume.

Pure functions of accuracies in percent and of costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.polynomial import Polynomial

from moo_bnas.evolution.cost import Cost
from moo_bnas.evolution.space import FloatArray

Mode = Literal["scalar", "pareto"]
"""What a search optimises: the fitness of Eq. 4, or accuracy and cost at once."""

Number = TypeVar("Number", float, FloatArray)
Numbers = Sequence[float] | FloatArray

LEAST_ERROR = 0.1
"""Error, in percent, that smaller errors count as where errors are compared by their logarithm."""


def unclipped_fitness(
    accuracy: Number, cost: Number, reference_cost: float, trade_off: float
) -> Number:
    """Eq. 4 of Shen et al. 2019 before it is clipped at 0.

    Args:
        accuracy: Accuracy in percent.
        cost: Cost of the candidate.
        reference_cost: Cost of the uniform 1x network.
        trade_off: Lambda of Eq. 4, 4 in the paper.
    """
    return accuracy - trade_off * cost / reference_cost


def fitness(accuracy: float, cost: float, reference_cost: float, trade_off: float) -> float:
    """Eq. 4 of Shen et al. 2019: `max(accuracy - trade_off * cost / reference_cost, 0)`."""
    return max(unclipped_fitness(accuracy, cost, reference_cost, trade_off), 0.0)


@dataclass(frozen=True)
class Objective:
    """What a search optimises.

    Attributes:
        mode: `scalar`, the fitness of Eq. 4; or `pareto`, accuracy and cost at once.
        cost: Cost that is weighed against the accuracy.
        reference_cost: Cost that Eq. 4 divides by.
        trade_off: Lambda of Eq. 4.
    """

    mode: Mode
    cost: Cost
    reference_cost: float
    trade_off: float

    def minimized(self, accuracies: FloatArray, costs: FloatArray) -> FloatArray:
        """The values that the genetic algorithm minimises.

        Args:
            accuracies: Accuracies in percent, shape (n,).
            costs: Costs of the same genotypes, shape (n,).

        Returns:
            The negative fitness, shape (n, 1), in scalar mode; the negative accuracy and the log
            cost, shape (n, 2), in pareto mode.
        """
        if self.mode == "pareto":
            return np.column_stack([-accuracies, np.log(costs)])
        # Unclipped: networks that Eq. 4 clips to 0 must still rank among each other.
        return -unclipped_fitness(accuracies, costs, self.reference_cost, self.trade_off)[:, None]


def front(accuracies: Numbers, costs: Numbers) -> list[int]:
    """Indices of the points that no other point dominates, by ascending cost.

    A point dominates another if it is at least as accurate and at most as costly, and better in
    one of the two. Of points that are equal in both, all are on the front.
    """
    accuracy, cost = np.asarray(accuracies, dtype=np.float64), np.asarray(costs, dtype=np.float64)
    if not len(cost):
        return []
    # By ascending cost, a point is on the front if it is more accurate than all before it, or
    # equal to the last one that is.
    order = np.lexsort((-accuracy, cost))
    accuracy, cost = accuracy[order], cost[order]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(accuracy)[:-1]])
    better = accuracy > before
    better[0] = True
    last = np.maximum.accumulate(np.where(better, np.arange(len(cost)), 0))
    equal = (accuracy == accuracy[last]) & (cost == cost[last])
    found: list[int] = order[better | equal].tolist()
    return found


def knee(accuracies: Numbers, costs: Numbers) -> int:
    """Index of the front's knee: the point that makes the most of both axes.

    A cubic is fitted to log error over log cost. By it each point has a share of the front's range
    of log error, from the cheapest to the most expensive point, and a share of its range of log
    cost; the knee has the greatest product of the two. The fit keeps the noise of single points
    out: the products of the points themselves are nearly as great far from the knee, and their
    distances from the line that joins the ends hang on the cheapest, worst trained one. Of a front
    of fewer than three costs the knee is the most accurate point.

    Args:
        accuracies: Accuracies of the points of a front in percent, by ascending cost.
        costs: Costs of the same points.
    """
    log_errors, log_costs = np.log(errors(accuracies)), np.log(costs)
    degree = min(len(np.unique(costs)) - 1, 3)
    if degree < 2 or log_errors[0] == log_errors[-1]:
        return int(np.argmax(accuracies))
    fitted = Polynomial.fit(log_costs, log_errors, degree)(log_costs)
    return int(np.argmax((fitted[0] - fitted) * (log_costs[-1] - log_costs)))


def errors(accuracies: Numbers) -> FloatArray:
    """Errors in percent of accuracies in percent, at least `LEAST_ERROR`: they have a logarithm."""
    return np.maximum(100.0 - np.asarray(accuracies, dtype=np.float64), LEAST_ERROR)


def hypervolume(
    accuracies: Numbers, costs: Numbers, cheapest: float, most_expensive: float
) -> float:
    """Area that the points dominate, between 0 and 1.

    The axes are accuracy / 100, and log cost scaled to 0..1 between the cheapest and the most
    expensive network of the space. The reference point is accuracy 0 at the highest cost.

    Args:
        accuracies: Accuracies of the points in percent.
        costs: Costs of the same points.
        cheapest: Cost of the cheapest network of the space.
        most_expensive: Cost of the most expensive network of the space.
    """
    if not len(costs):
        return 0.0
    on = front(accuracies, costs)
    span = np.log(most_expensive / cheapest) or 1.0
    x = np.append(np.log(np.array([costs[i] for i in on]) / cheapest) / span, 1.0)
    y = np.array([accuracies[i] for i in on]) / 100
    return float(np.sum(np.diff(x) * y))
