"""The same search in one call: in this process, without a storage, of any integer space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.algorithm import Mode, Search
from moo_bnas.evolution.cost import Budget, Cost
from moo_bnas.evolution.scoring import fitness, front, knee
from moo_bnas.evolution.space import FloatArray, Genotype, IntArray


@dataclass(frozen=True)
class Evaluation:
    """What is known of one genotype after a search without a storage.

    (What workers make and storages keep is a larger record: `moo_bnas.evaluation.Evaluation`.)

    Attributes:
        genotype: Choices, one per gene.
        accuracy: Percent.
        cost: In the unit of the cost function.
        fitness: Eq. 4, percent.
    """

    genotype: Genotype
    accuracy: float
    cost: float
    fitness: float


@dataclass(frozen=True)
class SearchResult:
    """All evaluations of a search, in the order they were asked for."""

    evaluations: tuple[Evaluation, ...]

    @property
    def best(self) -> Evaluation:
        """The fittest by Eq. 4; of equals the cheapest."""
        return max(self.evaluations, key=lambda e: (e.fitness, -e.cost))

    @property
    def front(self) -> list[Evaluation]:
        """Those that none beats in both accuracy and cost, by ascending cost."""
        on = front([e.accuracy for e in self.evaluations], [e.cost for e in self.evaluations])
        return [self.evaluations[i] for i in on]

    @property
    def knee(self) -> Evaluation:
        """The point of the front that bulges most from the line between its ends."""
        points = self.front
        return points[knee([e.accuracy for e in points], [e.cost for e in points])]


def search(
    accuracy: Callable[[Genotype], float],
    cost: Callable[[Genotype], float],
    *,
    choices: Sequence[int],
    mode: Mode = "pareto",
    population: int = 32,
    generations: int = 50,
    evaluations: int | None = None,
    seed: int = 0,
    reference_cost: float = inf,
    trade_off: float = 4.0,
    max_cost: float | None = None,
) -> SearchResult:
    """Searches any integer space with any accuracy and cost, in this process, without a storage.

    Args:
        accuracy: Percent, of a genotype. Called once per genotype. NaN or infinity marks one that
            failed: it is left out of the result. What it raises ends the search.
        cost: Positive, of a genotype. With `max_cost` it must not fall as a choice grows.
        choices: The number of choices of each gene, as in `[6] * 12`; choices are ordinal.
        mode: `scalar`, Eq. 4 of the paper; or `pareto`.
        population: Genotypes a generation.
        generations: How many of them.
        evaluations: Stop after this many accuracies, even inside a generation.
        seed: Of the search.
        reference_cost: The cost that Eq. 4 divides by. Without it, fitness is the accuracy.
        trade_off: The lambda of Eq. 4.
        max_cost: No genotype above it is evaluated.

    Raises:
        DefinitionError: Where an argument makes no sense, a cost is not a positive number, or even
            the genotype of zeros is over `max_cost`.
    """
    _check(
        ("choices", choices, bool(choices) and all(type(c) is int and c > 0 for c in choices)),
        ("mode", mode, mode in ("scalar", "pareto")),
        ("population", population, population >= 2),
        ("generations", generations, generations >= 1),
        ("evaluations", evaluations, evaluations is None or evaluations >= 1),
        ("seed", seed, seed >= 0),
        ("reference_cost", reference_cost, reference_cost > 0),
        ("trade_off", trade_off, 0 <= trade_off < inf),
        ("max_cost", max_cost, max_cost is None or max_cost > 0),
    )

    def of(genotypes: IntArray) -> FloatArray:
        costs = {tuple(g): float(cost(tuple(g))) for g in genotypes.tolist()}
        for genotype, value in costs.items():
            if not (isfinite(value) and value > 0):
                raise DefinitionError(
                    f"the cost of {genotype} is {value}, expected a positive number; mend the cost "
                    "function"
                )
        return np.array([costs[tuple(g)] for g in genotypes.tolist()], dtype=np.float64)

    model = Cost("cost", "units", of)
    run = Search(
        choices,
        model,
        mode=mode,
        population=population,
        seed=seed,
        reference_cost=reference_cost,
        trade_off=trade_off,
        budgets=() if max_cost is None else (Budget(model, max_cost),),
    )
    done: dict[Genotype, float] = {}
    for _ in range(generations):
        asked = run.ask()
        room = len(asked) if evaluations is None else max(evaluations - len(done), 0)
        done.update((g, float(accuracy(g))) for g in asked[:room])
        if not asked or room < len(asked):
            break
        run.tell({g: done[g] if isfinite(done[g]) else None for g in asked})
    kept = {g: a for g, a in done.items() if isfinite(a)}
    if not kept:
        raise DefinitionError(
            f"none of {len(done)} accuracies was a number; mend the accuracy function"
        )
    return SearchResult(
        tuple(
            Evaluation(g, a, c, fitness(a, c, reference_cost, trade_off))
            for (g, a), c in zip(kept.items(), of(np.array(list(kept))).tolist(), strict=True)
        )
    )


_EXPECTED = {
    "choices": "one integer of at least 1 per gene",
    "mode": "'scalar' or 'pareto'",
    "population": "at least 2",
    "generations": "at least 1",
    "evaluations": "at least 1, or None",
    "seed": "at least 0",
    "reference_cost": "above 0",
    "trade_off": "at least 0",
    "max_cost": "above 0, or None",
}


def _check(*arguments: tuple[str, object, bool]) -> None:
    faults = [
        f"{name} is {got!r}, expected {_EXPECTED[name]}" for name, got, ok in arguments if not ok
    ]
    if faults:
        raise DefinitionError("; ".join(faults))
