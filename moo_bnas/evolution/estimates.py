"""What a search believes of networks: the mean of a model of all that was measured.

The accuracy of one training run is the network's accuracy plus chance, and the best of many such
measurements is lucky more often than not. A Gaussian process over all measurements averages that
chance out, and says how far it trusts its estimates. It is fitted to the accuracies or to the
logarithms of the errors, whichever predicts each measurement better from all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from moo_bnas.evolution.gaussian_process import fit
from moo_bnas.evolution.kernel import WIDEST
from moo_bnas.evolution.space import FloatArray, Genotype

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
        One estimate for each genotype; None if fewer than `ENOUGH` genotypes were measured, or if
        the genes have more choices than a process takes.
    """
    if len({genotype for genotype, _ in measured}) < ENOUGH or sum(choices) > WIDEST:
        return None
    genotypes = np.array([genotype for genotype, _ in measured], dtype=np.int64)
    accuracies = np.array([accuracy for _, accuracy in measured], dtype=np.float64)
    if len(measured) > _CONDITION_ON:  # evenly from the first to the last
        some = np.linspace(0, len(measured) - 1, _CONDITION_ON).astype(np.int64)
        genotypes, accuracies = genotypes[some], accuracies[some]
    # Accuracies above 100 are no percentages, and have no error.
    scales = [_PERCENT, _LOG_ERROR] if accuracies.max() <= 100 else [_PERCENT]
    process, scale = max(
        ((fit(choices, genotypes, scale.of(accuracies)), scale) for scale in scales),
        key=lambda found: found[0].leave_one_out() + found[1].log_slope(accuracies).mean(),
    )
    outlook = process.outlook(np.array(wanted, dtype=np.int64))
    means = scale.back(outlook.mean)
    deviations = outlook.deviation / np.exp(scale.log_slope(means))
    return [
        Estimate(float(mean), float(deviation))
        for mean, deviation in zip(means, deviations, strict=True)
    ]


class _Scale(NamedTuple):
    """What a process is fitted to, in place of accuracies in percent.

    Attributes:
        of: Values of accuracies.
        back: Accuracies of values.
        log_slope: Logarithm of the derivative of `of`, by which densities and deviations change.
    """

    of: Callable[[FloatArray], FloatArray]
    back: Callable[[FloatArray], FloatArray]
    log_slope: Callable[[FloatArray], FloatArray]


_PERCENT = _Scale(lambda a: a, lambda v: v, np.zeros_like)
# Accuracies of badly trained networks scatter more than those near 100 %; on this scale the noise
# is about the same everywhere. The point that is added keeps the last errors from weighing most.
_LOG_ERROR = _Scale(
    of=lambda a: -np.log(101.0 - a),
    back=lambda v: np.minimum(101.0 - np.exp(-v), 100.0),
    log_slope=lambda a: -np.log(101.0 - a),
)
