from __future__ import annotations

import numpy as np
import pytest

from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.algorithm import Search
from moo_bnas.evolution.cost import Budget, Cost
from moo_bnas.evolution.model_screen import ModelScreen
from moo_bnas.evolution.scoring import Mode, front
from moo_bnas.evolution.space import Genotype

SUM = Cost("sum", "units", lambda g: 1.0 + np.asarray(g).sum(axis=1))


def _accuracy(genotype: Genotype) -> float:
    """More is better, with less and less gain; every gene matters differently."""
    return 100 * (1 - float(np.prod([0.8 ** (i * g / 4) for i, g in enumerate(genotype, 1)])))


def _search(mode: Mode = "pareto", seed: int = 0, **changes: object) -> Search:
    options: dict[str, object] = {
        "mode": mode,
        "population": 10,
        "seed": seed,
        "reference_cost": 9.0,
        "trade_off": 4.0,
    }
    return Search([6] * 4, SUM, **{**options, **changes})  # type: ignore[arg-type]


def _run(run: Search, generations: int) -> list[list[Genotype]]:
    asked = []
    for _ in range(generations):
        asked.append(run.ask())
        run.tell({g: _accuracy(g) for g in asked[-1]})
    return asked


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_every_genotype_is_proposed_once_and_is_in_the_space(mode: Mode) -> None:
    asked = [g for generation in _run(_search(mode), 8) for g in generation]
    assert len(asked) == len(set(asked)) == 80
    assert all(len(g) == 4 and set(g) <= set(range(6)) for g in asked)
    assert all(type(i) is int for g in asked for i in g)


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_equal_seeds_give_equal_proposals_and_others_do_not(mode: Mode) -> None:
    assert _run(_search(mode, seed=3), 5) == _run(_search(mode, seed=3), 5)
    assert _run(_search(mode, seed=3), 2) != _run(_search(mode, seed=4), 2)


def test_searches_side_by_side_do_not_disturb_each_other() -> None:
    one, other = _search(seed=1), _search(seed=2)
    mixed: tuple[list[list[Genotype]], list[list[Genotype]]] = ([], [])
    for _ in range(4):
        mixed[0].extend(_run(one, 1))
        mixed[1].extend(_run(other, 1))
    assert mixed == (_run(_search(seed=1), 4), _run(_search(seed=2), 4))


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_the_order_in_which_evaluations_come_back_changes_nothing(mode: Mode) -> None:
    forward, backward = _search(mode), _search(mode)
    for _ in range(4):
        asked = forward.ask()
        assert backward.ask() == asked
        forward.tell({g: _accuracy(g) for g in asked})
        backward.tell({g: _accuracy(g) for g in reversed(asked)})


def test_the_uniform_genotypes_come_first() -> None:
    assert _search().ask()[:6] == [(i,) * 4 for i in range(6)]


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
@pytest.mark.parametrize("limit", [3.0, 6.0, 12.0])
def test_no_proposal_is_over_a_budget(mode: Mode, limit: float) -> None:
    run = _search(mode, budgets=[Budget(SUM, limit)])
    asked = [g for generation in _run(run, 5) for g in generation]
    assert asked
    assert all(1 + sum(g) <= limit for g in asked)


def test_a_budget_that_no_genotype_fits_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"limit on sum is 0.5 units, but the smallest .* 1"):
        _search(budgets=[Budget(SUM, 0.5)])


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_failed_genotypes_are_survived_and_leave_the_population(mode: Mode) -> None:
    run = _search(mode)
    first = run.ask()
    assert any(g[0] == 5 for g in first)
    run.tell({g: None if g[0] == 5 else 50.0 for g in first})
    for _ in range(3):
        asked = run.ask()
        run.tell({g: None if g[0] == 5 else _accuracy(g) for g in asked})
    population = {tuple(map(int, x)) for x in run._algorithm.pop.get("X")}
    assert not any(g[0] == 5 for g in population)


def test_the_history_follows_what_was_told() -> None:
    run = _search()
    assert len(run.history) == 0
    first = run.ask()
    run.tell({g: None if g[0] == 5 else _accuracy(g) for g in reversed(first)})
    assert [tuple(g) for g in run.history.genotypes.tolist()] == first
    np.testing.assert_array_equal(
        run.history.accuracies, [np.nan if g[0] == 5 else _accuracy(g) for g in first]
    )
    run.ask()
    run.tell({(0, 1, 2, 3): 40.0, (3, 2, 1, 5): 60.0})  # evaluated in place of what was asked
    assert run.history.genotypes[10:].tolist() == [[0, 1, 2, 3], [3, 2, 1, 5]]
    assert run.history.accuracies[10:].tolist() == [40.0, 60.0]
    assert run.history.costs[10:].tolist() == [7.0, 12.0]  # 1 + the sum of the genes


def test_a_whole_generation_may_fail() -> None:
    run = _search()
    run.tell(dict.fromkeys(run.ask()))
    asked = run.ask()
    assert len(asked) == 10
    run.tell(dict.fromkeys(asked, 50.0))


def test_stored_evaluations_may_stand_in_for_what_was_asked() -> None:
    run = _search()
    run.ask()
    stored = [(0, 1, 2, 3), (3, 2, 1, 0), (5, 5, 0, 0)]
    run.tell({g: _accuracy(g) for g in stored})
    assert {tuple(map(int, x)) for x in run._algorithm.pop.get("X")} == set(stored)
    assert not set(run.ask()) & set(stored)


def _steadily(run: Search, told: int, width: int = 4) -> list[Genotype]:
    """What is proposed while `width` genotypes run and the latest one always finishes first."""
    running: list[Genotype] = []
    asked: list[Genotype] = []
    for _ in range(told):
        new = run.ask(width - len(running), running)
        asked += new
        running += new
        done = running.pop()
        run.tell({done: _accuracy(done)})
    return asked


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
@pytest.mark.parametrize("screened", [False, True])
def test_single_results_make_room_for_single_proposals(mode: Mode, screened: bool) -> None:
    def steady() -> Search:
        return _search(mode, screen=ModelScreen([6] * 4) if screened else None)

    asked = _steadily(steady(), 30)
    assert len(asked) == len(set(asked)) == 4 + 29
    assert asked[:6] == [(i,) * 4 for i in range(6)]  # the first population, in pieces
    assert _steadily(steady(), 30) == asked


@pytest.mark.parametrize("screened", [False, True])
def test_steady_proposals_depend_on_what_is_known_and_runs_alone(screened: bool) -> None:
    """A search that is told of the same results, but never asked, continues in the same way."""
    screen = ModelScreen([6] * 4) if screened else None
    whole, resumed = _search(screen=screen), _search(screen=screen)
    asked = _steadily(whole, 20)
    resumed.adopt(asked)
    for genotype, accuracy in zip(*_rows(whole), strict=True):
        resumed.tell({genotype: accuracy})
    running = [g for g in asked if g not in set(_rows(whole)[0])]
    assert len(running) == 3
    assert resumed.ask(1, running) == whole.ask(1, running)


def _rows(run: Search) -> tuple[list[Genotype], list[float]]:
    history = run.history
    return [tuple(g) for g in history.genotypes.tolist()], history.accuracies.tolist()


def test_a_model_spreads_proposals_away_from_what_runs() -> None:
    run = _search(screen=ModelScreen([6] * 4))
    _run(run, 2)
    (first,) = run.ask(1)
    (again,) = run.ask(1, [first])
    costs, done = SUM.of(np.array([first, again])), run.history
    both = np.append(done.costs, costs)
    accuracies = np.append(done.accuracies, [_accuracy(first), _accuracy(again)])
    assert {len(both) - 2, len(both) - 1} <= set(front(accuracies, both))  # both were worth it


def test_what_is_started_with_comes_first_and_counts_towards_the_population() -> None:
    start = [(0, 1, 2, 3), (3, 2, 1, 0)]
    first = _search(start=start).ask()
    assert first[:8] == start + [(i,) * 4 for i in range(6)]
    assert len(set(first)) == 10
    many = [(0, i, j, 5) for i in range(4) for j in range(4)]
    assert _run(_search(start=many), 2)[0] == many[:10]
    assert _run(_search(start=many), 2)[1][:6] == many[10:]


def test_a_start_over_a_budget_or_outside_the_space_is_refused() -> None:
    for start in [(0, 0, 0, 6), (5, 5, 0, 0), (0, 0, 0)]:
        with pytest.raises(DefinitionError, match="to start with, which is not in the space or"):
            _search(start=[start], budgets=[Budget(SUM, 8.0)])


def test_known_results_take_places_of_the_first_population() -> None:
    run = _search(screen=ModelScreen([6] * 4))
    known = [(0, 1, 2, i) for i in range(6)]
    run.tell({g: _accuracy(g) for g in known})
    asked = run.ask()
    assert asked[:4] == [(i,) * 4 for i in range(4)]  # six of ten are known
    assert len(set(asked) | set(known)) == 16


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_with_repeats_offspring_come_as_mating_yields_them(mode: Mode) -> None:
    asked = _run(_search(mode, repeats=True), 12)
    assert [len(generation) for generation in asked] == [10] * 12
    distinct = {g for generation in asked for g in generation}
    assert len(distinct) < 110  # some came again, and all are in the space
    assert all(len(g) == 4 and set(g) <= set(range(6)) for g in distinct)
    uniform = {(i,) * 4 for i in range(6)}
    assert len(uniform & set(asked[0])) < 3  # six of the ten come first without repeats
    assert asked == _run(_search(mode, repeats=True), 12)
    if mode == "scalar":  # individuals get fitter
        first, last = (
            np.mean([_accuracy(g) - 4 * (1 + sum(g)) / 9 for g in generation])
            for generation in (asked[0], asked[-1])
        )
        assert last > first


def test_with_repeats_proposals_keep_their_budget_and_may_be_started_with() -> None:
    budget = Budget(SUM, 9.0)
    asked = _run(_search(repeats=True, budgets=[budget], start=[(1, 0, 1, 0)]), 5)
    assert asked[0][0] == (1, 0, 1, 0)
    assert all(1 + sum(g) <= 9 for generation in asked for g in generation)
