"""The search: an integer-coded pymoo problem, asked and told.

`Search` holds the pymoo algorithm and nothing else: it neither trains nor stores, and evaluations
come back by genotype, in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Literal

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.evaluator import Evaluator
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.problems.static import StaticProblem

from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.cost import Budget, Cost
from moo_bnas.evolution.scoring import unclipped_fitness
from moo_bnas.evolution.space import Genotype, IntArray

Mode = Literal["scalar", "pareto"]

_SAMPLES, _TRIES = 1024, 16  # random genotypes drawn at a time, and how often
_ENUMERABLE = 200_000  # spaces up to this size are enumerated once random ones find nothing new


class Search:
    """A seeded GA (scalar) or NSGA-II (pareto) over integer genotypes, asked and told.

    Every genotype is proposed once: both algorithms keep the best of parents and offspring, so one
    that was evaluated before could not change the population. Offspring over a budget are narrowed
    one gene at a time until they fit.

    Args:
        choices: The number of choices of each gene.
        cost: What an accuracy is weighed against.
        mode: `scalar`, Eq. 4 of the paper; or `pareto`, accuracy against log cost.
        population: Genotypes a generation.
        seed: Equal seeds and equal evaluations give equal proposals, in this version of pymoo.
        reference_cost: The cost that Eq. 4 divides by (that of the uniform 1x network).
        trade_off: The lambda of Eq. 4, in percent of accuracy per reference cost.
        budgets: Limits that every proposal keeps.

    Raises:
        DefinitionError: Where even the smallest genotype is over a budget.
    """

    def __init__(
        self,
        choices: Sequence[int],
        cost: Cost,
        *,
        mode: Mode,
        population: int,
        seed: int,
        reference_cost: float,
        trade_off: float,
        budgets: Sequence[Budget] = (),
    ) -> None:
        self._cost = cost
        self._mode = mode
        self._reference_cost = reference_cost
        self._trade_off = trade_off
        self._budgets = budgets
        self._choices = tuple(choices)
        self._population = population
        self._seen: set[Genotype] = set()
        self._asked: Any = None
        smallest = np.zeros((1, len(choices)), dtype=np.int64)
        for budget in budgets:
            least = budget.cost.of(smallest)[0]
            if least > budget.limit:
                raise DefinitionError(
                    f"the limit on {budget.cost.name} is {budget.limit:.10g} {budget.cost.unit}, "
                    f"but the smallest network has {least:.10g}; raise the limit"
                )
        self._problem = Problem(
            n_var=len(choices),
            n_obj=1 if mode == "scalar" else 2,
            n_ieq_constr=1,  # above 0 for a genotype whose evaluation failed
            xl=0,
            xu=np.array(choices) - 1,
            vtype=float,  # the operators work on floats; the repair rounds
        )
        self._rng = np.random.default_rng(seed)
        sample = self._first_population()
        algorithm = GA if mode == "scalar" else NSGA2
        self._algorithm = algorithm(
            pop_size=len(sample),
            n_offsprings=population,
            sampling=sample,
            # A wide eta: with pymoo's 15 and 20 most offspring round back to their parents.
            crossover=SBX(prob=0.9, eta=3, vtype=float),
            mutation=PM(prob=1.0, prob_var=1 / len(choices), eta=3, vtype=float),
            repair=_IntoBudget(self._within_budget),
            eliminate_duplicates=_EliminateSeen(self._seen),
            seed=seed,
        )
        self._algorithm.pop_size = population
        self._algorithm.setup(self._problem, termination=NoTermination())

    def ask(self) -> list[Genotype]:
        """The next generation: distinct genotypes, none proposed before.

        Where mating finds too few new ones, random new ones make up the number.

        Returns:
            One population of them; fewer, or none, once the space has no more within the budgets.
        """
        self._asked = self._algorithm.ask()
        genotypes = [] if self._asked is None else _genotypes(self._asked)
        missing = self._population - len(genotypes)
        if missing:
            genotypes += self._unseen(missing, set(genotypes))
            self._asked = Population.new("X", np.array(genotypes)) if genotypes else None
        self._seen.update(genotypes)
        return genotypes

    def tell(self, accuracies: Mapping[Genotype, float | None]) -> None:
        """Gives the generation its evaluations.

        Args:
            accuracies: Percent by genotype, of all that `ask` returned last (or of others that
                were evaluated in their place); None for a genotype whose evaluation failed for
                good. It ranks below all others.
        """
        if not accuracies:
            return
        genotypes = [] if self._asked is None else _genotypes(self._asked)
        if set(genotypes) != set(accuracies):
            genotypes = list(accuracies)
            self._asked = Population.new("X", np.array(genotypes))
        self._seen.update(genotypes)
        told = [accuracies[g] for g in genotypes]
        accuracy = np.array([0.0 if a is None else a for a in told])
        failed = np.array([float(a is None) for a in told])
        cost = self._cost.of(np.array(genotypes))
        if self._mode == "scalar":
            # Unclipped: networks that Eq. 4 clips to 0 must still rank among each other.
            objectives = [-unclipped_fitness(accuracy, cost, self._reference_cost, self._trade_off)]
        else:
            objectives = [-accuracy, np.log(cost)]
        static = StaticProblem(self._problem, F=np.column_stack(objectives), G=failed[:, None])
        Evaluator().eval(static, self._asked)
        self._algorithm.tell(infills=self._asked)

    def _within_budget(self, genotypes: IntArray) -> Any:
        within = np.ones(len(genotypes), dtype=bool)
        for budget in self._budgets:
            within &= budget.cost.of(genotypes) <= budget.limit
        return within

    def _first_population(self) -> IntArray:
        """The uniform genotypes within budget, then random ones.

        The uniform ones span the whole range of costs, which random ones do not: with them NSGA-II
        reaches at 192 evaluations a hypervolume that it otherwise misses at 512 (two enumerated
        tables, 20 seeds each).
        """
        choices = np.array(self._choices)
        uniform = np.minimum(np.arange(choices.max())[:, None], choices - 1)
        within = [tuple(g) for g in uniform[self._within_budget(uniform)].tolist()]
        first = within[: self._population]
        first += self._unseen(self._population - len(first), set(first))
        return np.array(first, dtype=np.int64)

    def _unseen(self, number: int, others: set[Genotype]) -> list[Genotype]:
        """Random genotypes within budget, neither seen nor among `others`; fewer if there are."""
        found: dict[Genotype, None] = {}

        def take(genotypes: IntArray) -> None:
            for g in genotypes.tolist():
                genotype = tuple(g)
                if len(found) < number and genotype not in self._seen and genotype not in others:
                    found[genotype] = None

        for _ in range(_TRIES):
            if len(found) == number:
                return list(found)
            random = self._rng.integers(0, self._choices, size=(_SAMPLES, len(self._choices)))
            take(random[self._within_budget(random)])
            if self._budgets:  # a tight one leaves few of the random ones
                take(_narrow(random, self._within_budget, self._rng))
        if len(found) < number and prod(self._choices) <= _ENUMERABLE:
            everything = np.indices(self._choices).reshape(len(self._choices), -1).T
            take(self._rng.permutation(everything[self._within_budget(everything)]))
        return list(found)


def _genotypes(population: Any) -> list[Genotype]:
    return [tuple(int(i) for i in x) for x in population.get("X")]


def _narrow(
    genotypes: IntArray, within_budget: Callable[[IntArray], Any], rng: np.random.Generator
) -> IntArray:
    """Lowers one random gene of every genotype over budget by one choice, until all are within."""
    genotypes = genotypes.copy()
    over = np.flatnonzero(~within_budget(genotypes))
    while len(over):
        for i in over:
            gene = rng.choice(np.flatnonzero(genotypes[i]))
            genotypes[i, gene] -= 1
        over = over[~within_budget(genotypes[over])]
    return genotypes


class _IntoBudget(Repair):  # type: ignore[misc]
    """Rounds to integers, then narrows what is over budget."""

    def __init__(self, within_budget: Callable[[IntArray], Any]) -> None:
        super().__init__()
        self._within_budget = within_budget

    def _do(self, problem: Problem, X: Any, random_state: Any = None, **kwargs: Any) -> IntArray:
        return _narrow(
            np.around(X.astype(float)).astype(np.int64), self._within_budget, random_state
        )


class _EliminateSeen(DuplicateElimination):  # type: ignore[misc]
    """Drops offspring that repeat each other or any genotype asked for before."""

    def __init__(self, seen: set[Genotype]) -> None:
        super().__init__()
        self._seen = seen

    def _do(self, pop: Any, other: Any, is_duplicate: Any) -> Any:
        others = set() if other is None else set(_genotypes(other))
        for i, genotype in enumerate(_genotypes(pop)):
            is_duplicate[i] = genotype in self._seen or genotype in others
            if other is None:
                others.add(genotype)
        return is_duplicate
