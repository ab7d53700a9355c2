from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymoo.indicators.hv import HV
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from moo_bnas.evolution.cost import Cost
from moo_bnas.evolution.estimates import estimates
from moo_bnas.evolution.scoring import (
    Objective,
    fitness,
    front,
    hypervolume,
    knee,
    unclipped_fitness,
)
from moo_bnas.evolution.space import FloatArray

POINTS = st.lists(
    st.tuples(st.integers(0, 100).map(float), st.integers(1, 50).map(float)),
    min_size=1,
    max_size=30,
)


def test_fitness_is_equation_4() -> None:
    # VGG-Auto-A of Table 1: 92.17 - 4 * 11.3 / 13.2
    assert fitness(92.17, 11.3, 13.2, 4) == pytest.approx(88.7458, abs=1e-4)
    assert fitness(10.0, 166.0, 13.2, 4) == 0
    assert unclipped_fitness(10.0, 166.0, 13.2, 4) == pytest.approx(-40.303, abs=1e-3)


def test_what_the_genetic_algorithm_minimises() -> None:
    cost = Cost("flops", "FLOPs", lambda g: np.ones(len(g)))
    accuracies, costs = np.array([92.17, 10.0]), np.array([11.3, 166.0])
    scalar = Objective("scalar", cost, 13.2, 4.0).minimized(accuracies, costs)
    np.testing.assert_allclose(scalar, [[-88.7458], [40.303]], rtol=1e-5)
    pareto = Objective("pareto", cost, 13.2, 4.0).minimized(accuracies, costs)
    np.testing.assert_allclose(pareto, [[-92.17, math.log(11.3)], [-10.0, math.log(166.0)]])


@given(POINTS)
def test_the_front_is_what_pymoo_finds(points: list[tuple[float, float]]) -> None:
    accuracies, costs = zip(*points, strict=True)
    objectives = np.column_stack([-np.array(accuracies), costs])
    expected = NonDominatedSorting().do(objectives, only_non_dominated_front=True)
    found = front(accuracies, costs)
    assert set(found) == set(expected.tolist())
    assert [costs[i] for i in found] == sorted(costs[i] for i in found)


@given(POINTS)
def test_the_hypervolume_is_what_pymoo_finds(points: list[tuple[float, float]]) -> None:
    accuracies, costs = (np.array(v) for v in zip(*points, strict=True))
    objectives = np.column_stack([-accuracies / 100, np.log(costs) / math.log(50)])
    expected = HV(ref_point=np.array([0.0, 1.0]))(objectives)
    assert hypervolume(accuracies, costs, 1.0, 50.0) == pytest.approx(expected)


def test_a_hypervolume_by_hand() -> None:
    # 50 % at the cheapest, 100 % half-way in log cost: 0.5 * 0.5 + 0.5 * 1
    assert hypervolume([50.0, 100.0], [1.0, 10.0], 1.0, 100.0) == pytest.approx(0.75)
    assert hypervolume([], [], 1.0, 100.0) == 0


def test_a_knee_by_hand() -> None:
    # A cubic meets four points. Log error falls from 50 to 7: shares 0.82 and 0.93; of log cost
    # are left 0.85 and 0.5.
    assert knee([50.0, 90.0, 92.0, 93.0], [1.0, 2.0, 10.0, 100.0]) == 1
    assert knee([50.0, 60.0], [1.0, 2.0]) == 1
    assert knee([50.0], [1.0]) == 0
    assert knee([99.95, 99.97, 100.0], [1.0, 2.0, 3.0]) == 2  # errors that count as equal


# 19 networks of a search on digits, FLOPs and validation accuracies after a short training.
FLOPS = (
    *(1506.0, 1555.0, 1562.0, 1638.0, 1792.0, 1947.0, 1963.0, 2289.0, 2419.0, 2598.0, 3474.0),
    *(3963.0, 5060.0, 8086.0, 12810.0, 15550.0, 20000.0, 20140.0, 33570.0),
)
ACCURACIES = (
    *(30.83, 45.28, 47.22, 50.28, 59.17, 63.06, 68.33, 73.61, 76.67, 78.89, 83.89),
    *(86.67, 91.94, 93.89, 94.72, 95.0, 95.83, 96.39, 97.5),
)


def test_the_knee_does_not_hang_on_the_cheapest_network() -> None:
    for left_out in range(8):
        at = knee(ACCURACIES[left_out:], FLOPS[left_out:])
        assert FLOPS[left_out:][at] == 5060.0


def test_one_lucky_network_is_no_knee() -> None:
    """Errors that fall with the square root of the cost: all shares are equal, the middle wins."""
    costs = np.geomspace(1, 256, 9)
    accuracies = 100 - 40 / np.sqrt(costs)
    assert knee(accuracies, costs) == 4
    accuracies[5] += 0.7 * (accuracies[6] - accuracies[5])  # nearly as accurate as the next one
    assert np.argmax(np.log(40 / (100 - accuracies)) * np.log(256 / costs)) == 5
    assert knee(accuracies, costs) == 4


def noise(accuracies: FloatArray) -> FloatArray:
    """Standard deviation of one training run on digits: 2.5 points at 50 %, 1.1 at 95 %."""
    share = np.clip(accuracies / 100, 0.01, 0.99)
    deviations: FloatArray = 5 * np.sqrt(share * (1 - share))
    return deviations


def neighbours(accuracies: FloatArray, costs: FloatArray) -> tuple[float, float]:
    """Costs of the neighbours of the knee on the front."""
    on = front(accuracies, costs)
    at = knee(accuracies[on], costs[on])
    return costs[on[max(at - 1, 0)]], costs[on[min(at + 1, len(on) - 1)]]


def test_the_knee_is_the_same_or_a_neighbour_in_most_redraws() -> None:
    chance = np.random.default_rng(0)
    accuracies, costs = np.array(ACCURACIES), np.array(FLOPS)
    low, high = neighbours(accuracies, costs)
    kept = 0
    for _ in range(1000):
        drawn = accuracies + noise(accuracies) * chance.standard_normal(len(costs))
        on = front(drawn, costs)
        kept += bool(low <= costs[on[knee(drawn[on], costs[on])]] <= high)
    assert kept >= 900


def test_on_a_smooth_front_the_knee_of_estimates_is_stable() -> None:
    """Twenty-five networks, of which no two neighbours differ by more than chance."""
    chance = np.random.default_rng(0)
    costs = np.geomspace(1.5, 60.0, 25)
    accuracies = 98 - 68 * (costs / 1.5) ** -1.3
    genotypes = [(i,) for i in range(25)]

    def believed(measured: FloatArray) -> FloatArray:
        pairs = [(g, float(a)) for g, a in zip(genotypes, measured, strict=True)]
        found = estimates([25], pairs, genotypes)
        assert found is not None
        return np.array([e.accuracy for e in found])

    low, high = neighbours(believed(accuracies), costs)
    kept = 0
    for _ in range(100):
        drawn = believed(accuracies + noise(accuracies) * chance.standard_normal(25))
        on = front(drawn, costs)
        kept += bool(low <= costs[on[knee(drawn[on], costs[on])]] <= high)
    assert kept >= 95
