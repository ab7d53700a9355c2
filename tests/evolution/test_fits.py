from __future__ import annotations

import numpy as np
import pytest

from moo_bnas.evolution.fits import Fits
from moo_bnas.evolution.prior import Prior
from moo_bnas.evolution.space import FloatArray, IntArray

CHOICES = [3, 2, 4]


def _data(number: int = 60) -> tuple[IntArray, FloatArray]:
    rng = np.random.default_rng(1)
    genotypes = rng.integers(0, CHOICES, size=(number, len(CHOICES)))
    return genotypes, 60 + genotypes @ np.array([1.0, 2.0, 3.0]) + rng.normal(0, 1, number)


def test_fits_do_not_depend_on_what_was_asked_before() -> None:
    genotypes, accuracies = _data()
    asked = Fits(CHOICES)
    for size in (9, 20, 33, 60):
        fresh = Fits(CHOICES).of(genotypes[:size], accuracies[:size])
        assert asked.of(genotypes[:size], accuracies[:size]) == fresh
    # Other evaluations of the same sizes are not mixed up with those before.
    other = accuracies[::-1].copy()
    assert asked.of(genotypes, other) == Fits(CHOICES).of(genotypes, other)
    assert asked.of(genotypes, other) != asked.of(genotypes, accuracies)


def test_a_prior_that_holds_is_the_mean_function_and_one_that_does_not_is_none() -> None:
    genotypes, accuracies = _data()
    without = Fits(CHOICES).of(genotypes, accuracies)
    assert without.mean_function is None
    against = Prior(CHOICES, genotypes, -accuracies)
    assert Fits(CHOICES, against).of(genotypes, accuracies) == without
    half = Prior(CHOICES, genotypes, 20 + accuracies / 2)
    found = Fits(CHOICES, half).of(genotypes, accuracies).mean_function
    assert found is not None
    ends = np.array([[0, 0, 0], [2, 1, 3]])
    # The true difference of the ends is 2 + 2 + 9; the guess's is half of that, trusted twice.
    assert float(np.diff(found(ends))[0]) == pytest.approx(13.0, abs=1.0)
