"""What is learned of a model as evaluations come in: its hyperparameters, and trust in a prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from moo_bnas.evolution.gaussian_process import START, MeanFunction, fitted
from moo_bnas.evolution.kernel import Hyperparameters
from moo_bnas.evolution.prior import Prior
from moo_bnas.evolution.space import FloatArray, IntArray

_GROWTH = 1.25  # it is fitted again once there are this many times the evaluations
_FEWEST = 8


class Fit(NamedTuple):
    """What is learned from some evaluations.

    Attributes:
        hyperparameters: The most likely ones.
        mean_function: What is expected before any evaluation; None: their mean.
    """

    hyperparameters: Hyperparameters
    mean_function: MeanFunction | None


class Fits:
    """Fits to a growing list of evaluations, made now and then.

    They are made at sizes that depend on nothing but the size, each time from the hyperparameters
    of the size before; so they are a function of the evaluations alone, whatever was asked for
    earlier.

    Args:
        choices: The number of choices of each gene.
        prior: Prior mean, if another search was made before.
    """

    def __init__(self, choices: Sequence[int], prior: Prior | None = None) -> None:
        self._choices = choices
        self._prior = prior
        self._known: dict[int, tuple[bytes, Fit]] = {}

    def of(self, genotypes: IntArray, accuracies: FloatArray) -> Fit:
        """The fit to evaluations, in their order.

        Args:
            genotypes: Evaluated genotypes, shape (n, genes).
            accuracies: Their accuracies in percent, shape (n,), all finite.
        """
        current, size = Fit(START, None), _FEWEST
        while size <= len(genotypes):
            key = genotypes[:size].tobytes() + accuracies[:size].tobytes()
            known = self._known.get(size)
            if known is None or known[0] != key:
                current = self._fit(genotypes[:size], accuracies[:size], current)
                self._known[size] = key, current
            else:
                current = known[1]
            size = int(size * _GROWTH) + 1
        return current

    def _fit(self, genotypes: IntArray, accuracies: FloatArray, last: Fit) -> Fit:
        mean_function = None
        if self._prior is not None and (trust := self._prior.trust(genotypes, accuracies)):
            mean_function = self._prior.weighed(trust)
            accuracies = accuracies - mean_function(genotypes)
        found = fitted(self._choices, genotypes, accuracies, last.hyperparameters)
        return Fit(found, mean_function)
