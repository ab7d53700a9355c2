from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymoo.indicators.hv import HV
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from moo_bnas.evolution.cost import Cost
from moo_bnas.evolution.scoring import (
    Objective,
    fitness,
    front,
    hypervolume,
    knee,
    unclipped_fitness,
)

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


def test_the_knee_is_where_the_front_bulges() -> None:
    assert knee([50.0, 90.0, 92.0, 93.0], [1.0, 2.0, 10.0, 100.0]) == 1
    assert knee([50.0, 60.0], [1.0, 2.0]) == 1
    assert knee([50.0], [1.0]) == 0
