from __future__ import annotations

import csv
import lzma
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import moo_bnas
from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.direct import SearchResult, search
from moo_bnas.evolution.scoring import Mode
from moo_bnas.evolution.space import Genotype
from tests.evolution.test_algorithm import _accuracy

TABLES = Path(__file__).parents[3] / "shared" / "tables"


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_a_space_smaller_than_the_search_is_searched_whole(mode: Mode) -> None:
    found = search(
        lambda g: 50.0 + sum(g), lambda g: 1.0 + sum(g), choices=[2, 3], mode=mode, generations=9
    )
    assert {e.genotype for e in found.evaluations} == {(i, j) for i in (0, 1) for j in range(3)}


def test_search_from_python_keeps_to_its_number_of_evaluations() -> None:
    calls: list[Genotype] = []

    def accuracy(genotype: Genotype) -> float:
        calls.append(genotype)
        return _accuracy(genotype)

    found = search(
        accuracy, lambda g: 1.0 + sum(g), choices=[6] * 4, population=10, evaluations=37, seed=1
    )
    assert len(calls) == len(set(calls)) == 37 == len(found.evaluations)


def test_the_result_of_a_search_names_front_best_and_knee() -> None:
    found = moo_bnas.search(
        _accuracy,
        lambda g: 1.0 + sum(g),
        choices=[6] * 4,
        mode="scalar",
        generations=20,
        population=16,
        reference_cost=9.0,
        max_cost=15.0,
    )
    exact = [(1.0 + sum(g), _accuracy(g)) for g in np.ndindex(6, 6, 6, 6) if sum(g) <= 14]
    assert found.best.fitness == pytest.approx(max(a - 4 * c / 9 for c, a in exact))
    front = found.front
    assert [e.cost for e in front] == sorted(e.cost for e in front)
    assert [e.accuracy for e in front] == sorted(e.accuracy for e in front)
    assert found.knee in front
    assert max(e.cost for e in found.evaluations) <= 15


def test_front_best_and_knee_go_by_estimates_and_measured_ones_are_there_too() -> None:
    chance = np.random.default_rng(0)
    found = search(
        lambda g: _accuracy(g) + chance.normal(),
        lambda g: 1.0 + sum(g),
        choices=[6] * 4,
        evaluations=100,
        reference_cost=9.0,
    )
    assert found.estimates is not None
    estimate = dict(zip(found.evaluations, found.estimates, strict=True))
    truth = {e: _accuracy(e.genotype) for e in found.evaluations}

    def optimism(result: list[moo_bnas.Evaluation], *, by_estimate: bool) -> float:
        believed = [estimate[e].accuracy if by_estimate else e.accuracy for e in result]
        return float(np.mean([b - truth[e] for b, e in zip(believed, result, strict=True)]))

    assert optimism(found.front, by_estimate=True) < optimism(
        found.measured.front, by_estimate=False
    )
    assert max(estimate[e].accuracy - 4 * e.cost / 9 for e in found.evaluations) == pytest.approx(
        estimate[found.best].accuracy - 4 * found.best.cost / 9
    )
    assert found.knee in found.front
    assert found.measured.best.fitness == max(e.fitness for e in found.evaluations)
    assert found.measured.knee in found.measured.front
    assert found.measured.estimates is None


def test_unequal_numbers_of_choices() -> None:
    choices = [2, 3, 5]
    found = search(lambda g: float(sum(g)), lambda g: 1.0, choices=choices, generations=50)
    assert {e.genotype for e in found.evaluations} == set(np.ndindex(2, 3, 5))


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'serach'"):
        _ = moo_bnas.serach


def test_the_example_of_the_package_runs() -> None:
    command = [sys.executable, "-m", "doctest", str(Path(moo_bnas.__file__))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _table(name: str, genes: int) -> dict[Genotype, tuple[float, float]]:
    path = TABLES / f"{name}.csv.xz"
    if not path.exists():
        pytest.skip(f"the table {name} is not in {TABLES.name}/ beside the project")
    with lzma.open(path, "rt") as lines:
        return {
            tuple(int(row[f"g{i}"]) for i in range(genes)): (
                float(row["acc1"]),
                float(row["flops"]),
            )
            for row in csv.DictReader(lines)
        }


@pytest.mark.slow
def test_on_a_table_of_training_runs_it_finds_what_enumeration_finds() -> None:
    """NAS-Bench-Macro: 6,561 networks trained on CIFAR-10; the search sees a twelfth of them."""
    table = _table("nas_bench_macro", 8)
    reference = table[(1,) * 8][1]
    best = max(a - 4 * f / reference for a, f in table.values())
    for seed in range(3):
        found = search(
            lambda g: table[g][0],
            lambda g: table[g][1],
            choices=[3] * 8,
            mode="scalar",
            evaluations=512,
            seed=seed,
            reference_cost=reference,
        )
        assert best - found.measured.best.fitness < 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"choices": 6}, r"choices is 6, expected one integer of at least 1 per gene, as in"),
        ({"choices": None}, "choices is None, expected one integer"),
        ({"choices": [10**9] * 2}, "choices are 2,000,000,000 of all .* give model='none', or"),
        ({"accuracy": 3}, "accuracy is 3, expected a function of a genotype"),
        ({"cost": None}, "cost is None, expected a function of a genotype"),
        ({"accuracy": lambda g: 10**400}, r"the accuracy of \(0, 0\) is 10*, expected a number"),
        ({"mode": "Scalar"}, "mode is 'Scalar', expected 'scalar' or 'pareto'"),
        ({"choices": []}, r"choices is \[\], expected one integer"),
        ({"choices": [0, 3]}, r"choices is \[0, 3\], expected one integer"),
        ({"choices": [2.5]}, r"choices is \[2.5\], expected one integer"),
        ({"population": 0, "seed": -1}, "population is 0, .*; seed is -1, expected an int"),
        ({"population": 2.5}, "population is 2.5, expected an integer of at least 2"),
        ({"generations": None}, "generations is None, expected an integer of at least 1"),
        ({"seed": None}, "seed is None, expected an integer of at least 0"),
        ({"evaluations": 0}, "evaluations is 0, expected an integer of at least 1, or None"),
        ({"reference_cost": 0}, "reference_cost is 0, expected a number above 0"),
        ({"reference_cost": "1x"}, "reference_cost is '1x', expected a number above 0"),
        ({"trade_off": float("nan")}, "trade_off is nan, expected a number of at least 0"),
        ({"max_cost": float("nan")}, "max_cost is nan, expected a number above 0, or None"),
        ({"cost": lambda g: None}, r"the cost of \(0, 0\) is None, expected a positive number"),
        ({"accuracy": lambda g: "90 %"}, r"the accuracy of \(0, 0\) is '90 %', expected a number"),
        (
            {"accuracy": lambda g: [1, 2]},
            r"the accuracy of \(0, 0\) is \[1, 2\], expected a",
        ),
        (
            {"accuracy": lambda g: np.ones(2)},
            r"the accuracy of \(0, 0\) is array.*, expected a",
        ),
        ({"accuracy": lambda g: None}, "none of .* accuracies was a number; check the accuracy"),
        ({"cost": lambda g: 0.0}, r"the cost of \(0, 0\) is 0.0, expected a positive number"),
        ({"accuracy": lambda g: float("nan")}, "none of .* accuracies was a number"),
    ],
)
def test_arguments_that_make_no_sense_are_named(arguments: dict[str, object], message: str) -> None:
    options: dict[str, object] = {
        "accuracy": lambda g: 1.0,
        "cost": lambda g: 1.0,
        "choices": [3, 3],
        "generations": 2,
    }
    with pytest.raises(DefinitionError, match=message):
        search(**{**options, **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize("failed", [None, float("nan"), float("inf")])
def test_accuracies_that_are_no_numbers_are_left_out(failed: float | None) -> None:
    def accuracy(genotype: Genotype) -> float | None:
        return failed if genotype[0] == 0 else 50.0 + sum(genotype)

    found = search(accuracy, lambda g: 1.0 + sum(g), choices=[3, 3], generations=9)
    assert {e.genotype for e in found.evaluations} == {(i, j) for i in (1, 2) for j in range(3)}


def test_numbers_of_numpy_are_numbers() -> None:
    plain = search(
        _accuracy,
        lambda g: 1.0 + sum(g),
        choices=[4] * 4,
        population=8,
        generations=3,
        max_cost=1e9,
    )
    found = search(
        lambda g: np.array([_accuracy(g)]),  # type: ignore[arg-type, return-value]
        lambda g: np.int64(1 + sum(g)),  # type: ignore[arg-type, return-value]
        choices=np.full(4, 4),  # type: ignore[arg-type]
        population=np.int64(8),  # type: ignore[arg-type]
        generations=np.int32(3),  # type: ignore[arg-type]
        evaluations=np.int64(24),  # type: ignore[arg-type]
        seed=np.uint8(0),  # type: ignore[arg-type]
        trade_off=np.float32(4),  # type: ignore[arg-type]
        max_cost=np.float64(1e9),
    )
    assert found.evaluations == plain.evaluations
    assert all(type(e.accuracy) is float is type(e.cost) for e in found.evaluations)


def test_the_cost_of_a_genotype_is_asked_for_once() -> None:
    asked: list[Genotype] = []

    def cost(genotype: Genotype) -> float:
        asked.append(genotype)
        return 1.0 + sum(genotype)

    search(_accuracy, cost, choices=[6] * 4, generations=5, max_cost=9.0)
    assert len(asked) == len(set(asked))


def test_without_a_reference_cost_the_best_is_the_most_accurate() -> None:
    found = search(_accuracy, lambda g: 1.0 + sum(g), choices=[3] * 4, generations=9)
    assert found.best.genotype == (2, 2, 2, 2)


def test_genes_may_have_very_many_choices() -> None:
    found = search(
        lambda g: 50.0 + g[0] / 1e9,
        lambda g: 1.0 + sum(g),
        choices=[10**9] * 2,
        generations=2,
        model="none",
    )
    assert len(found.evaluations) == 32
    assert found.best.genotype == (10**9 - 1, 10**9 - 1)  # the uniform one comes first
    assert found.estimates is None


def test_a_budget_leaves_out_nothing_that_fits() -> None:
    found = search(_accuracy, lambda g: 1.0 + sum(g), choices=[4] * 4, generations=99, max_cost=7.0)
    within = {g for g in np.ndindex(4, 4, 4, 4) if 1 + sum(g) <= 7}
    assert {e.genotype for e in found.evaluations} == within


def test_a_population_may_be_large() -> None:
    found = search(
        _accuracy, lambda g: 1.0 + sum(g), choices=[6] * 6, population=6000, generations=1
    )
    assert len(found.evaluations) == 6000


def test_a_search_starts_with_given_genotypes() -> None:
    calls: list[Genotype] = []

    def accuracy(genotype: Genotype) -> float:
        calls.append(genotype)
        return 50.0 + sum(genotype)

    start = [(0, 2, 1), (2, 0, 0)]
    options = {"choices": [3] * 3, "population": 4, "evaluations": 8, "model": "none"}
    search(accuracy, lambda g: 1.0 + sum(g), start=np.array(start), **options)  # type: ignore[arg-type]
    assert calls[:2] == start
    assert len(calls) == len(set(calls)) == 8


def test_known_accuracies_are_not_asked_for_again() -> None:
    calls: list[Genotype] = []

    def accuracy(genotype: Genotype) -> float:
        calls.append(genotype)
        return 50.0 + sum(genotype)

    known = {(0, 2, 1): 99.0, (2, 0, 0): None}
    found = search(
        accuracy,
        lambda g: 1.0 + sum(g),
        choices=[3] * 3,
        population=4,
        evaluations=8,
        start=known,
    )
    assert len(calls) == 8
    assert not set(calls) & set(known)
    assert len(found.evaluations) == 9  # the one that failed is left out
    assert found.best.genotype == (0, 2, 1)


@pytest.mark.parametrize("start", [5, [1, 2], [(0.5, 1, 1)], {(1, 1, 1): "x"}, [(9, 0, 0)]])
def test_a_start_that_is_no_genotype_is_refused(start: object) -> None:
    with pytest.raises(DefinitionError, match=r"start is|accuracy of|to start with, which is not"):
        search(lambda g: 50.0, lambda g: 1.0, choices=[3] * 3, start=start)  # type: ignore[arg-type]


def _sum(genotype: Genotype) -> float:
    return 60.0 + sum(genotype) + genotype[0] / 7


def _cost(genotype: Genotype) -> float:
    return 1.0 + sum(g * g for g in genotype)


def test_a_pool_finds_what_one_process_finds_in_any_order_of_results() -> None:
    def of(**options: Any) -> SearchResult:
        return search(_sum, _cost, choices=[6] * 4, population=8, generations=4, **options)

    def backwards(function: Callable[[Genotype], Any], genotypes: Sequence[Genotype]) -> list[Any]:
        return [function(g) for g in reversed(genotypes)]

    alone = of()
    assert of(map=backwards) == alone
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert of(map=pool.map) == alone
    with pytest.raises(DefinitionError, match="map gave 0 results for 8 genotypes"):
        of(map=lambda function, genotypes: [])
    with pytest.raises(DefinitionError, match="map gave None, expected what its function returns"):
        of(map=lambda function, genotypes: None)
    with pytest.raises(DefinitionError, match="callback is 4, .*map is 3, expected a function"):
        of(map=3, callback=4)


def test_the_result_so_far_is_called_back_after_each_generation() -> None:
    seen: list[SearchResult] = []
    found = search(
        lambda g: None if sum(g) == 0 else _sum(g),
        _cost,
        choices=[6] * 4,
        population=8,
        generations=4,
        evaluations=28,
        callback=seen.append,
    )
    assert [len(each.evaluations) for each in seen] == [7, 15, 23, 27]  # zeros failed
    assert seen[-1] == found
    assert all(each.evaluations == found.evaluations[: len(each.evaluations)] for each in seen)
