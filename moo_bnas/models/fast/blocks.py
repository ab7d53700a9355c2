"""Arrays of a conv in blocks of 32 output channels, as tiles read them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from moo_bnas.models.fast.program import CHANNELS


def of_signs(signs: NDArray[np.int8]) -> NDArray[np.uint64]:
    """Bits of binary weights, out x in x k x k, as words [block][element of the window][32].

    The words of a window go row by row, pixel by pixel; a pixel fills whole words of 64 channels.
    """
    out, channels, k, _ = signs.shape
    bits = np.zeros((out, k, k, -(-channels // 64) * 64), np.bool_)
    bits[..., :channels] = signs.transpose(0, 2, 3, 1) > 0
    words = np.packbits(bits, axis=-1, bitorder="little").view("<u8").astype(np.uint64)
    return _blocked(words.reshape(out, -1))


def of_floats(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights, out x in x k x k, as [block][element of the window][32]."""
    return _blocked(weights.transpose(0, 2, 3, 1).reshape(len(weights), -1))


def padded(values: NDArray[Any], fill: float) -> NDArray[Any]:
    """Fills up the last axis, the channels, to whole blocks."""
    missing = [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % CHANNELS)]
    return np.pad(values, missing, constant_values=fill)


def masks(flags: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """One word of 32 bits per block."""
    return np.packbits(padded(flags, 0), bitorder="little").view("<u4").astype(np.uint32)


def _blocked(rows: NDArray[Any]) -> NDArray[Any]:
    """From channels x elements to blocks x elements x 32."""
    columns = padded(rows.T, 0)
    return np.ascontiguousarray(columns.reshape(len(columns), -1, CHANNELS).transpose(1, 0, 2))
