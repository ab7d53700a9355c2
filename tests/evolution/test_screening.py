from __future__ import annotations

import numpy as np
import pytest

from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.algorithm import Search
from moo_bnas.evolution.candidates import Candidates
from moo_bnas.evolution.cost import Budget, Cost
from moo_bnas.evolution.direct import search
from moo_bnas.evolution.scoring import Mode, Objective
from moo_bnas.evolution.screening import History, Screen
from moo_bnas.evolution.space import Genotype, IntArray

SUM = Cost("sum", "units", lambda g: 1.0 + np.asarray(g).sum(axis=1))
BEST = (5, 0, 5, 0)  # of Eq. 4: where a step adds more than 4 / 9 percent


def _accuracy(genotype: Genotype) -> float:
    return 10 + float(np.dot([3.0, 0.1, 2.0, 0.2], genotype))


class LeastSquares:
    """Predicts accuracies by a plane; breeds on its predictions, and adds a little noise."""

    def __init__(self) -> None:
        self.calls = 0

    def choose(
        self,
        history: History,
        objective: Objective,
        candidates: Candidates,
        number: int,
        rng: np.random.Generator,
    ) -> IntArray:
        self.calls += 1
        known = np.isfinite(history.accuracies)

        def columns(genotypes: IntArray) -> IntArray:
            return np.column_stack([genotypes, np.ones(len(genotypes), dtype=np.int64)])

        plane, *_ = np.linalg.lstsq(
            columns(history.genotypes[known]), history.accuracies[known], rcond=None
        )

        def order(pool: IntArray) -> IntArray:
            values = objective.minimized(columns(pool) @ plane, objective.cost.of(pool))
            return np.argsort(values[:, 0] + rng.normal(0, 1e-3, len(pool)))

        pool = candidates.spread(100, rng)
        for _ in range(3):
            best = pool[order(pool)[:20]]
            pool = np.unique(np.concatenate([pool, candidates.mate(best, 100, rng)]), axis=0)
        return pool[order(pool)[:number]]


class Fixed:
    """Chooses what it was made with."""

    def __init__(self, *genotypes: Genotype) -> None:
        self._genotypes = genotypes

    def choose(
        self,
        history: History,
        objective: Objective,
        candidates: Candidates,
        number: int,
        rng: np.random.Generator,
    ) -> IntArray:
        return np.array(self._genotypes, dtype=np.int64)


def _search(screen: Screen | None, mode: Mode = "scalar", **changes: object) -> Search:
    options: dict[str, object] = {
        "mode": mode,
        "population": 10,
        "seed": 0,
        "reference_cost": 9.0,
        "trade_off": 4.0,
        "screen": screen,
    }
    return Search([6] * 4, SUM, **{**options, **changes})  # type: ignore[arg-type]


def _run(run: Search, generations: int, step: int = 1) -> list[list[Genotype]]:
    asked = []
    for _ in range(generations):
        asked.append(run.ask())
        run.tell({g: None if g[1] == 4 else _accuracy(g) for g in asked[-1][::step]})
    return asked


def test_a_screen_that_knows_the_truth_proposes_the_best_at_once() -> None:
    first, second = _run(_search(LeastSquares()), 2)
    assert BEST not in first
    assert BEST in second
    assert BEST not in _run(_search(None), 2)[1]


def test_a_screen_may_be_given_from_python() -> None:
    found = search(
        _accuracy,
        lambda g: 1.0 + sum(g),
        choices=[6] * 4,
        mode="scalar",
        population=10,
        generations=2,
        reference_cost=9.0,
        model=LeastSquares(),
    )
    assert found.best.genotype == BEST
    assert len(found.evaluations) == 20


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
@pytest.mark.parametrize("limit", [None, 9.0])
def test_screened_proposals_are_new_and_within_budget(mode: Mode, limit: float | None) -> None:
    budgets = [Budget(SUM, limit)] if limit else []
    run = _search(LeastSquares(), mode, budgets=budgets)
    asked = [g for generation in _run(run, 6) for g in generation]
    assert len(asked) == len(set(asked)) == 60
    assert all(1 + sum(g) <= (limit or np.inf) for g in asked)


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_a_replay_makes_the_proposals_of_the_run_that_was_killed(mode: Mode) -> None:
    whole = _run(_search(LeastSquares(), mode), 6)
    killed = _run(_search(LeastSquares(), mode), 3)
    assert killed == whole[:3]
    resumed = _search(LeastSquares(), mode)
    # Evaluations come back in another order than they were asked for.
    assert _run(resumed, 3, step=-1) == killed
    assert _run(resumed, 3, step=-1) == whole[3:]
    assert _run(_search(LeastSquares(), mode, seed=1), 6) != whole


def test_proposals_depend_on_the_seed_and_the_history_alone() -> None:
    whole = _run(_search(LeastSquares()), 4)
    told = _search(LeastSquares())
    for generation in whole[:3]:  # never asked for the first three
        told.tell({g: None if g[1] == 4 else _accuracy(g) for g in generation})
    assert told.ask() == whole[3]


def test_other_evaluations_than_those_asked_for_are_what_a_screen_sees() -> None:
    run = _search(LeastSquares())
    run.ask()
    corners = [(0, 0, 0, 0), (5, 0, 0, 0), (0, 5, 0, 0), (0, 0, 5, 0), (0, 0, 0, 5)]
    run.tell({g: 100 - _accuracy(g) for g in corners})  # all steps lose accuracy now
    # Of the cheapest genotypes left: one step each, the second and the fourth gene lose least.
    assert {(0, 1, 0, 0), (0, 0, 0, 1)} <= set(run.ask()[:4])


def test_a_screen_waits_for_the_first_accuracy() -> None:
    screen = LeastSquares()
    run, plain = _search(screen), _search(None)
    for _ in range(2):
        asked = run.ask()
        assert asked == plain.ask()
        run.tell(dict.fromkeys(asked))
        plain.tell(dict.fromkeys(asked))
    assert screen.calls == 0
    run.tell({run.ask()[0]: 50.0})
    run.ask()
    assert screen.calls == 1


def test_where_nothing_is_left_to_choose_the_screen_is_not_asked() -> None:
    screen = LeastSquares()
    found = search(
        lambda g: 50.0 + sum(g),
        lambda g: 1.0 + sum(g),
        choices=[3, 3, 3],
        population=10,
        model=screen,
    )
    assert len(found.evaluations) == 27  # in generations of 10, 10 and 7
    assert screen.calls == 1


def test_random_genotypes_make_up_for_those_that_a_screen_leaves_out() -> None:
    run = _search(Fixed((0, 1, 2, 3), (3, 2, 1, 0)))
    _run(run, 1)
    asked = run.ask()
    assert asked[:2] == [(0, 1, 2, 3), (3, 2, 1, 0)]
    assert len(set(asked)) == 10


def test_of_too_many_the_first_are_proposed() -> None:
    chosen = [(0, i, j, 3) for i in range(4) for j in range(4)]
    run = _search(Fixed(*chosen))
    run.tell({(5, i, 5, j): 50.0 for i in range(4) for j in range(3)})
    assert run.ask() == chosen[:10]


@pytest.mark.parametrize(
    "chosen",
    [
        [(0, 0, 0, 6)],  # not in the space
        [(5, 5, 0, 0)],  # over the budget
        [(1, 1, 1, 1)],  # proposed before
        [(0, 0, 0, 1), (0, 1, 0, 0), (0, 0, 0, 1)],  # twice
    ],
)
def test_a_screen_that_chooses_what_must_not_be_proposed_is_refused(
    chosen: list[Genotype],
) -> None:
    run = _search(Fixed(*chosen), budgets=[Budget(SUM, 8.0)])
    _run(run, 1)
    genotype = str(chosen[0]).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(DefinitionError, match=f"the screen chose {genotype}, expected distinct"):
        run.ask()
