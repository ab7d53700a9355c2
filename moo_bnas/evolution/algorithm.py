"""The algorithm of a search: `ask` proposes genotypes, `tell` takes their accuracies.

`Search` holds the pymoo algorithm and the history of evaluations. It neither trains nor stores;
evaluations come back by genotype, in any order. Equal seeds and equal evaluations give equal
proposals, so a run resumes by asking and telling again from the first generation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.evaluator import Evaluator
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.problems.static import StaticProblem

from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.candidates import Candidates, tuples
from moo_bnas.evolution.cost import Budget, Cost
from moo_bnas.evolution.scoring import Mode, Objective
from moo_bnas.evolution.screening import History, Screen
from moo_bnas.evolution.space import Genotype, IntArray


class Search:
    """A seeded GA (scalar) or NSGA-II (pareto) over integer genotypes.

    Every genotype is proposed once: both algorithms keep the best of parents and offspring, so one
    that was evaluated before could not change the population. Offspring over a budget are narrowed
    one gene at a time until they fit.

    Args:
        choices: The number of choices of each gene.
        cost: Cost that is weighed against the accuracy.
        mode: `scalar`, Eq. 4 of the paper; or `pareto`, accuracy against log cost.
        population: Genotypes per generation.
        seed: Seed of all random numbers. Other versions of pymoo and numpy may draw others.
        reference_cost: Cost that Eq. 4 divides by: the cost of the uniform 1x network.
        trade_off: Lambda of Eq. 4, in percent of accuracy per reference cost.
        budgets: Limits that every proposal keeps.
        screen: Object that chooses the proposals once there are evaluations; None leaves that to
            the genetic algorithm.

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
        screen: Screen | None = None,
    ) -> None:
        self._objective = Objective(mode, cost, reference_cost, trade_off)
        self._candidates = Candidates(choices, budgets)
        self._population = population
        self._seed = seed
        self._screen = screen
        self._history = History.empty(len(choices))
        self._asked: list[Genotype] = []
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
            crossover=self._candidates.crossover,
            mutation=self._candidates.mutation,
            repair=self._candidates.repair,
            eliminate_duplicates=self._candidates.duplicates,
            seed=seed,
        )
        self._algorithm.pop_size = population
        self._algorithm.setup(self._problem, termination=NoTermination())

    @property
    def history(self) -> History:
        """All evaluations given to `tell` so far."""
        return self._history

    def ask(self) -> list[Genotype]:
        """Proposes the next generation: distinct genotypes, none proposed before.

        Where mating or the screen yields too few, random genotypes make up the number.

        Returns:
            As many genotypes as the population; fewer, or none, once the space has no more within
            the budgets.

        Raises:
            DefinitionError: Where the screen chose a genotype that must not be proposed.
        """
        rng = self._rng
        if self._screen is not None and np.isfinite(self._history.accuracies).any():
            # Depends on the history alone, not on how many numbers earlier proposals drew.
            rng = np.random.default_rng((self._seed, len(self._history)))
            genotypes = self._screened(self._screen, rng)
        else:
            offspring = self._algorithm.ask()
            genotypes = [] if offspring is None else _genotypes(offspring)
        missing = self._population - len(genotypes)
        genotypes += tuples(self._candidates.random(missing, rng, besides=set(genotypes)))
        self._candidates.seen.update(genotypes)
        self._asked = genotypes
        return list(genotypes)

    def tell(self, accuracies: Mapping[Genotype, float | None]) -> None:
        """Takes the evaluations of a generation.

        Args:
            accuracies: Accuracy in percent of each genotype that `ask` returned last, or of
                others that were evaluated in their place. None marks a genotype whose evaluation
                failed for good; it ranks below all others.
        """
        if not accuracies:
            return
        same = set(self._asked) == set(accuracies)
        genotypes = self._asked if same else list(accuracies)
        self._candidates.seen.update(genotypes)
        told = [accuracies[g] for g in genotypes]
        cost = self._objective.cost.of(np.array(genotypes))
        self._history = self._history.extended(genotypes, told, cost)
        failed = np.array([float(a is None) for a in told])
        accuracy = np.array([0.0 if a is None else a for a in told])
        static = StaticProblem(
            self._problem, F=self._objective.minimized(accuracy, cost), G=failed[:, None]
        )
        infills = Population.new("X", np.array(genotypes))
        Evaluator().eval(static, infills)
        self._algorithm.tell(infills=infills)

    def _screened(self, screen: Screen, rng: np.random.Generator) -> list[Genotype]:
        number = self._population
        left = self._candidates.random(number + 1, rng)
        if len(left) <= number:  # there is nothing to choose
            return tuples(left)
        chosen = screen.choose(self._history, self._objective, self._candidates, number, rng)
        genotypes = tuples(np.asarray(chosen, dtype=np.int64))[:number]
        for genotype, times in Counter(genotypes).items():
            if times > 1 or not self._candidates.may_be_proposed(genotype):
                raise DefinitionError(
                    f"the screen chose {genotype}, expected distinct genotypes within the budgets "
                    "that were not proposed before; choose among those that `mate` and `spread` "
                    "return"
                )
        return genotypes

    def _first_population(self) -> IntArray:
        """The uniform genotypes within budget, then random ones.

        The uniform ones span the whole range of costs, which random ones do not: with them NSGA-II
        reaches at 192 evaluations a hypervolume that it otherwise misses at 512 (two enumerated
        tables, 20 seeds each).
        """
        uniform = self._candidates.uniform()[: self._population]
        missing = self._population - len(uniform)
        others = self._candidates.random(missing, self._rng, besides=set(tuples(uniform)))
        return np.concatenate([uniform, others])


def _genotypes(population: Population) -> list[Genotype]:
    return [tuple(int(i) for i in x) for x in population.get("X")]
