"""Folded thresholds against the operations that they stand for, at every sum."""

from __future__ import annotations

import numpy as np
import pytest

from moo_bnas.models.fast.thresholds import of_binarizer, of_counts, of_floats
from moo_bnas.models.popcount import affine, passes
from tests.binarizers import ONE_BIT

CHANNELS = 40


def _norm(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    multiplier = random.normal(size=CHANNELS).astype(np.float32)
    multiplier[:3] = 0, 1e-30, -1e30  # the last channels pass always or never
    return multiplier, random.normal(0.5, 1, CHANNELS).astype(np.float32)


@pytest.mark.parametrize("binarizer", ONE_BIT)
@pytest.mark.parametrize("scale", [0.0, 0.037, 1e-12])
def test_every_attainable_count(binarizer: str, scale: float) -> None:
    encoding, limit = ONE_BIT[binarizer].encoding, 27
    multiplier, offset = _norm(0)
    lows = encoding.levels[0] * np.arange(-20.0, 20).reshape(1, CHANNELS)
    scales = np.full((), scale, np.float32)
    limits, flips = of_counts(limit, encoding.step, lows, scales, multiplier, offset, encoding)
    counts = np.arange(-limit, limit + 1)[:, None]
    sums = ((encoding.levels[1] - encoding.levels[0]) * counts + lows).astype(np.float32)
    expected = passes(affine(sums * scales, multiplier, offset), encoding)
    assert np.array_equal((counts > limits[0]) ^ flips, expected)


@pytest.mark.parametrize("binarizer", ONE_BIT)
def test_floats_beside_the_threshold(binarizer: str) -> None:
    encoding = ONE_BIT[binarizer].encoding
    multiplier, offset = _norm(1)
    least, flips = of_floats(multiplier, offset, encoding)
    least = least[0, 0]
    up, down = np.float32(np.inf), -np.float32(np.inf)
    finite = np.clip(least, -3e38, 3e38)
    far = np.random.default_rng(2).normal(0, 3, (50, CHANNELS)).astype(np.float32)
    sums = np.stack([finite, np.nextafter(finite, up), np.nextafter(finite, down), *far])
    expected = passes(affine(sums, multiplier, offset), encoding)
    assert np.array_equal((sums > least) ^ flips, expected)


def test_binarizers_at_their_thresholds() -> None:
    x = np.array([-1.0, -1e-45, -0.0, 0.0, 1e-45, 0.25, 0.49999997, 0.5, 0.50000006], np.float32)
    for binarizer in ONE_BIT.values():
        above = x > of_binarizer(binarizer.encoding)
        assert np.array_equal(above, passes(x, binarizer.encoding)), binarizer.name
