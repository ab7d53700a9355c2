from __future__ import annotations

import numpy as np
import pytest
from pymoo.indicators.hv import HV

from moo_bnas.evolution.algorithm import Search
from moo_bnas.evolution.cost import Budget, Cost
from moo_bnas.evolution.direct import search
from moo_bnas.evolution.model_screen import ModelScreen, _FitnessGains, _HypervolumeGains
from moo_bnas.evolution.scoring import Mode, Objective, front
from moo_bnas.evolution.space import FloatArray, Genotype

SUM = Cost("sum", "units", lambda g: 1.0 + np.asarray(g).sum(axis=1))
CHOICES = [4, 4, 4, 4]


def _accuracy(genotype: Genotype) -> float:
    a, b, c, d = np.log1p(genotype)
    return float(50 + 8 * a + 2 * b + 5 * c + d + 2 * a * c - b * d)


def _area(accuracies: FloatArray, costs: FloatArray, worst: float, end: float) -> float:
    """Hypervolume by pymoo's indicator, which shares no code with what is tested."""
    return float(HV(ref_point=np.array([end, -worst]))(np.column_stack([costs, -accuracies])))


def test_the_expected_gain_is_the_one_found_by_hand() -> None:
    # Front (2, 60), (6, 80) of costs and accuracies; costs from 1 to 11. The reference is at cost
    # 12 and accuracy 60 - .1 * 20 = 58.
    gains = _HypervolumeGains(np.array([60.0, 80.0, 55.0]), np.array([2.0, 6.0, 9.0]), 1.0, 11.0)
    sure = np.full(5, 1e-9)
    means = np.array([70.0, 59.0, 90.0, 79.0, 70.0])
    costs = np.array([4.0, 1.0, 8.0, 7.0, 1.0])
    # Left of 6: 2 x 10 above 60. Cost 1: 1 x 1 above 58. Right of 6: 4 x 10 above 80. None: it is
    # dominated. Cost 1 again: 1 x 12 above 58, then 4 x 10 above 60.
    np.testing.assert_allclose(
        gains.of(means, sure, costs), [20.0, 1.0, 40.0, 0.0, 52.0], atol=1e-6
    )
    # A mean on the floor: the expected improvement is deviation / sqrt(2 pi).
    half = gains.of(np.array([80.0]), np.array([3.0]), np.array([8.0]))
    # The strips below 80 add nothing at this cost, which is right of 6.
    assert half[0] == pytest.approx(4 * 3 / np.sqrt(2 * np.pi))
    gains.suppose(np.array([90.0]), np.array([8.0]))
    after = gains.of(np.array([90.0, 95.0]), np.full(2, 1e-9), np.array([8.0, 10.0]))
    np.testing.assert_allclose(after, [0.0, 2 * 5.0], atol=1e-6)


def test_the_expected_gain_is_the_mean_over_many_draws() -> None:
    rng = np.random.default_rng(0)
    accuracies, costs = rng.uniform(50, 90, 12), rng.uniform(1, 10, 12)
    gains = _HypervolumeGains(accuracies, costs, 1.0, 10.0)
    lowest = front(accuracies, costs)
    worst = accuracies[lowest].min() - 0.1 * np.ptp(accuracies[lowest])
    before = _area(accuracies, costs, worst, 10.9)
    for mean, deviation, cost in ((88.0, 6.0, 3.0), (80.0, 5.0, 1.5), (85.0, 20.0, 9.0)):
        drawn = mean + deviation * rng.standard_normal(1000)
        after = [
            _area(np.append(accuracies, a), np.append(costs, cost), worst, 10.9) for a in drawn
        ]
        found = gains.of(np.array([mean]), np.array([deviation]), np.array([cost]))[0]
        error = np.std(after) / np.sqrt(len(drawn))
        assert found == pytest.approx(np.mean(after) - before, abs=4 * error)


def test_the_expected_improvement_of_fitness() -> None:
    objective = Objective("scalar", SUM, 10.0, 4.0)
    # Fitness 80 - .4 * 5 = 78 and 70 - .4 = 69.6: the best is 78.
    gains = _FitnessGains(objective, np.array([80.0, 70.0]), np.array([5.0, 1.0]))
    means, costs = np.array([80.4, 90.0, 60.0]), np.array([6.0, 10.0, 1.0])
    sure = gains.of(means, np.full(3, 1e-9), costs)
    np.testing.assert_allclose(sure, [0.0, 8.0, 0.0], atol=1e-6)
    unsure = gains.of(means[:1], np.array([2.0]), costs[:1])  # its mean fitness is the best
    assert unsure[0] == pytest.approx(2 / np.sqrt(2 * np.pi))
    gains.suppose(np.array([90.0]), np.array([10.0]))
    np.testing.assert_allclose(gains.of(means, np.full(3, 1e-9), costs), 0.0, atol=1e-6)


def _search(mode: Mode, limit: float | None = None) -> Search:
    return Search(
        CHOICES,
        SUM,
        mode=mode,
        population=8,
        seed=3,
        reference_cost=5.0,
        trade_off=4.0,
        budgets=() if limit is None else (Budget(SUM, limit),),
        screen=ModelScreen(CHOICES),
    )


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_proposals_keep_budgets_and_are_distinct(mode: Mode) -> None:
    running = _search(mode, limit=7.0)
    proposed: list[Genotype] = []
    for _ in range(6):
        asked = running.ask()
        assert len(asked) == 8
        proposed += asked
        # One failed evaluation in each generation does not disturb the model.
        running.tell({g: None if i == 2 else _accuracy(g) for i, g in enumerate(asked)})
    assert len(set(proposed)) == len(proposed)
    assert max(1 + sum(g) for g in proposed) <= 7


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_a_replay_proposes_the_same(mode: Mode) -> None:
    first = _search(mode)
    told: list[dict[Genotype, float | None]] = []
    for _ in range(4):
        told.append({g: _accuracy(g) for g in first.ask()})
        first.tell(told[-1])
    again = _search(mode)
    for generation in told:
        assert again.ask() == list(generation)
        again.tell(dict(reversed(list(generation.items()))))  # results come in any order
    assert again.ask() == first.ask()


def test_a_search_with_the_model_is_better_than_one_without() -> None:
    every = np.indices(CHOICES).reshape(4, -1).T
    costs = 1.0 + every.sum(axis=1)
    accuracies = np.array([_accuracy(tuple(g)) for g in every])
    worst, end = accuracies.min() - 1, costs.max() + 1
    whole = _area(accuracies, costs, worst, end)
    shares: dict[str, list[float]] = {"gp": [], "none": []}
    for model, found in shares.items():
        for seed in range(5):
            done = search(
                _accuracy,
                lambda g: 1.0 + sum(g),
                choices=CHOICES,
                population=8,
                evaluations=40,
                seed=seed,
                model=model,  # type: ignore[arg-type]
            ).evaluations
            area = _area(
                np.array([e.accuracy for e in done]), np.array([e.cost for e in done]), worst, end
            )
            found.append(area / whole)
    assert min(shares["gp"]) > max(shares["none"])
    assert np.mean(shares["gp"]) > 0.995
