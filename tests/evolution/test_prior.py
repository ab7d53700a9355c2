from __future__ import annotations

import numpy as np
import pytest

from moo_bnas.evolution.algorithm import Search
from moo_bnas.evolution.cost import Cost
from moo_bnas.evolution.model_screen import ModelScreen
from moo_bnas.evolution.prior import Prior
from moo_bnas.evolution.scoring import Objective
from moo_bnas.evolution.space import FloatArray, IntArray

CHOICES = [6] * 6
SUM = Cost("sum", "units", lambda g: 1.0 + np.asarray(g).sum(axis=1))
PARETO = Objective("pareto", SUM, 10.0, 4.0)
WEIGHTS = np.array([9.0, 1.0, 5.0, 0.5, 3.0, 0.0])


def _accuracy(genotypes: IntArray) -> FloatArray:
    found: FloatArray = 40 + np.log1p(genotypes) @ WEIGHTS
    return found


def _guess(number: int = 80) -> tuple[IntArray, FloatArray]:
    """What a search by shorter training runs may have found: lower, noisy accuracies."""
    rng = np.random.default_rng(0)
    genotypes = rng.integers(0, 6, size=(number, 6))
    return genotypes, 0.5 * _accuracy(genotypes) + rng.normal(0, 0.5, number)


def test_trust_is_the_slope_shrunk_by_what_chance_would_explain() -> None:
    prior = Prior(CHOICES, *_guess())
    rng = np.random.default_rng(1)
    genotypes = rng.integers(0, 6, size=(16, 6))
    exact = prior.weighed(1.0)(genotypes)
    assert prior.trust(genotypes, 7 + 2 * exact) == pytest.approx(2.0)
    # By hand: slope = <p, y> / <p, p>, its variance = rest^2 / (n - 2) / <p, p>.
    measured = 2 * exact + rng.normal(0, 3.0, 16)
    p, y = exact - exact.mean(), measured - measured.mean()
    slope = (p @ y) / (p @ p)
    variance = ((y - slope * p) ** 2).sum() / 14 / (p @ p)
    assert prior.trust(genotypes, measured) == pytest.approx(slope - variance / slope)
    assert 0 < prior.trust(genotypes, measured) < slope


def test_a_prior_that_the_evaluations_contradict_or_ignore_has_no_weight() -> None:
    prior = Prior(CHOICES, *_guess())
    genotypes = np.random.default_rng(1).integers(0, 6, size=(16, 6))
    assert prior.trust(genotypes, -_accuracy(genotypes)) == 0
    assert prior.trust(genotypes, np.full(16, 80.0)) == 0
    assert prior.trust(genotypes[:2], _accuracy(genotypes[:2])) == 0  # two points fit any line


def test_the_front_of_the_other_search_comes_first() -> None:
    genotypes = np.array(
        [[0] * 6, [5] * 6, [5, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 5], [5, 0, 5, 0, 5, 0]]
    )
    prior = Prior(CHOICES, genotypes, _accuracy(genotypes))
    front = [(0,) * 6, (5, 0, 0, 0, 0, 0), (5, 0, 5, 0, 5, 0), (5,) * 6]
    assert prior.promising(PARETO, 8) == front
    assert prior.promising(PARETO, 2) == [front[0], front[-1]]
    # By hand: 40 + ln 6 * 17 - .4 * 16 = 64.1; all 5 40 + ln 6 * 18.5 - .4 * 31 = 60.7.
    scalar = Objective("scalar", SUM, 10.0, 4.0)
    assert prior.promising(scalar, 1) == [(5, 0, 5, 0, 5, 0)]


def test_a_search_with_a_prior_finds_more_by_its_first_evaluations() -> None:
    best = []
    for prior in (None, Prior(CHOICES, *_guess())):
        scores = []
        for seed in range(3):
            search = Search(
                CHOICES,
                SUM,
                mode="scalar",
                population=8,
                seed=seed,
                reference_cost=10.0,
                trade_off=4.0,
                start=prior.promising(Objective("scalar", SUM, 10.0, 4.0), 4) if prior else [],
                screen=ModelScreen(CHOICES, prior),
            )
            for _ in range(2):
                asked = search.ask()
                values = _accuracy(np.array(asked)).tolist()
                search.tell(dict(zip(asked, values, strict=True)))
            fitness = _accuracy(search.history.genotypes) - 0.4 * search.history.costs
            scores.append(fitness.max())
        best.append(np.mean(scores))
    every = np.indices(CHOICES).reshape(6, -1).T
    top = (_accuracy(every) - 0.4 * SUM.of(every)).max()
    assert top - best[1] < 0.5 * (top - best[0])
