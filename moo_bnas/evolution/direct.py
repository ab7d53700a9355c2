"""A search in one call: in this process, without a storage, of any integer space.

It drives the same `Search` as a run does, with an accuracy and a cost that are Python functions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, isfinite, nan
from typing import Any, Literal

import numpy as np

from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.algorithm import Search
from moo_bnas.evolution.arguments import are_genotypes, are_wholes, check, is_real, is_whole
from moo_bnas.evolution.candidates import tuples
from moo_bnas.evolution.cost import Budget, Cost
from moo_bnas.evolution.estimates import Estimate, estimates
from moo_bnas.evolution.kernel import WIDEST
from moo_bnas.evolution.model_screen import ModelScreen
from moo_bnas.evolution.scoring import Mode, fitness, front, knee
from moo_bnas.evolution.screening import Screen
from moo_bnas.evolution.space import FloatArray, Genotype, IntArray

Scored = tuple[Genotype, float | None]
Map = Callable[[Callable[[Genotype], Scored], Sequence[Genotype]], Iterable[Scored]]
"""Calls a function for each genotype, as the builtin `map` and that of pools do."""


@dataclass(frozen=True)
class Evaluation:
    """Score of one genotype in a search without a storage.

    What a worker records of a training run is `moo_bnas.evaluation.Evaluation`.

    Attributes:
        genotype: Index of the choice of each gene.
        accuracy: Accuracy in percent.
        cost: Cost in the unit of the cost function.
        fitness: Fitness by Eq. 4, in percent.
    """

    genotype: Genotype
    accuracy: float
    cost: float
    fitness: float


@dataclass(frozen=True)
class SearchResult:
    """Result of a search.

    Front, best and knee go by `estimates`, which average out the chance in single accuracies;
    `measured` has them by the accuracies as they are, for functions that give exact ones.

    Attributes:
        evaluations: All evaluations that have an accuracy, in the order they were proposed.
        choices: The number of choices of each gene; empty: nothing is estimated.
        reference_cost: Cost that Eq. 4 divides by.
        trade_off: Lambda of Eq. 4.
    """

    evaluations: tuple[Evaluation, ...]
    choices: tuple[int, ...] = ()
    reference_cost: float = inf
    trade_off: float = 4.0

    @cached_property
    def estimates(self) -> list[Estimate] | None:
        """The estimate of each evaluation's accuracy, in order; None if there are too few."""
        if not self.choices:
            return None
        measured = [(e.genotype, e.accuracy) for e in self.evaluations]
        return estimates(self.choices, measured, [genotype for genotype, _ in measured])

    @property
    def measured(self) -> SearchResult:
        """The same result without estimates: front, best and knee by the measured accuracies."""
        return replace(self, choices=())

    @property
    def best(self) -> Evaluation:
        """The evaluation of the highest fitness (Eq. 4); of equals the cheapest."""

        def rank(believed: tuple[Evaluation, float]) -> tuple[float, float]:
            cost = believed[0].cost
            return fitness(believed[1], cost, self.reference_cost, self.trade_off), -cost

        return max(zip(self.evaluations, self._believed, strict=True), key=rank)[0]

    @property
    def front(self) -> list[Evaluation]:
        """The evaluations that no other dominates, by ascending cost."""
        return [self.evaluations[i] for i in front(self._believed, self._costs)]

    @property
    def knee(self) -> Evaluation:
        """The point of the front that makes the most of both axes (see `scoring.knee`)."""
        on = front(self._believed, self._costs)
        accuracies, costs = [self._believed[i] for i in on], [self._costs[i] for i in on]
        return self.evaluations[on[knee(accuracies, costs)]]

    @property
    def _believed(self) -> list[float]:
        if self.estimates is None:
            return [e.accuracy for e in self.evaluations]
        return [e.accuracy for e in self.estimates]

    @property
    def _costs(self) -> list[float]:
        return [e.cost for e in self.evaluations]


def search(
    accuracy: Callable[[Genotype], float | None],
    cost: Callable[[Genotype], float],
    *,
    choices: Sequence[int],
    mode: Mode = "pareto",
    population: int = 16,
    generations: int = 50,
    evaluations: int | None = None,
    seed: int = 0,
    reference_cost: float = inf,
    trade_off: float = 4.0,
    max_cost: float | None = None,
    start: Collection[Genotype] | Mapping[Genotype, float | None] = (),
    model: Literal["gp", "none"] | Screen = "gp",
    callback: Callable[[SearchResult], object] | None = None,
    map: Map | None = None,  # noqa: A002 (what pools call it)
) -> SearchResult:
    """Searches any integer space with any accuracy and cost, in this process, without a storage.

    Args:
        accuracy: Function from a genotype, a tuple of integers, to its accuracy in percent. It is
            called once per genotype. None, NaN and infinity mark a genotype that failed: it is
            left out of the result. An exception ends the search.
        cost: Function from a genotype to its cost, a positive number. With `max_cost` the cost
            must not fall as a choice grows.
        choices: The number of choices of each gene, as in `[6] * 12`; choices are ordinal.
        mode: `scalar`, Eq. 4 of the paper; or `pareto`, accuracy against log cost.
        population: Genotypes per generation.
        generations: Number of generations.
        evaluations: Number of accuracies after which the search stops, even inside a generation.
        seed: Seed of the search; equal seeds and functions give equal results.
        reference_cost: Cost that Eq. 4 divides by. Without it, fitness is the accuracy.
        trade_off: Lambda of Eq. 4.
        max_cost: Limit on the cost: no genotype above it is evaluated.
        start: Genotypes that are evaluated first; or a mapping from genotypes to accuracies that
            are known already: they are not evaluated, and are a part of the result.
        model: What screens candidates from the second generation on: `gp`, a Gaussian process;
            `none`, which leaves the choice to the genetic algorithm; or an object with a method
            `choose(history, objective, candidates, number, rng)` that returns the genotypes to
            evaluate next, shape (number, genes), out of those that it bred, as
            `moo_bnas.evolution.screening.Screen` documents.
        callback: Called after each generation with the result so far, once there is one.
        map: Function that calls another one for each genotype of a generation, such as the `map`
            of a process pool, for which `accuracy` must be picklable. Results are matched by
            genotype, so they may come in any order and the search is the same as without `map`.

    Raises:
        DefinitionError: Where an argument makes no sense, a cost is not a positive number, an
            accuracy is neither a number nor None, or even the genotype of zeros is over
            `max_cost`.
    """
    check(
        ("accuracy", accuracy, callable(accuracy)),
        ("cost", cost, callable(cost)),
        ("choices", choices, are_wholes(choices, 1)),
        ("mode", mode, mode in ("scalar", "pareto")),
        ("population", population, is_whole(population, 2)),
        ("generations", generations, is_whole(generations, 1)),
        ("evaluations", evaluations, evaluations is None or is_whole(evaluations, 1)),
        ("seed", seed, is_whole(seed, 0)),
        ("callback", callback, callback is None or callable(callback)),
        ("map", map, map is None or callable(map)),
        ("reference_cost", reference_cost, is_real(reference_cost) and reference_cost > 0),
        ("model", model, model in ("gp", "none") or hasattr(model, "choose")),
        ("trade_off", trade_off, is_real(trade_off) and 0 <= trade_off < inf),
        ("start", start, are_genotypes(start)),
        ("max_cost", max_cost, max_cost is None or (is_real(max_cost) and max_cost > 0)),
    )

    each = _Paired(accuracy)

    def accuracies_of(genotypes: Sequence[Genotype]) -> dict[Genotype, float]:
        pairs = (each(g) for g in genotypes) if map is None else _results(map(each, genotypes))
        found = {genotype: checked(genotype, value) for genotype, value in pairs}
        if missing := [g for g in genotypes if g not in found]:
            raise DefinitionError(
                f"map gave {len(found)} results for {len(genotypes)} genotypes, none for "
                f"{missing[0]}; give one that calls its function for each, such as Pool.map"
            )
        return {genotype: found[genotype] for genotype in genotypes}

    def result() -> SearchResult | None:
        kept = {g: a for g, a in done.items() if isfinite(a)}
        if not kept:
            return None
        costs = weighed.of(np.array([*kept])).tolist()
        return SearchResult(
            tuple(
                Evaluation(g, a, c, fitness(a, c, reference_cost, trade_off))
                for (g, a), c in zip(kept.items(), costs, strict=True)
            ),
            tuple(int(c) for c in choices),
            float(reference_cost),
            float(trade_off),
        )

    def checked(genotype: Genotype, value: float | None) -> float:
        return nan if value is None else _number("accuracy", genotype, value, "a number or None")

    weighed = Cost("cost", "units", _remembered(cost))
    known = start if isinstance(start, Mapping) else {}
    done = {_plain(g): checked(_plain(g), a) for g, a in known.items()}
    run = Search(
        [int(c) for c in choices],  # integers of numpy overflow when the size is counted
        weighed,
        mode=mode,
        population=int(population),
        seed=int(seed),
        reference_cost=reference_cost,
        trade_off=trade_off,
        budgets=() if max_cost is None else (Budget(weighed, max_cost),),
        start=[_plain(g) for g in start],
        screen=_screen(model, [int(c) for c in choices]),
    )
    run.tell({g: a if isfinite(a) else None for g, a in done.items()})
    limit = None if evaluations is None else evaluations + len(done)
    for _ in range(generations):
        asked = run.ask()
        room = len(asked) if limit is None else max(limit - len(done), 0)
        done.update(accuracies_of(asked[:room]))
        if callback is not None and room and (so_far := result()) is not None:
            callback(so_far)
        if not asked or room < len(asked):
            break
        run.tell({g: done[g] if isfinite(done[g]) else None for g in asked})
    if (found := result()) is None:
        raise DefinitionError(
            f"none of {len(done)} accuracies was a number; check the accuracy function"
        )
    return found


def _results(given: Any) -> Iterable[Scored]:
    """What a user's `map` returned, where that is what its function returned."""
    pairs: list[Any] = [*given] if isinstance(given, Iterable) else [given]
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise DefinitionError(
                f"map gave {pair!r:.100}, expected what its function returns for each genotype; "
                "give one that calls its function, such as Pool.map"
            )
    return pairs


@dataclass(frozen=True)
class _Paired:
    """A function that returns its argument, too; pools can send it to other processes."""

    accuracy: Callable[[Genotype], float | None]

    def __call__(self, genotype: Genotype) -> Scored:
        return genotype, self.accuracy(genotype)


def _remembered(cost: Callable[[Genotype], float]) -> Callable[[IntArray], FloatArray]:
    """The costs of many genotypes; budgets and screens ask for the same ones many times."""
    costs: dict[Genotype, float] = {}

    def of(genotypes: IntArray) -> FloatArray:
        asked = tuples(genotypes)
        for genotype in asked:
            if genotype not in costs:
                value = _number("cost", genotype, cost(genotype), "a positive number")
                if not (isfinite(value) and value > 0):
                    raise _unexpected("cost", genotype, value, "a positive number")
                costs[genotype] = value
        return np.array([costs[genotype] for genotype in asked])

    return of


def _screen(model: Literal["gp", "none"] | Screen, choices: list[int]) -> Screen | None:
    if not isinstance(model, str):
        return model
    if model == "none":
        return None
    if sum(choices) > WIDEST:
        raise DefinitionError(
            f"choices are {sum(choices):,} of all genes together, expected at most {WIDEST:,} with "
            "model='gp'; give model='none', or fewer choices"
        )
    return ModelScreen(choices)


def _plain(genotype: Sequence[int]) -> Genotype:
    """A genotype of Python's integers."""
    return tuple(int(i) for i in genotype)


def _number(name: str, genotype: Genotype, value: object, expected: str) -> float:
    """The value of a user's function as a float; tensors and arrays of one number count."""
    try:
        return float(value.item() if hasattr(value, "item") else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise _unexpected(name, genotype, value, expected) from None


def _unexpected(name: str, genotype: Genotype, value: object, expected: str) -> DefinitionError:
    return DefinitionError(
        f"the {name} of {genotype} is {value!r}, expected {expected}; check the {name} function"
    )
