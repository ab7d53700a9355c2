"""The seam for models that screen candidates: pick which of many offspring are evaluated.

A search that was given a `Screen` lets it choose all candidates after the first population. The
screen sees all evaluations so far (`History`), what is optimised (`Objective`), and can breed as
many candidates as it likes (`Candidates`); training runs are made only of those that it chooses.
The model that predicts accuracies inside a screen is called a surrogate.

Proposals must be a function of the seed and the history alone, since a run resumes by asking
again from the first generation: a screen keeps nothing between calls that changes its choice, and
takes random numbers only from the generator that it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from moo_bnas.evolution.candidates import Candidates
from moo_bnas.evolution.scoring import Objective
from moo_bnas.evolution.space import FloatArray, Genotype, IntArray


@dataclass(frozen=True)
class History:
    """All evaluations that were given to a search, in the order they were given.

    Attributes:
        genotypes: Evaluated genotypes, shape (n, genes).
        accuracies: Accuracy of each genotype in percent, shape (n,); NaN where training failed for
            good.
        costs: Cost of each genotype, shape (n,), in the unit of the objective's cost.
        running: Genotypes whose evaluations have not come back yet, shape (m, genes); none where a
            whole generation is proposed at once.
    """

    genotypes: IntArray
    accuracies: FloatArray
    costs: FloatArray
    running: IntArray = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))

    @staticmethod
    def empty(genes: int) -> History:
        """A history without evaluations."""
        return History(np.empty((0, genes), dtype=np.int64), np.empty(0), np.empty(0))

    def __len__(self) -> int:
        return len(self.genotypes)

    def extended(
        self,
        genotypes: Sequence[Genotype],
        accuracies: Sequence[float | None],
        costs: FloatArray,
    ) -> History:
        """This history followed by more evaluations; None stands for a failed one."""
        percent = np.array([np.nan if a is None else a for a in accuracies], dtype=np.float64)
        return replace(
            self,
            genotypes=np.concatenate([self.genotypes, np.array(genotypes, dtype=np.int64)]),
            accuracies=np.concatenate([self.accuracies, percent]),
            costs=np.concatenate([self.costs, costs]),
        )


class Screen(Protocol):
    """Chooses the candidates that are evaluated next."""

    def choose(
        self,
        history: History,
        objective: Objective,
        candidates: Candidates,
        number: int,
        rng: np.random.Generator,
    ) -> IntArray:
        """Chooses from candidates that it breeds.

        Args:
            history: Evaluations so far, at least one of which has an accuracy.
            objective: What is optimised; `objective.cost.of` gives the costs of candidates.
            candidates: Source of genotypes that may be proposed: `mate` makes offspring of any
                parents, so that a pool can evolve on a model, and `spread` covers all levels of
                cost.
            number: Genotypes to choose. More than these are left to propose.
            rng: The only source of random numbers, seeded by the search.

        Returns:
            Distinct genotypes out of those that `candidates` returned, shape (n, genes), the best
            first. Those beyond `number` are not proposed; where there are fewer, random ones make
            up the number.
        """
