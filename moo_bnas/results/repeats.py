"""What repeats of a network's training run say of its accuracy. Pure data.

The training run of the search is none of them: the search has chosen networks by it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import SearchSpace
from moo_bnas.storage import Trial

Network = tuple[tuple[float, ...], Precision]
"""A network by its expansion ratios and its precision."""


@dataclass(frozen=True)
class Confirmed:
    """The accuracy of a network over repeats of its training run with other seeds.

    Attributes:
        mean: Mean accuracy in percent.
        standard_error: Standard error of the mean; None after a single run.
        runs: Number of repeats.
    """

    mean: float
    standard_error: float | None
    runs: int


def confirmed(space: SearchSpace, trials: Sequence[Trial]) -> dict[Network, Confirmed]:
    """What the trials of NAME.confirm that are complete say of each network."""
    found: dict[Network, list[float]] = {}
    for trial in trials:
        if trial.state == "complete":
            network = space.decode(trial.genotype), trial.precision
            found.setdefault(network, []).append(trial.result.accuracy)
    return {network: _confirmed(accuracies) for network, accuracies in found.items()}


def _confirmed(accuracies: Sequence[float]) -> Confirmed:
    runs = len(accuracies)
    error = stdev(accuracies) / math.sqrt(runs) if runs > 1 else None
    return Confirmed(fmean(accuracies), error, runs)
