"""A screen that proposes what a Gaussian process expects to improve most.

A pool of candidates evolves on the process; the proposals are those whose expected improvement is
greatest, chosen one after the other, each as if the ones before had come out as expected
(Ginsbourger et al., "Kriging is well-suited to parallelize optimization", 2010). Accuracies are
uncertain and costs are known exactly, so the expected gain in hypervolume has a closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from moo_bnas.evolution.candidates import Candidates
from moo_bnas.evolution.cost import Cost
from moo_bnas.evolution.fits import Fits
from moo_bnas.evolution.gaussian_process import GaussianProcess, fit
from moo_bnas.evolution.prior import Prior
from moo_bnas.evolution.scoring import Objective, front, unclipped_fitness
from moo_bnas.evolution.screening import History
from moo_bnas.evolution.space import FloatArray, IntArray

_ROUNDS, _OFFSPRING, _SPREAD = 3, 800, 200  # rounds of breeding, offspring in each, random ones
_SHORTLIST = 500  # candidates that the proposals are chosen from
_FEW = 100  # candidates whose deviation stands for all, until there is a shortlist
_AT_ONCE = 32  # candidates whose gains are computed again together
_PARENTS = 32  # of a round, where fitness is one number
_CONDITION_ON = 640  # evaluations that a prediction looks at, at most: its time grows with n^2
_MARGIN = 0.1  # by which the reference point lies beyond the ends, as a share of the range


class ModelScreen:
    """Screens candidates by a Gaussian process (see `Screen`).

    Args:
        choices: The number of choices of each gene.
        prior: What another search found, as a prior mean.
    """

    def __init__(self, choices: Sequence[int], prior: Prior | None = None) -> None:
        self._choices = choices
        self._fits = Fits(choices, prior)

    def choose(
        self,
        history: History,
        objective: Objective,
        candidates: Candidates,
        number: int,
        rng: np.random.Generator,
    ) -> IntArray:
        """Chooses candidates, the best first; see `Screen.choose`."""
        known = np.isfinite(history.accuracies)
        genotypes, accuracies = history.genotypes[known], history.accuracies[known]
        costs = history.costs[known]
        process = self._process(genotypes, accuracies, costs, objective)
        pool = _evolved(process, genotypes, accuracies, costs, objective, candidates, rng)
        gains: _HypervolumeGains | _FitnessGains
        if objective.mode == "scalar":
            gains = _FitnessGains(objective, accuracies, costs)
        else:
            ends = np.stack([np.zeros_like(candidates.choices), candidates.choices - 1])
            gains = _HypervolumeGains(accuracies, costs, *objective.cost.of(ends).tolist())
        if len(running := history.running):
            gains.suppose(process.mean(running), objective.cost.of(running))
            process = process.supposing(running)
        return _greedy(process, pool, gains, number)

    def _process(
        self,
        genotypes: IntArray,
        accuracies: FloatArray,
        costs: FloatArray,
        objective: Objective,
    ) -> GaussianProcess:
        hyperparameters, mean_function = self._fits.of(genotypes, accuracies)
        if len(genotypes) > _CONDITION_ON:
            order = _by_promise(accuracies, costs, objective)
            rest = order[_CONDITION_ON // 2 :]
            some = np.linspace(0, len(rest) - 1, _CONDITION_ON // 2).astype(np.int64)
            chosen = np.sort(np.concatenate([order[: _CONDITION_ON // 2], rest[some]]))
            genotypes, accuracies = genotypes[chosen], accuracies[chosen]
        return fit(self._choices, genotypes, accuracies, hyperparameters, mean_function)


class _HypervolumeGains:
    """Expected gains in hypervolume of accuracy against cost, both linear.

    With the front sorted by cost c_1 < ... < c_k, its accuracies b_1 < ... < b_k, and the reference
    point (c_{k+1}, b_0), a candidate of cost c and accuracy N(m, s^2) adds a strip of width
    max(c_{j+1} - max(c_j, c), 0) above each b_j that it exceeds.
    """

    def __init__(
        self, accuracies: FloatArray, costs: FloatArray, cheapest: float, most_expensive: float
    ) -> None:
        on = front(accuracies, costs)
        self._accuracies, self._costs = accuracies[on], costs[on]
        spread = float(np.ptp(self._accuracies)) or 1.0
        self._worst = float(self._accuracies[0]) - _MARGIN * spread
        self._end = most_expensive + _MARGIN * (most_expensive - cheapest)

    def of(self, means: FloatArray, deviations: FloatArray, costs: FloatArray) -> FloatArray:
        """Expected gains of candidates, each of shape (m,)."""
        starts = np.concatenate([[-np.inf], self._costs])[:, None]
        ends = np.concatenate([self._costs, [self._end]])[:, None]
        floors = np.concatenate([[self._worst], self._accuracies])
        widths = np.maximum(ends - np.maximum(starts, costs), 0.0)
        strip, candidate = np.nonzero(widths)  # a candidate adds nothing left of its own cost
        gains = widths[strip, candidate] * _improvement(
            means[candidate], deviations[candidate], floors[strip]
        )
        return np.bincount(candidate, gains, minlength=len(costs)).astype(np.float64)

    def suppose(self, accuracies: FloatArray, costs: FloatArray) -> None:
        """Supposes that candidates were evaluated, with these results."""
        accuracies = np.concatenate([self._accuracies, accuracies])
        costs = np.concatenate([self._costs, costs])
        on = front(accuracies, costs)
        self._accuracies, self._costs = accuracies[on], costs[on]


class _FitnessGains:
    """Expected improvements of the fitness of Eq. 4, unclipped."""

    def __init__(self, objective: Objective, accuracies: FloatArray, costs: FloatArray) -> None:
        self._objective = objective
        self._best = float(self._fitness(accuracies, costs).max())

    def of(self, means: FloatArray, deviations: FloatArray, costs: FloatArray) -> FloatArray:
        return _improvement(self._fitness(means, costs), deviations, np.array(self._best))

    def suppose(self, accuracies: FloatArray, costs: FloatArray) -> None:
        """Supposes that candidates were evaluated, with these results."""
        self._best = max(self._best, float(self._fitness(accuracies, costs).max()))

    def _fitness(self, accuracies: FloatArray, costs: FloatArray) -> FloatArray:
        objective = self._objective
        return unclipped_fitness(accuracies, costs, objective.reference_cost, objective.trade_off)


def _improvement(means: FloatArray, deviations: FloatArray, floor: FloatArray) -> FloatArray:
    """Expected value of max(N(means, deviations^2) - floor, 0)."""
    z = (means - floor) / deviations
    found: FloatArray = deviations * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi))
    return found


class _Pool(NamedTuple):
    """Candidates with what is expected of them and what they cost."""

    genotypes: IntArray
    means: FloatArray
    costs: FloatArray

    @staticmethod
    def of(genotypes: IntArray, process: GaussianProcess, cost: Cost) -> _Pool:
        return _Pool(genotypes, process.mean(genotypes), cost.of(genotypes))

    def at(self, indices: IntArray) -> _Pool:
        return _Pool(self.genotypes[indices], self.means[indices], self.costs[indices])

    def distinct(self) -> _Pool:
        return self.at(np.unique(self.genotypes, axis=0, return_index=True)[1])


def _joined(*pools: _Pool) -> _Pool:
    return _Pool(*(np.concatenate(values) for values in zip(*pools, strict=True))).distinct()


def _evolved(
    process: GaussianProcess,
    genotypes: IntArray,
    accuracies: FloatArray,
    costs: FloatArray,
    objective: Objective,
    candidates: Candidates,
    rng: np.random.Generator,
) -> _Pool:
    """A pool of candidates: some spread over all costs, others bred from what is expected best."""
    pools = [_Pool.of(candidates.spread(_SPREAD, rng), process, objective.cost)]
    evaluated = _Pool(genotypes, process.mean(genotypes), costs)
    parents = _joined(
        evaluated.at(_best(accuracies, costs, objective)),
        evaluated.at(_best(evaluated.means, costs, objective)),
    )
    for _ in range(_ROUNDS):
        offspring = candidates.mate(parents.genotypes, _OFFSPRING, rng)
        pools.append(_Pool.of(offspring, process, objective.cost))
        both = _joined(parents, pools[-1])
        parents = both.at(_best(both.means, both.costs, objective))
    return _joined(*pools)


def _best(accuracies: FloatArray, costs: FloatArray, objective: Objective) -> IntArray:
    """Indices of the parents of a next round: two fronts, or the fittest."""
    if objective.mode == "scalar":
        return _by_promise(accuracies, costs, objective)[:_PARENTS]
    first = np.array(front(accuracies, costs))
    rest = np.setdiff1d(np.arange(len(costs)), first)
    second = rest[front(accuracies[rest], costs[rest])]
    return np.concatenate([first, second])


def _by_promise(accuracies: FloatArray, costs: FloatArray, objective: Objective) -> IntArray:
    """Indices from the most to the least useful: by fitness, or front after front."""
    if objective.mode == "scalar":
        found: IntArray = np.argsort(objective.minimized(accuracies, costs)[:, 0], kind="stable")
        return found
    left, order = np.arange(len(costs)), []
    while len(left):
        on = np.array(front(accuracies[left], costs[left]))
        order.append(left[on])
        left = np.delete(left, on)
    return np.concatenate(order)


def _greedy(
    process: GaussianProcess,
    pool: _Pool,
    gains: _HypervolumeGains | _FitnessGains,
    number: int,
) -> IntArray:
    """Candidates, each the best after those before have come out as expected; the best first."""
    # Deviations take long, so at first all candidates are given that of a few.
    few = process.outlook(pool.genotypes[:: max(len(pool.genotypes) // _FEW, 1)])
    typical = np.full(len(pool.costs), np.median(few.noisy_deviation))
    rough = gains.of(pool.means, typical, pool.costs)
    pool = pool.at(np.argsort(-rough, kind="stable")[: max(_SHORTLIST, number)])
    outlook = process.outlook(pool.genotypes)
    expected = gains.of(pool.means, outlook.noisy_deviation, pool.costs)
    chosen: list[int] = []
    for _ in range(min(number, len(expected))):
        # Gains only shrink as others are chosen, so a candidate needs no second look while its
        # earlier gain is below one that was computed again.
        deviations, stale = outlook.noisy_deviation, np.ones(len(expected), dtype=bool)
        stale[chosen] = False
        while stale[best := int(np.argmax(expected))]:
            some = np.argsort(-np.where(stale, expected, -1.0), kind="stable")[:_AT_ONCE]
            some = some[stale[some]]
            expected[some] = gains.of(pool.means[some], deviations[some], pool.costs[some])
            stale[some] = False
        chosen.append(best)
        expected[best] = -1.0
        outlook.suppose(best)
        gains.suppose(pool.means[best : best + 1], pool.costs[best : best + 1])
    return pool.genotypes[chosen]
