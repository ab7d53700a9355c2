"""The rows of a program: what `lowering` writes and `kernels` reads, without numba."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

WINDOWS = 4
"""Windows of a tile: their sums are computed together."""

CHANNELS = 32
"""Output channels of a tile, and of a block of weights."""


class Op(IntEnum):
    """What a step does."""

    LOAD = 0
    BITS_TO_BITS = 1
    BITS_TO_FLOATS = 2
    FLOATS_TO_BITS = 3
    FLOATS_TO_FLOATS = 4
    BINARIZE = 5
    MAX_POOL = 6
    BATCH_NORM = 7
    RELU = 8
    ADD = 9
    MEAN = 10
    FLATTEN = 11
    LINEAR = 12
    LEVELS = 13
    HARDTANH = 14
    PRELU = 15
    BIAS = 16
    MEAN_MAGNITUDE = 17
    SCALE = 18


CONVS = (Op.BITS_TO_BITS, Op.BITS_TO_FLOATS, Op.FLOATS_TO_BITS, Op.FLOATS_TO_FLOATS)

STEP = np.dtype(
    [
        (name, np.int64)
        for name in (
            "op",
            # Addresses of grids, and how they lie: pixels row by row, with a border of zeros.
            # Floats have `channels` numbers per pixel, bits whole words of 64. Activations of
            # several bits have a plane for each bit, the lowest first, one after the other.
            "source",
            "source_size",
            "source_border",
            "source_bytes",  # per pixel of a plane
            "source_planes",
            "source_plane",  # bytes of a plane
            "other",  # the branch that is added; 0: none
            "other_border",
            "out",
            "out_size",
            "out_border",
            "out_bytes",
            "out_planes",
            "out_plane",
            "clear",  # words of 64 bits of the output that are set to 0 before the step
            "in_channels",
            "channels",
            # Convs: blocks of 32 channels, tiles (see TILE), bytes from the start of a window to
            # each of its elements, and the weights, [block][element][32].
            "blocks",
            "tiles",
            "tile_count",
            "elements",
            "element_count",
            "weights",
            # Binary convs: for the ones of each window, pixels from its start to each of its
            # pixels; then room for the ones of each pixel of a plane, int32, and of each window of
            # each plane, int64.
            "places",
            "place_count",
            "pixel_ones",
            "window_ones",
            # To bits: thresholds per channel (int64 of sums, or float32), with `class_size` of
            # them per class of position, and all these again, after `threshold_bytes`, for each
            # of the `threshold_count` thresholds of the binarizer; bits to flip, uint32 per block;
            # whether the 4 windows of a tile become one bit.
            "thresholds",
            "threshold_count",
            "threshold_bytes",
            "class_size",
            "flips",
            "pooled",
            "levels",  # float32, ascending
            # To floats: sum = step * d + lows[class][channel], all float64; then scale and batch
            # norm (0: none), float32 per channel. A PReLU has its slopes as `multiplier`, a bias is
            # `offset`.
            "step",
            "lows",
            "scale",
            "multiplier",
            "offset",
            # Max-pools, and means of windows.
            "kernel",
            "stride",
            "padding",
        )
    ]
)
"""One step; all numbers are int64, addresses included."""

TILE = 16
"""Numbers per tile, int32: for each of its windows the pixel of the source where it begins, then
the pixels of the output, the classes of position, and the pixels of the other branch."""
