"""What a search believes of networks: the mean of a model of all that was measured.

The accuracy of one training run is the network's accuracy plus chance, and the best of many such
measurements is lucky more often than not. A Gaussian process over all measurements averages that
chance out, and says how far it trusts its estimates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from moo_bnas.evolution.gaussian_process import fit
from moo_bnas.evolution.space import Genotype

ENOUGH = 16
"""Number of different genotypes that must have been measured before anything is estimated."""

_CONDITION_ON = 1600  # measurements that an estimate looks at, at most: its time grows with n^3


@dataclass(frozen=True)
class Estimate:
    """What is believed of one genotype.

    Attributes:
        accuracy: Expected mean accuracy of many training runs, in percent.
        deviation: Standard deviation of that expectation, in percent.
    """

    accuracy: float
    deviation: float


def estimates(
    choices: Sequence[int],
    measured: Sequence[tuple[Genotype, float]],
    wanted: Sequence[Genotype],
) -> list[Estimate] | None:
    """Estimates of the accuracies of genotypes.

    Args:
        choices: The number of choices of each gene.
        measured: Genotypes with the accuracy of one training run each, in percent; a genotype that
            was trained several times is listed as often.
        wanted: Genotypes to estimate.

    Returns:
        One estimate for each genotype; None if fewer than `ENOUGH` genotypes were measured.
    """
    if len({genotype for genotype, _ in measured}) < ENOUGH:
        return None
    genotypes = np.array([genotype for genotype, _ in measured], dtype=np.int64)
    accuracies = np.array([accuracy for _, accuracy in measured], dtype=np.float64)
    if len(measured) > _CONDITION_ON:  # evenly from the first to the last
        some = np.linspace(0, len(measured) - 1, _CONDITION_ON).astype(np.int64)
        genotypes, accuracies = genotypes[some], accuracies[some]
    outlook = fit(choices, genotypes, accuracies).outlook(np.array(wanted, dtype=np.int64))
    return [
        Estimate(float(mean), float(deviation))
        for mean, deviation in zip(outlook.mean, outlook.deviation, strict=True)
    ]
