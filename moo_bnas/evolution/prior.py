"""What another search found, as a prior mean: a first guess of how genotypes differ in accuracy.

Its accuracies came of another recipe, other data or another network, so they do not hold here; but
what is better there is often better here, too. How far the guess is trusted is decided by the
evaluations of the search that uses it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from moo_bnas.evolution.candidates import tuples
from moo_bnas.evolution.gaussian_process import MeanFunction, fit
from moo_bnas.evolution.scoring import Objective, front
from moo_bnas.evolution.space import FloatArray, Genotype, IntArray


class Prior:
    """The mean of a Gaussian process over the evaluations of another search.

    Args:
        choices: The number of choices of each gene.
        genotypes: Genotypes that the other search evaluated, shape (n, genes).
        accuracies: Their accuracies in percent, shape (n,), all finite.
    """

    def __init__(self, choices: Sequence[int], genotypes: IntArray, accuracies: FloatArray) -> None:
        self._genotypes = genotypes
        self._process = fit(choices, genotypes, accuracies)

    def promising(self, objective: Objective, number: int) -> list[Genotype]:
        """What to evaluate first: the other search's fittest, or its front from end to end.

        Args:
            objective: What is optimised.
            number: Genotypes to return, at most.
        """
        means, costs = self._process.mean(self._genotypes), objective.cost.of(self._genotypes)
        if objective.mode == "scalar":
            chosen = np.argsort(objective.minimized(means, costs)[:, 0], kind="stable")[:number]
        else:
            on = np.array(front(means, costs))
            chosen = on[np.unique(np.linspace(0, len(on) - 1, number).astype(np.int64))]
        return list(dict.fromkeys(tuples(self._genotypes[chosen])))

    def trust(self, genotypes: IntArray, accuracies: FloatArray) -> float:
        """How far the prior is trusted, given evaluations of the search that uses it.

        The slope of the accuracies over the prior's, shrunk as by James and Stein (1961), positive
        part: towards 0 by as much as chance alone would explain. A prior that the evaluations
        contradict has no weight.

        Args:
            genotypes: Evaluated genotypes, shape (n, genes).
            accuracies: Their accuracies in percent, shape (n,), all finite.
        """
        guessed = self._process.mean(genotypes)
        guessed, measured = guessed - guessed.mean(), accuracies - accuracies.mean()
        if len(measured) < 3 or not guessed.any():
            return 0.0
        slope = float(guessed @ measured / (guessed @ guessed))
        rest = measured - slope * guessed
        chance = float(rest @ rest) / (len(measured) - 2) / float(guessed @ guessed)
        return max(slope - chance / slope, 0.0) if slope > 0 else 0.0

    def weighed(self, trust: float) -> MeanFunction:
        """The prior mean, up to a constant, at a trust."""
        return lambda genotypes: trust * self._process.mean(genotypes)
