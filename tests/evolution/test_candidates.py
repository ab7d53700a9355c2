from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from moo_bnas.evolution.candidates import Candidates, tuples
from moo_bnas.evolution.cost import Budget, Cost
from moo_bnas.evolution.direct import search
from moo_bnas.evolution.space import FloatArray, Genotype, IntArray

SUM = Cost("sum", "units", lambda g: 1.0 + np.asarray(g).sum(axis=1))


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _drawn(candidates: Candidates, source: str, number: int) -> IntArray:
    if source == "mate":
        return candidates.mate(candidates.uniform(6), number, _rng())
    drawn: IntArray = getattr(candidates, source)(number, _rng())
    return drawn


@pytest.mark.parametrize("source", ["random", "spread", "mate"])
@pytest.mark.parametrize("limit", [None, 6.0])
def test_what_is_drawn_is_new_distinct_and_within_budget(source: str, limit: float | None) -> None:
    candidates = Candidates([6, 5, 4, 3], [Budget(SUM, limit)] if limit else [])
    candidates.seen.update(tuples(_drawn(candidates, source, 20)))
    drawn = _drawn(candidates, source, 31)
    assert drawn.shape == (31, 4)
    assert len(set(tuples(drawn))) == 31
    assert not candidates.seen & set(tuples(drawn))
    assert (drawn >= 0).all()
    assert (drawn < [6, 5, 4, 3]).all()
    assert (SUM.of(drawn) <= (limit or np.inf)).all()
    np.testing.assert_array_equal(drawn, _drawn(candidates, source, 31))


@pytest.mark.parametrize("source", ["random", "spread", "mate"])
def test_fewer_are_drawn_where_the_space_has_no_more(source: str) -> None:
    candidates = Candidates([2, 3], [])
    candidates.seen.update([(0, 0), (1, 2)])
    assert set(tuples(_drawn(candidates, source, 9))) == {(0, 1), (0, 2), (1, 0), (1, 1)}
    candidates.seen.update(tuples(_drawn(candidates, source, 9)))
    assert _drawn(candidates, source, 9).shape == (0, 2)


def test_spread_genotypes_reach_all_levels_where_random_ones_crowd_in_the_middle() -> None:
    candidates = Candidates([101] * 4, [])
    levels = {
        source: np.quantile(_drawn(candidates, source, 1000).sum(axis=1) / 400, [0.1, 0.5, 0.9])
        for source in ("random", "spread")
    }
    # A uniform level has its deciles at 0.1, ..., 0.9. The mean of four uniform numbers has the
    # standard deviation 1 / sqrt(48), so its deciles are near 0.5 -+ 1.28 / sqrt(48).
    np.testing.assert_allclose(levels["spread"], [0.1, 0.5, 0.9], atol=0.04)
    np.testing.assert_allclose(levels["random"], [0.315, 0.5, 0.685], atol=0.04)


def test_each_choice_of_a_gene_is_as_likely_among_spread_genotypes() -> None:
    drawn = _drawn(Candidates([4] * 12, []), "spread", 2000)
    for gene in drawn.T:
        # Not exactly a quarter: the repeats, most of them at both ends, are left out.
        np.testing.assert_allclose(np.bincount(gene) / 2000, 0.25, atol=0.07)


def test_offspring_resemble_their_parents() -> None:
    candidates = Candidates([6] * 12, [])
    parents = np.array([[0] * 12, [5] * 12])
    of_one = candidates.mate(parents[:1], 200, _rng())
    assert (of_one == 0).mean() > 0.7  # one gene in twelve mutates, and repeats are left out
    of_both = candidates.mate(parents, 200, _rng())
    assert 0.3 < (of_both > 2).mean() < 0.7


def test_what_may_be_proposed() -> None:
    candidates = Candidates([3, 3], [Budget(SUM, 4.0)])
    candidates.seen.add((1, 1))
    assert candidates.may_be_proposed((1, 2))
    for genotype in [(1, 1), (2, 2), (-1, 0), (0, 3), (0,), (0, 0, 0)]:
        assert not candidates.may_be_proposed(genotype)


@pytest.mark.parametrize(("limit", "within"), [(1.0, 1), (2.0, 13), (3.0, 91)])
def test_tight_budgets_cost_few_calls(limit: float, within: int) -> None:
    # Of 12 genes: all zeros, one of them 1, and two of them 1 or one of them 2.
    counted: list[int] = []

    def cost(genotypes: IntArray) -> FloatArray:
        counted.append(len(genotypes))
        found: FloatArray = 1.0 + genotypes.sum(axis=1)
        return found

    candidates = Candidates([6] * 12, [Budget(Cost("sum", "units", cost), limit)])
    rng = np.random.default_rng(0)
    zeros = np.zeros((1, 12), dtype=np.int64)
    for found in (
        candidates.random(2000, rng),
        candidates.spread(2000, rng),
        candidates.mate(zeros, 2000, rng),
    ):
        assert len(set(tuples(found))) == within
        assert found.sum(axis=1).max() == limit - 1
    # The next level above those within the budget is looked at too, once.
    assert sum(counted) <= 13 * within + 13


@pytest.mark.parametrize("model", ["gp", "none"])
def test_a_search_of_one_genotype_asks_for_few_costs(model: Literal["gp", "none"]) -> None:
    calls: list[Genotype] = []

    def cost(genotype: Genotype) -> float:
        calls.append(genotype)
        return 1.0 + sum(genotype)

    found = search(lambda g: 50.0, cost, choices=[6] * 12, max_cost=1.0, model=model)
    assert [e.genotype for e in found.evaluations] == [(0,) * 12]
    assert len(calls) == len(set(calls)) < 1000


def test_a_budget_asks_for_no_more_costs_than_are_needed() -> None:
    counted: list[int] = []

    def cost(genotypes: IntArray) -> FloatArray:
        counted.append(len(genotypes))
        found: FloatArray = 1.0 + genotypes.sum(axis=1)
        return found

    candidates = Candidates([6] * 12, [Budget(Cost("sum", "units", cost), 30.0)])
    counted.clear()
    assert len(candidates.random(17, np.random.default_rng(0))) == 17
    # The sum of 12 genes has the mean 30, so about half of those drawn are within; a few draws of
    # what is still missing do, and not 1,024 with all the steps of those that are narrowed.
    assert sum(counted) < 100


def test_uniform_genotypes_of_many_choices_are_spread_from_end_to_end() -> None:
    candidates = Candidates([10**9, 6], [])
    assert tuples(candidates.uniform(3)) == [(0, 0), (500_000_000, 5), (999_999_999, 5)]
    assert tuples(candidates.uniform(16))[-1] == (999_999_999, 5)
    assert tuples(Candidates([4, 3], []).uniform(16)) == [(0, 0), (1, 1), (2, 2), (3, 2)]
