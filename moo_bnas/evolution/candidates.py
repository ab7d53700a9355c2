"""Genotypes that a search may propose: within its budgets, none proposed before.

They are drawn at random, spread over the levels of cost, or bred from parents by pymoo's
operators. Generators of random numbers are arguments, so equal seeds give equal genotypes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM

from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.cost import Budget
from moo_bnas.evolution.space import Genotype, IntArray

_SAMPLES, _DRAWS, _MATINGS = 1024, 16, 4  # genotypes drawn or bred at a time, and how often
_ENUMERABLE = 200_000  # spaces up to this size are enumerated once random ones find nothing new
_FEW = 1024  # genotypes within tight budgets are enumerated at once if there are no more
_CROSSOVER = 0.9  # the share of pairs that mix their genes before they mutate


class Candidates:
    """Sources of genotypes within the budgets that were not proposed before.

    `random`, `spread` and `mate` return distinct genotypes of shape (n, genes), as many as they
    are asked for, or fewer where they find no more. Genotypes over a budget are narrowed, one gene
    at a time, until they fit.

    Args:
        choices: The number of choices of each gene.
        budgets: Limits that every genotype keeps.

    Attributes:
        choices: The number of choices of each gene, shape (genes,).
        seen: Genotypes proposed or evaluated so far.
        crossover: Operator of pymoo that mixes two parents.
        mutation: Operator of pymoo that changes single genes.
        repair: Operator of pymoo that rounds genotypes and narrows those over a budget.
        duplicates: Operator of pymoo that removes repeated and seen genotypes.

    Raises:
        DefinitionError: Where even the smallest genotype is over a budget.
    """

    def __init__(self, choices: Sequence[int], budgets: Sequence[Budget]) -> None:
        self.choices = np.array(choices, dtype=np.int64)
        self.seen: set[Genotype] = set()
        # A wide eta: with pymoo's 15 and 20 most offspring round back to their parents.
        self.crossover = SBX(prob=_CROSSOVER, eta=3, vtype=float)
        self.mutation = PM(prob=1.0, prob_var=1 / len(choices), eta=3, vtype=float)
        self.repair = _IntoBudget(self.narrow)
        self.duplicates = _EliminateSeen(self.seen)
        self._budgets = budgets
        self._within: IntArray | None = None  # all genotypes within the budgets, once enumerated
        smallest = np.zeros((1, len(choices)), dtype=np.int64)
        for budget in budgets:
            least = budget.cost.of(smallest)[0]
            if least > budget.limit:
                raise DefinitionError(
                    f"the limit on {budget.cost.name} is {budget.limit:.10g} {budget.cost.unit}, "
                    f"but the smallest network has {least:.10g}; raise the limit"
                )
        if budgets:
            self._within = self._climbed(_FEW)

    def within_budget(self, genotypes: IntArray) -> NDArray[np.bool_]:
        """Whether each of the genotypes, shape (n, genes), keeps all budgets; shape (n,)."""
        within = np.ones(len(genotypes), dtype=bool)
        for budget in self._budgets:
            within &= budget.cost.of(genotypes) <= budget.limit
        return within

    def may_be_proposed(self, genotype: Genotype) -> bool:
        """Whether a genotype is in the space, within the budgets, and was not proposed before."""
        inside = len(genotype) == len(self.choices) and all(
            0 <= gene < choices for gene, choices in zip(genotype, self.choices, strict=True)
        )
        return (
            inside and genotype not in self.seen and bool(self.within_budget(np.array([genotype])))
        )

    def uniform(self, number: int) -> IntArray:
        """The genotypes with the same choice for each gene, within budget, shape (n, genes).

        Genotypes that were proposed before are included. A gene with fewer choices than the others
        keeps its last one.

        Args:
            number: Genotypes to return, at most; of more they are spread from end to end.
        """
        most = int(self.choices.max())
        levels = np.linspace(0, most - 1, min(number, most)).round().astype(np.int64)
        uniform = np.minimum(levels[:, None], self.choices - 1)
        return uniform[self.within_budget(uniform)]

    def random(
        self, number: int, rng: np.random.Generator, besides: Collection[Genotype] = ()
    ) -> IntArray:
        """Random genotypes, each choice of each gene as likely as the others.

        Args:
            number: Genotypes to return.
            rng: Source of random numbers.
            besides: Genotypes that are not returned.
        """
        shape = (_SAMPLES, len(self.choices))
        return self._drawn(number, rng, lambda: rng.integers(0, self.choices, size=shape), besides)

    def spread(self, number: int, rng: np.random.Generator) -> IntArray:
        """Random genotypes of all levels of cost, from the smallest to the largest.

        Each genotype has a random level between 0 and 1, and each of its genes is binomial with
        that level. Over all levels each choice of a gene is as likely as the others, as it is in
        `random`; but the costs of `random` genotypes crowd in the middle.

        Args:
            number: Genotypes to return.
            rng: Source of random numbers.
        """
        shape = (_SAMPLES, len(self.choices))

        def draw() -> IntArray:
            levels = rng.random((_SAMPLES, 1))
            return rng.binomial(self.choices - 1, levels, size=shape)

        return self._drawn(number, rng, draw, ())

    def mate(self, parents: IntArray, number: int, rng: np.random.Generator) -> IntArray:
        """Offspring of random pairs of parents, by the crossover and mutation of the search.

        Args:
            parents: Genotypes to breed from, shape (m, genes); a repeated one mates more often.
            number: Offspring to return.
            rng: Source of random numbers.
        """
        bounds = Problem(n_var=len(self.choices), xl=0, xu=self.choices - 1, vtype=float)

        def offspring() -> IntArray:
            # `_do`, since `do` makes an object of each genotype and takes five times as long.
            pairs = parents[rng.integers(0, len(parents), size=(2, _SAMPLES // 2))]
            mixed = self.crossover._do(bounds, pairs.astype(float), random_state=rng)
            crossed = rng.random((pairs.shape[1], 1)) < _CROSSOVER
            children = np.where(crossed, mixed, pairs).reshape(-1, len(self.choices))
            return _rounded(self.mutation._do(bounds, children, random_state=rng))

        return self._array(self._gathered(number, rng, offspring, (), _MATINGS), number)

    def narrow(self, genotypes: IntArray, rng: np.random.Generator) -> IntArray:
        """Lowers one random gene of every genotype over budget by one choice, until all fit."""
        genotypes = genotypes.copy()
        over = np.flatnonzero(~self.within_budget(genotypes))
        while len(over):
            # One by one: stored runs repeat only if random numbers are drawn in the same order.
            for i in over:
                gene = rng.choice(np.flatnonzero(genotypes[i]))
                genotypes[i, gene] -= 1
            over = over[~self.within_budget(genotypes[over])]
        return genotypes

    def _drawn(
        self,
        number: int,
        rng: np.random.Generator,
        draw: Callable[[], IntArray],
        besides: Collection[Genotype],
    ) -> IntArray:
        found = self._gathered(number, rng, draw, besides, _DRAWS)
        if len(found) < number and self._within is None:
            self._within = self._enumerated()
            if self._within is not None:
                self._take(rng.permutation(self._within), found, besides)
        return self._array(found, number)

    def _enumerated(self) -> IntArray | None:
        """All genotypes within the budgets, unless they are too many."""
        choices: list[int] = self.choices.tolist()
        if prod(choices) <= _ENUMERABLE:
            everything = np.indices(choices).reshape(len(choices), -1).T
            return everything[self.within_budget(everything)]
        return self._climbed(_ENUMERABLE) if self._budgets else None

    def _climbed(self, at_most: int) -> IntArray | None:
        """All genotypes within the budgets, found from the smallest one by steps of one choice.

        A larger genotype costs no less, so all those within the budgets are reached through others
        that are; the time does not depend on the size of the space.

        Args:
            at_most: Number of genotypes above which the answer is None.
        """
        steps = np.eye(len(self.choices), dtype=np.int64)
        level = np.zeros((1, len(self.choices)), dtype=np.int64)
        found = [level]
        while len(level):
            above = np.unique((level[:, None] + steps).reshape(-1, len(steps)), axis=0)
            above = above[(above < self.choices).all(axis=1)]
            level = above[self.within_budget(above)]
            found.append(level)
            if sum(map(len, found)) > at_most:
                return None
        return np.concatenate(found)

    def _gathered(
        self,
        number: int,
        rng: np.random.Generator,
        draw: Callable[[], IntArray],
        besides: Collection[Genotype],
        tries: int,
    ) -> dict[Genotype, None]:
        """At least `number` new genotypes, in the order they were found; fewer after many draws."""
        found: dict[Genotype, None] = {}  # a set that keeps its order
        if self._within is not None:
            self._take(rng.permutation(self._within), found, besides)
            return found
        for _ in range(tries):
            if len(found) >= number:
                break
            self._take_within(draw(), number, rng, found, besides)
        return found

    def _take_within(
        self,
        genotypes: IntArray,
        number: int,
        rng: np.random.Generator,
        found: dict[Genotype, None],
        besides: Collection[Genotype],
    ) -> None:
        """Takes genotypes until there are `number`: first those within budget, then narrowed ones.

        The cost of a genotype may take long, so no more are asked for than are needed.
        """
        over = []
        while len(genotypes) and len(found) < number:
            some, genotypes = np.split(genotypes, [number - len(found)])
            within = self.within_budget(some)
            self._take(some[within], found, besides)
            over.append(some[~within])
        for some in over:
            if len(found) < number:
                self._take(self.narrow(some, rng), found, besides)

    def _take(
        self,
        genotypes: IntArray,
        found: dict[Genotype, None],
        besides: Collection[Genotype],
    ) -> None:
        seen = self.seen
        found.update((g, None) for g in tuples(genotypes) if g not in seen and g not in besides)

    def _array(self, found: Collection[Genotype], number: int) -> IntArray:
        return np.array(list(found)[:number], dtype=np.int64).reshape(-1, len(self.choices))


def tuples(genotypes: IntArray) -> list[Genotype]:
    """The rows of an array as genotypes."""
    return [tuple(row) for row in genotypes.tolist()]


def _rounded(floats: Any) -> IntArray:
    integers: IntArray = np.around(floats.astype(float)).astype(np.int64)
    return integers


class _IntoBudget(Repair):  # type: ignore[misc]
    """Rounds to integers, then narrows what is over budget."""

    def __init__(self, narrow: Callable[[IntArray, np.random.Generator], IntArray]) -> None:
        super().__init__()
        self._narrow = narrow

    def _do(self, problem: Problem, X: Any, random_state: Any = None, **kwargs: Any) -> IntArray:
        return self._narrow(_rounded(X), random_state)


class _EliminateSeen(DuplicateElimination):  # type: ignore[misc]
    """Drops offspring that repeat each other or any genotype proposed before."""

    def __init__(self, seen: set[Genotype]) -> None:
        super().__init__()
        self._seen = seen

    def _do(self, pop: Any, other: Any, is_duplicate: Any) -> Any:
        others = set() if other is None else set(tuples(_rounded(other.get("X"))))
        for i, genotype in enumerate(tuples(_rounded(pop.get("X")))):
            is_duplicate[i] = genotype in self._seen or genotype in others
            if other is None:
                others.add(genotype)
        return is_duplicate
