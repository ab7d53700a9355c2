"""The algorithm of a search: `ask` proposes genotypes, `tell` takes their accuracies.

`Search` holds the pymoo algorithm and the history of evaluations. It neither trains nor stores;
evaluations come back by genotype: all of a generation at once, in any order, or one by one. Equal
seeds and equal evaluations give equal proposals, so a run resumes by asking and telling again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

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
from moo_bnas.evolution.space import Genotype


class Search:
    """A seeded GA (scalar) or NSGA-II (pareto) over integer genotypes.

    Every genotype is proposed once, unless `repeats` is set: both algorithms keep the best of
    parents and offspring, so one that was evaluated before could not change the population.
    Offspring over a budget are narrowed one gene at a time until they fit.

    Args:
        choices: The number of choices of each gene.
        cost: Cost that is weighed against the accuracy.
        mode: `scalar`, Eq. 4 of the paper; or `pareto`, accuracy against log cost.
        population: Genotypes per generation.
        seed: Seed of all random numbers. Other versions of pymoo and numpy may draw others.
        reference_cost: Cost that Eq. 4 divides by: the cost of the uniform 1x network.
        trade_off: Lambda of Eq. 4, in percent of accuracy per reference cost.
        budgets: Limits that every proposal keeps.
        start: Genotypes that are proposed first.
        repeats: Whether the first population is random, without the uniform ones, and genotypes are
            proposed again where mating yields them, as in a plain genetic algorithm; for whole
            generations, without a screen.
        screen: Object that chooses the proposals once there are evaluations; None leaves that to
            the genetic algorithm.

    Raises:
        DefinitionError: Where even the smallest genotype is over a budget, or where one to start
            with is not in the space or over a budget.
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
        start: Sequence[Genotype] = (),
        repeats: bool = False,
        screen: Screen | None = None,
    ) -> None:
        self._objective = Objective(mode, cost, reference_cost, trade_off)
        self._candidates = Candidates(choices, budgets)
        self._population = population
        self._seed = seed
        self._screen = screen
        self._repeats = repeats
        self._history = History.empty(len(choices))
        self._asked: list[Genotype] = []
        self._one_by_one = False
        self._problem = Problem(
            n_var=len(choices),
            n_obj=1 if mode == "scalar" else 2,
            n_ieq_constr=1,  # above 0 for a genotype whose evaluation failed
            xl=0,
            xu=np.array(choices) - 1,
            vtype=float,  # the operators work on floats; the repair rounds
        )
        self._rng = np.random.default_rng(seed)
        self._first = self._first_population(start)
        algorithm = GA if mode == "scalar" else NSGA2
        self._algorithm = algorithm(
            pop_size=population,
            n_offsprings=population,
            crossover=self._candidates.crossover,
            mutation=self._candidates.mutation,
            repair=self._candidates.repair,
            eliminate_duplicates=False if repeats else self._candidates.duplicates,
            seed=seed,
        )
        self._algorithm.setup(self._problem, termination=NoTermination())

    @property
    def history(self) -> History:
        """All evaluations given to `tell` so far."""
        return self._history

    def ask(self, number: int | None = None, running: Collection[Genotype] = ()) -> list[Genotype]:
        """Proposes genotypes: distinct ones, none proposed before, unless `repeats` is set.

        The first ones are those to start with, the uniform ones and random ones, until as many as
        the population are evaluated or running. Where mating or the screen yields too few, random
        genotypes make up the number.

        Args:
            number: Genotypes to propose; None: a generation, as many as the population. With a
                number the proposals are a function of the seed, of what was told in which order,
                and of what runs.
            running: Genotypes that were proposed and have no result yet. A screen takes them into
                account.

        Returns:
            As many genotypes as asked for; fewer, or none, once the space has no more within the
            budgets.

        Raises:
            DefinitionError: Where the screen chose a genotype that must not be proposed.
        """
        if self._repeats and number is None:
            offspring = self._algorithm.ask() if len(self._history) else None
            self._asked = self._any_first() if offspring is None else _genotypes(offspring)
            return list(self._asked)
        rng, self._one_by_one = self._rng, number is not None
        if self._one_by_one:
            rng = self._algorithm.random_state = self._fresh(len(running))
        number = self._population if number is None else number
        genotypes = self._first_ones(number, len(running))
        self._candidates.seen.update(genotypes)
        missing = number - len(genotypes)
        if missing and len(self._history):
            genotypes += self._bred(missing, [*running, *genotypes])
            self._candidates.seen.update(genotypes)
        genotypes += tuples(self._candidates.random(number - len(genotypes), rng))
        self._asked = genotypes
        self._candidates.seen.update(genotypes)
        return list(genotypes)

    def adopt(self, genotypes: Sequence[Genotype]) -> None:
        """Counts genotypes as proposed: an earlier process of the same search asked for them.

        Asking with a number continues as if this search had proposed them.
        """
        self._one_by_one = True
        self._candidates.seen.update(genotypes)

    def tell(self, accuracies: Mapping[Genotype, float | None]) -> None:
        """Takes the evaluations of a generation, or single ones.

        Args:
            accuracies: Accuracy in percent of each genotype that `ask` returned last, of some that
                were proposed earlier, or of others. None marks a genotype whose evaluation failed
                for good; it ranks below all others.
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
        if self._one_by_one:
            self._algorithm.random_state = self._fresh()
        self._algorithm.tell(infills=infills)

    def _first_ones(self, number: int, running: int) -> list[Genotype]:
        """Those of the first population that are due now."""
        starts, others = self._first
        due = max(self._population - len(self._history) - running, 0)
        seen = self._candidates.seen
        starts = [g for g in starts if g not in seen][:number]
        others = [g for g in others if g not in seen][: max(min(due, number) - len(starts), 0)]
        return starts + others

    def _any_first(self) -> list[Genotype]:
        """A first population with repeats: those to start with, then random ones."""
        starts = self._first[0][: self._population]
        shape = (self._population - len(starts), len(self._candidates.choices))
        drawn = self._rng.integers(0, self._candidates.choices, shape)
        return starts + tuples(self._candidates.narrow(drawn, self._rng))

    def _bred(self, number: int, running: Sequence[Genotype]) -> list[Genotype]:
        """Proposals of the screen, or of the genetic algorithm where no screen can choose."""
        if self._screen is not None and np.isfinite(self._history.accuracies).any():
            return self._screened(self._screen, number, running)
        self._algorithm.n_offsprings = number
        offspring = self._algorithm.ask()
        return [] if offspring is None else _genotypes(offspring)

    def _screened(self, screen: Screen, number: int, running: Sequence[Genotype]) -> list[Genotype]:
        history, rng = self._history, self._fresh(*[len(running)] * bool(running))
        if running:
            history = replace(history, running=np.array(running, dtype=np.int64))
        left = self._candidates.random(number + 1, rng)
        if len(left) <= number:  # there is nothing to choose
            return tuples(left)
        chosen = screen.choose(history, self._objective, self._candidates, number, rng)
        genotypes = tuples(np.asarray(chosen, dtype=np.int64))[:number]
        for genotype, times in Counter(genotypes).items():
            if times > 1 or not self._candidates.may_be_proposed(genotype):
                raise DefinitionError(
                    f"the screen chose {genotype}, expected distinct genotypes within the budgets "
                    "that were not proposed before; choose among those that `mate` and `spread` "
                    "return"
                )
        return genotypes

    def _fresh(self, *numbers: int) -> np.random.Generator:
        """Random numbers that depend on what is known alone, not on how many were drawn before."""
        return np.random.default_rng((self._seed, len(self._history), *numbers))

    def _first_population(self, start: Sequence[Genotype]) -> tuple[list[Genotype], list[Genotype]]:
        """Genotypes to start with; and the uniform ones within budget, then random ones.

        The uniform ones span the whole range of costs, which random ones do not: with them NSGA-II
        reaches at 192 evaluations a hypervolume that it otherwise misses at 512 (two enumerated
        tables, 20 seeds each).
        """
        for genotype in start:
            if not self._candidates.may_be_proposed(genotype):
                raise DefinitionError(
                    f"got {genotype} to start with, which is not in the space or over a budget; "
                    "correct it, or leave it out"
                )
        uniform = tuples(self._candidates.uniform(self._population))
        missing = self._population - len(uniform)
        others = tuples(self._candidates.random(missing, self._rng, besides=set(uniform)))
        starts = list(dict.fromkeys(start))
        return starts, [g for g in uniform + others if g not in set(starts)]


def _genotypes(population: Population) -> list[Genotype]:
    return [tuple(int(i) for i in x) for x in population.get("X")]
