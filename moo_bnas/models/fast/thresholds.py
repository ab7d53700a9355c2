"""Folds scale, batch norm and binarizer into thresholds: one per channel, or more with more bits.

Whether a threshold of the binarizer is passed after a conv is `passes(batch_norm(scale * sum))`: in
real numbers a monotone function of the sum, and in floats too, because rounding is monotone. So it
is `(sum > threshold) ^ flip`. The threshold is found by bisection with the float operations of the
reference, so that the bit is the reference's at every sum, those beside the threshold included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moo_bnas.models.popcount import affine, passes
from moo_bnas.networks.binarizers import Encoding

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]

_GREATEST = 0x7F800000  # of the bits of a float32: infinity


def of_counts(
    limit: int,
    step: float,
    lows: Doubles,
    scale: Floats,
    multiplier: Floats,
    offset: Floats,
    encoding: Encoding,
) -> tuple[Integers, Bools]:
    """Thresholds of the integer `2 pop(b & w) - pop(b)` of a binary conv, added up over its bits.

    Args:
        limit: The greatest magnitude of this integer.
        step: Difference between two levels of the input.
        lows: What is added for the lower level, classes of position x channels.
        scale: Scale of the conv, a scalar or of shape (channels,).
        multiplier: Of the batch norm, of shape (channels,); all numbers are finite.
        offset: Of the batch norm.
        encoding: Of the binarizer after it.

    Returns:
        Thresholds, one for each of the encoding x classes x channels, and whether the bits of a
        channel are flipped.
    """
    flips = np.broadcast_to(np.signbit(scale) ^ np.signbit(multiplier), multiplier.shape)

    def limits_of(index: int) -> Integers:
        def passed(sums: Integers) -> Bools:
            scaled = (step * sums + lows).astype(np.float32) * scale
            return passes(affine(scaled, multiplier, offset), encoding, index)

        return _bisect(passed, flips, -limit - 1, limit + 1, lows.shape)

    return np.stack([limits_of(i) for i in range(len(encoding.thresholds))]), flips


def of_floats(multiplier: Floats, offset: Floats, encoding: Encoding) -> tuple[Floats, Bools]:
    """Thresholds of the float32 sums of a full-precision conv, and flips, per channel.

    Thresholds have the shape (thresholds of the encoding, 1, channels).
    """
    flips = np.signbit(multiplier)

    def limits_of(index: int) -> Floats:
        def passed(keys: Integers) -> Bools:
            return passes(affine(_ordered(keys), multiplier, offset), encoding, index)

        return _ordered(_bisect(passed, flips, -_GREATEST, _GREATEST, multiplier.shape))

    return np.stack([limits_of(i)[None] for i in range(len(encoding.thresholds))]), flips


def of_binarizer(encoding: Encoding) -> Floats:
    """The float32 numbers above which an activation passes each threshold of an encoding."""
    count = len(encoding.thresholds)

    def passed(keys: Integers) -> Bools:
        return np.array([passes(_ordered(keys[i]), encoding, i) for i in range(count)])

    return _ordered(_bisect(passed, np.zeros(count, np.bool_), -_GREATEST, _GREATEST, (count,)))


def _bisect(
    passed: Callable[[Any], Bools], flips: Bools, low: int, high: int, shape: tuple[int, ...]
) -> Integers:
    """The greatest integers in low..high - 1 that do not pass; low is taken not to pass."""
    below = np.full(shape, low, np.int64)
    above = np.full(shape, high, np.int64)
    with np.errstate(all="ignore"):  # sums near infinity overflow
        while (above - below > 1).any():
            middle = (below + above) // 2
            passing = passed(middle) ^ flips
            # Where both have met, the middle is `below` and must stay it.
            open_ = above - below > 1
            above = np.where(open_ & passing, middle, above)
            below = np.where(open_ & ~passing, middle, below)
    return below


def _ordered(keys: Integers) -> Floats:
    """Floats from integers in the same order: their bits, where the sign is that of the key."""
    bits = np.abs(keys).astype(np.uint32) | np.where(keys < 0, np.uint32(1 << 31), np.uint32(0))
    return bits.astype(np.uint32).view(np.float32)
