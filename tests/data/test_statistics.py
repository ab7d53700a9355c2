"""Channel statistics: exact sums, whatever the shape, and the numbers that follow."""

from __future__ import annotations

import numpy as np
import pytest

from moo_bnas.data.statistics import channel_sums, mean_and_deviation


@pytest.mark.parametrize("shape", [(3, 3, 64, 64), (200, 3, 8, 8), (2, 1, 300, 257), (5, 2, 1, 3)])
def test_sums_are_exact(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    images[0] = 255  # the greatest sums that there can be
    whole = images.astype(np.int64)
    found = channel_sums(images)
    assert found.dtype == np.int64
    assert np.array_equal(found[..., 0], whole.sum(axis=(2, 3)))
    assert np.array_equal(found[..., 1], (whole**2).sum(axis=(2, 3)))


def test_mean_and_deviation_by_hand() -> None:
    images = np.array([[[[0, 2]], [[7, 7]]], [[[4, 6]], [[7, 7]]]], np.uint8)  # 2 x 2 x 1 x 2
    mean, deviation = mean_and_deviation(channel_sums(images).sum(0), 4)
    assert mean.tolist() == [3.0, 7.0]
    # Of 0, 2, 4, 6 the variance is (9 + 1 + 1 + 9) / 4; one value everywhere is divided by 1.
    assert deviation.tolist() == [5.0**0.5, 1.0]
