from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from moo_bnas.evolution.estimates import ENOUGH, Estimate, estimates
from moo_bnas.evolution.gaussian_process import fit
from moo_bnas.evolution.space import Genotype

CHOICES = [5] * 4
GENOTYPES = [
    tuple(map(int, g))
    for g in np.random.default_rng(0).permutation(list(np.ndindex(5, 5, 5, 5)))[:120]
]


def estimated(
    truth: Callable[[Genotype], float], noise: Callable[[float], float]
) -> list[Estimate]:
    """Estimates from one noisy measurement of each genotype."""
    chance = np.random.default_rng(1)
    measured = [(g, truth(g) + noise(truth(g)) * chance.standard_normal()) for g in GENOTYPES]
    found = estimates(CHOICES, measured, GENOTYPES)
    assert found is not None
    return found


def share_within(
    found: list[Estimate], truth: Callable[[Genotype], float], some: list[int]
) -> float:
    """The share of estimates that are within two deviations of the truth."""
    return float(
        np.mean(
            [abs(found[i].accuracy - truth(GENOTYPES[i])) < 2 * found[i].deviation for i in some]
        )
    )


def test_deviations_are_right_at_both_ends_of_noise_that_falls_with_the_error() -> None:
    def truth(genotype: Genotype) -> float:
        return 100 - 60 * math.exp(-sum(genotype) / 5)

    found = estimated(truth, lambda accuracy: 0.06 * (100 - accuracy))
    order = sorted(range(len(GENOTYPES)), key=lambda i: truth(GENOTYPES[i]))
    for some in (order[:40], order[-40:]):
        assert share_within(found, truth, some) >= 0.8
    top, low = (np.mean([found[i].deviation for i in some]) for some in (order[-40:], order[:40]))
    assert top < 0.5 * low


def test_accuracies_that_are_no_percentages_are_estimated_as_they_are() -> None:
    def truth(genotype: Genotype) -> float:
        return 500.0 + 10 * sum(genotype)

    found = estimated(truth, lambda _: 5.0)
    off = [e.accuracy - truth(g) for e, g in zip(found, GENOTYPES, strict=True)]
    assert float(np.std(off)) < 4
    assert max(e.accuracy for e in found) > 600


def test_no_estimate_is_above_100_percent() -> None:
    found = estimated(lambda g: 99.0 + sum(g) / 16, lambda _: 0.0)
    assert max(e.accuracy for e in found) <= 100


def test_too_few_genotypes_are_not_estimated_however_often_they_were_measured() -> None:
    few = [(g, 50.0 + sum(g)) for g in GENOTYPES[: ENOUGH - 1]]
    assert estimates(CHOICES, few * 3, GENOTYPES[:1]) is None
    assert estimates(CHOICES, [*few, (GENOTYPES[-1], 50.0)], GENOTYPES[:1]) is not None


def test_leaving_one_out_is_what_leaving_each_out_finds() -> None:
    chance = np.random.default_rng(2)
    genotypes = np.array(GENOTYPES[:20])
    accuracies = 50 + genotypes.sum(axis=1) + chance.standard_normal(20)
    process = fit(CHOICES, genotypes, accuracies)
    # Without the standardisation, which is of all accuracies: covariances in percent.
    scale, centre = accuracies.std(), accuracies.mean()
    rows = process._kernel.one_hot(genotypes)
    covariance = scale**2 * process._covariance(rows, rows)
    covariance += (process.noise**2 + 1e-8 * scale**2) * np.eye(20)
    densities = []
    for i in range(20):
        others = np.arange(20) != i
        weights = np.linalg.solve(covariance[np.ix_(others, others)], covariance[others, i])
        mean = centre + weights @ (accuracies[others] - centre)
        variance = covariance[i, i] - weights @ covariance[others, i]
        off = accuracies[i] - mean
        densities.append(-0.5 * (math.log(2 * math.pi * variance) + off**2 / variance))
    assert process.leave_one_out() == pytest.approx(np.mean(densities))
