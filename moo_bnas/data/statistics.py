"""Sums of pixels, from which means and standard deviations of any split follow exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 256  # 256 squares of 255 are below 2**24, up to which fp32 counts exactly
_MOST = 2**16  # pixels at a time, which stay in the processor's cache
_ONES = np.ones(_BLOCK, np.float32)


def channel_sums(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """For each channel of each image: the sum of its pixels, and the sum of their squares; exact.

    Args:
        images: uint8, n x channels x height x width.

    Returns:
        int64, n x channels x 2.
    """
    n, channels = images.shape[:2]
    flat = images.reshape(n * channels, -1)
    count = flat.shape[1]
    found = np.empty((len(flat), 2), np.int64)
    step = max(_MOST // count, 1)
    for start in range(0, len(flat), step):
        here = flat[start : start + step]
        padded = np.zeros((len(here), count + -count % _BLOCK), np.float32)
        padded[:, :count] = here
        blocks = padded.reshape(len(here), -1, _BLOCK)
        found[start : start + step, 0] = (blocks @ _ONES).sum(1, dtype=np.int64)
        squares = np.einsum("ijk,ijk->ij", blocks, blocks)
        found[start : start + step, 1] = squares.sum(1, dtype=np.int64)
    return found.reshape(n, channels, 2)


def mean_and_deviation(
    sums: NDArray[np.int64], pixels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel, in 0..255.

    Args:
        sums: Sum of the pixels and of their squares, over all images, int64, channels x 2.
        pixels: Number of pixels of one channel, of all images.

    Returns:
        Means, and deviations; a channel of one value everywhere has the deviation 1.
    """
    mean = sums[:, 0] / pixels
    deviation = np.sqrt(np.maximum(sums[:, 1] / pixels - mean * mean, 0))
    return mean, np.where(deviation > 0, deviation, 1.0)
