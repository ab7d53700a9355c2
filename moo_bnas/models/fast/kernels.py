"""The steps of a network as numba kernels, and the loop that runs them image by image.

Addresses are used as they are: `lowering` makes them from arrays whose shapes were checked.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

from moo_bnas.models.fast.convs import (
    bits_to_bits,
    bits_to_floats,
    floats_to_bits,
    floats_to_floats,
)
from moo_bnas.models.fast.program import CHANNELS, Op
from moo_bnas.models.fast.vectors import above, doubles_at, floats_at, halves_at, kernel, words_at

LOAD, BITS_TO_BITS, BITS_TO_FLOATS = int(Op.LOAD), int(Op.BITS_TO_BITS), int(Op.BITS_TO_FLOATS)
FLOATS_TO_BITS, FLOATS_TO_FLOATS = int(Op.FLOATS_TO_BITS), int(Op.FLOATS_TO_FLOATS)
BINARIZE, MAX_POOL, BATCH_NORM = int(Op.BINARIZE), int(Op.MAX_POOL), int(Op.BATCH_NORM)
RELU, ADD, MEAN = int(Op.RELU), int(Op.ADD), int(Op.MEAN)
FLATTEN, LINEAR, LEVELS = int(Op.FLATTEN), int(Op.LINEAR), int(Op.LEVELS)
HARDTANH, PRELU, BIAS = int(Op.HARDTANH), int(Op.PRELU), int(Op.BIAS)
MEAN_MAGNITUDE, SCALE = int(Op.MEAN_MAGNITUDE), int(Op.SCALE)


@kernel
def _pixel(address, size, border, width, y, x):
    return address + ((y + border) * (size + 2 * border) + x + border) * width


@kernel
def _source(s, y, x):
    return _pixel(s.source, s.source_size, s.source_border, s.source_bytes, y, x)


@kernel
def _out(s, y, x):
    return _pixel(s.out, s.out_size, s.out_border, s.out_bytes, y, x)


@kernel
def _load(s, image):
    """From channels x rows x columns."""
    for y in range(s.out_size):
        for x in range(s.out_size):
            out = floats_at(_out(s, y, x))
            for c in range(s.channels):
                out[c] = image[c, y, x]


@kernel
def _binarize(s):
    """Each plane has a binary digit of how many thresholds are passed; see `convs._put_planes`."""
    thresholds, whole = floats_at(s.thresholds), s.channels // CHANNELS
    for y in range(s.out_size):
        for x in range(s.out_size):
            source = _source(s, y, x)
            rest = floats_at(source + 4 * CHANNELS * whole)
            for plane in range(s.out_planes):
                out = halves_at(_out(s, y, x) + plane * s.out_plane)
                for passed in range(1 << plane, s.threshold_count + 1, 1 << plane):
                    threshold = thresholds[passed - 1]
                    for block in range(whole):
                        out[block] ^= above(source + 4 * CHANNELS * block, threshold)
                    if s.channels > CHANNELS * whole:
                        mask = 0
                        for c in range(s.channels - CHANNELS * whole):
                            mask |= (rest[c] > threshold) << c
                        out[whole] ^= np.uint32(mask)


@kernel
def _max_pool(s):
    for y in range(s.out_size):
        for x in range(s.out_size):
            out = floats_at(_out(s, y, x))
            for c in range(s.channels):
                out[c] = -np.inf
            top, left = y * s.stride - s.padding, x * s.stride - s.padding
            for i in range(max(top, 0), min(top + s.kernel, s.source_size)):
                for j in range(max(left, 0), min(left + s.kernel, s.source_size)):
                    source = floats_at(_source(s, i, j))
                    for c in range(s.channels):
                        out[c] = max(out[c], source[c])


@kernel
def _levels(s, source, out):
    thresholds, levels = floats_at(s.thresholds), floats_at(s.levels)
    for c in range(s.channels):
        passed = 0
        for i in range(s.threshold_count):
            passed += source[c] > thresholds[i]
        out[c] = levels[passed]


@kernel
def _nonlinear(s):
    for y in range(s.out_size):
        for x in range(s.out_size):
            source, out = floats_at(_source(s, y, x)), floats_at(_out(s, y, x))
            if s.op == RELU:
                for c in range(s.channels):
                    out[c] = max(source[c], np.float32(0))
            elif s.op == HARDTANH:
                for c in range(s.channels):
                    out[c] = min(max(source[c], np.float32(-1)), np.float32(1))
            else:
                slope = floats_at(s.multiplier)
                for c in range(s.channels):
                    out[c] = source[c] if source[c] > 0 else source[c] * slope[c]


@kernel
def _elementwise(s):
    for y in range(s.out_size):
        for x in range(s.out_size):
            source, out = floats_at(_source(s, y, x)), floats_at(_out(s, y, x))
            if s.op == LEVELS:
                _levels(s, source, out)
            elif s.op == BATCH_NORM:
                multiplier, offset = floats_at(s.multiplier), floats_at(s.offset)
                for c in range(s.channels):
                    product = np.float64(source[c]) * np.float64(multiplier[c])
                    out[c] = np.float32(product + np.float64(offset[c]))
            elif s.op == BIAS:
                bias = floats_at(s.offset)
                for c in range(s.channels):
                    out[c] = source[c] + bias[c]
            else:
                place = _pixel(s.other, s.out_size, s.other_border, s.out_bytes, y, x)
                other = floats_at(place)
                for c in range(s.channels):
                    out[c] = source[c] + other[c]


@kernel
def _mean(s, scratch):
    out, totals = floats_at(s.out), doubles_at(scratch)
    for first in range(0, s.channels, CHANNELS):
        n = min(CHANNELS, s.channels - first)
        for c in range(n):
            totals[c] = 0.0
        for y in range(s.source_size):
            for x in range(s.source_size):
                source = floats_at(_source(s, y, x) + 4 * first)
                for c in range(n):
                    totals[c] += source[c]
        for c in range(n):
            out[first + c] = np.float32(totals[c] / (s.source_size * s.source_size))


@kernel
def _mean_magnitude(s):
    for y in range(s.out_size):
        for x in range(s.out_size):
            source, total = floats_at(_source(s, y, x)), 0.0
            for c in range(s.in_channels):
                total += abs(source[c])
            floats_at(_out(s, y, x))[0] = np.float32(total / s.in_channels)


@kernel
def _scale(s):
    """By the means of windows of one channel."""
    for y in range(s.out_size):
        for x in range(s.out_size):
            top, left, total = y * s.stride - s.padding, x * s.stride - s.padding, 0.0
            for i in range(max(top, 0), min(top + s.kernel, s.source_size)):
                for j in range(max(left, 0), min(left + s.kernel, s.source_size)):
                    total += floats_at(_source(s, i, j))[0]
            mean = np.float32(total / (s.kernel * s.kernel))
            place = _pixel(s.other, s.out_size, s.other_border, s.out_bytes, y, x)
            given, out = floats_at(place), floats_at(_out(s, y, x))
            for c in range(s.channels):
                out[c] = given[c] * mean


@kernel
def _flatten(s):
    out, pixels = floats_at(s.out), s.source_size * s.source_size
    for y in range(s.source_size):
        for x in range(s.source_size):
            source = floats_at(_source(s, y, x))
            for c in range(s.in_channels):
                out[c * pixels + y * s.source_size + x] = source[c]


@njit(fastmath={"reassoc", "contract"})
def _linear(s):
    source, out = floats_at(s.source), floats_at(s.out)
    for o in range(s.channels):
        weights = floats_at(s.weights + 4 * o * s.in_channels)
        total = 0.0
        for i in range(s.in_channels):
            total += np.float64(weights[i]) * np.float64(source[i])
        out[o] = np.float32(total)


@kernel
def clear(s):
    """Sets the output of a step to 0 where the step needs that."""
    words = words_at(s.out)
    for word in range(s.clear):
        words[word] = 0


@kernel
def compute(s, image, scratch):  # noqa: C901, PLR0912  # one branch per kind of step
    """What a step does, after its output was cleared."""
    if s.op == LOAD:
        _load(s, image)
    elif s.op == BITS_TO_BITS:
        bits_to_bits(s, scratch)
    elif s.op == BITS_TO_FLOATS:
        bits_to_floats(s, scratch)
    elif s.op == FLOATS_TO_BITS:
        floats_to_bits(s, scratch)
    elif s.op == FLOATS_TO_FLOATS:
        floats_to_floats(s, scratch)
    elif s.op == BINARIZE:
        _binarize(s)
    elif s.op == MAX_POOL:
        _max_pool(s)
    elif s.op == MEAN:
        _mean(s, scratch)
    elif s.op == MEAN_MAGNITUDE:
        _mean_magnitude(s)
    elif s.op == SCALE:
        _scale(s)
    elif s.op == FLATTEN:
        _flatten(s)
    elif s.op == LINEAR:
        _linear(s)
    elif s.op in (RELU, HARDTANH, PRELU):
        _nonlinear(s)
    else:
        _elementwise(s)


@njit(nogil=True, cache=True)
def run(program, images, out, logits, scratch):
    """Runs a program on images.

    Args:
        program: Steps, of type `STEP`.
        images: float32, n x channels x size x size, in C order.
        out: Address of the last step's output, float32.
        logits: float32, n x classes, to be filled.
        scratch: Address of 2 KiB.
    """
    for n in range(len(images)):
        for i in range(len(program)):
            clear(program[i])
            compute(program[i], images[n], scratch)
        found = floats_at(out)
        for c in range(logits.shape[1]):
            logits[n, c] = found[c]
