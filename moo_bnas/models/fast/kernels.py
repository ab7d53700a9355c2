"""The steps of a network as numba kernels, and the loop that runs them image by image.

Addresses are used as they are: `lowering` makes them from arrays whose shapes were checked.
"""

# ruff: noqa: ANN001, ANN202  # numba infers the types
from __future__ import annotations

import numpy as np
from numba import njit

from moo_bnas.models.fast.processor import PATH
from moo_bnas.models.fast.program import CHANNELS, TILE, WINDOWS, Op
from moo_bnas.models.fast.vectors import (
    above,
    bit_counts,
    bit_masks,
    doubles_at,
    float_masks,
    float_sums,
    floats_at,
    halves_at,
    indices_at,
    integers_at,
    ones_of,
    words_at,
)

LOAD, BITS_TO_BITS, BITS_TO_FLOATS = int(Op.LOAD), int(Op.BITS_TO_BITS), int(Op.BITS_TO_FLOATS)
FLOATS_TO_BITS, FLOATS_TO_FLOATS = int(Op.FLOATS_TO_BITS), int(Op.FLOATS_TO_FLOATS)
BINARIZE, MAX_POOL, BATCH_NORM = int(Op.BINARIZE), int(Op.MAX_POOL), int(Op.BATCH_NORM)
RELU, ADD, MEAN = int(Op.RELU), int(Op.ADD), int(Op.MEAN)
FLATTEN, LINEAR, LEVELS = int(Op.FLATTEN), int(Op.LINEAR), int(Op.LEVELS)


@njit(nogil=True)
def _loop_counts(w0, w1, w2, w3, elements, count, weights, out):
    totals = integers_at(out)
    for i in range(WINDOWS * CHANNELS):
        totals[i] = 0
    places, filters = integers_at(elements), words_at(weights)
    for k in range(count):
        for i in range(WINDOWS):
            window = w0 if i == 0 else w1 if i == 1 else w2 if i == 2 else w3
            word = words_at(window + places[k])[0]
            for o in range(CHANNELS):
                totals[i * CHANNELS + o] += ones_of(word & filters[k * CHANNELS + o])


@njit(nogil=True)
def _mask(counts, ones, thresholds):
    counted, limits = integers_at(counts), integers_at(thresholds)
    mask = 0
    for o in range(CHANNELS):
        mask |= (2 * counted[o] - ones > limits[o]) << o
    return np.uint32(mask)


@njit(nogil=True)
def _loop_masks(w0, w1, w2, w3, elements, count, weights, ones, t0, t1, t2, t3, scratch):
    _loop_counts(w0, w1, w2, w3, elements, count, weights, scratch)
    total = integers_at(ones)
    return (
        _mask(scratch, total[0], t0),
        _mask(scratch + 8 * CHANNELS, total[1], t1),
        _mask(scratch + 16 * CHANNELS, total[2], t2),
        _mask(scratch + 24 * CHANNELS, total[3], t3),
    )


@njit(nogil=True)
def _vector_masks(w0, w1, w2, w3, elements, count, weights, ones, t0, t1, t2, t3, _scratch):
    return bit_masks(w0, w1, w2, w3, elements, count, weights, ones, t0, t1, t2, t3)


@njit(nogil=True)
def _vector_counts(w0, w1, w2, w3, elements, count, weights, out):
    bit_counts(w0, w1, w2, w3, elements, count, weights, out)


_masks = _vector_masks if PATH.bytes else _loop_masks
_counts = _vector_counts if PATH.bytes else _loop_counts


@njit(nogil=True)
def _count_ones(s):
    """Ones of the windows of all tiles."""
    words, per_pixel = words_at(s.source), s.source_bytes // 8
    of_pixel, of_window = indices_at(s.pixel_ones), integers_at(s.window_ones)
    for pixel in range((s.source_size + 2 * s.source_border) ** 2):
        total = 0
        for i in range(per_pixel):
            total += ones_of(words[pixel * per_pixel + i])
        of_pixel[pixel] = total
    places = integers_at(s.places)
    for t in range(s.tile_count):
        tile = indices_at(s.tiles + 4 * TILE * t)
        for i in range(WINDOWS):
            total = 0
            for k in range(s.place_count):
                total += of_pixel[tile[i] + places[k]]
            of_window[WINDOWS * t + i] = total


@njit(nogil=True)
def _put(s, masks, tile, block):
    """Writes the bits of a tile."""
    flip, place = halves_at(s.flips)[block], s.out + 4 * block
    if s.pooled:
        bits = masks[0] | masks[1] | masks[2] | masks[3]
        halves_at(place + tile[4] * s.out_bytes)[0] = bits ^ flip
    else:
        halves_at(place + tile[4] * s.out_bytes)[0] = masks[0] ^ flip
        halves_at(place + tile[5] * s.out_bytes)[0] = masks[1] ^ flip
        halves_at(place + tile[6] * s.out_bytes)[0] = masks[2] ^ flip
        halves_at(place + tile[7] * s.out_bytes)[0] = masks[3] ^ flip


@njit(nogil=True)
def _bits_to_bits(s, scratch):
    _count_ones(s)
    x, n = s.source, s.source_bytes
    row = 8 * s.class_size
    for block in range(s.blocks):
        weights = s.weights + block * s.element_count * 8 * CHANNELS
        limits = s.thresholds + block * 8 * CHANNELS
        for t in range(s.tile_count):
            tile = indices_at(s.tiles + 4 * TILE * t)
            masks = _masks(
                x + tile[0] * n,
                x + tile[1] * n,
                x + tile[2] * n,
                x + tile[3] * n,
                s.elements,
                s.element_count,
                weights,
                s.window_ones + 8 * WINDOWS * t,
                limits + tile[8] * row,
                limits + tile[9] * row,
                limits + tile[10] * row,
                limits + tile[11] * row,
                scratch,
            )
            _put(s, masks, tile, block)


@njit(nogil=True)
def _floats_to_bits(s):
    x, n = s.source, s.source_bytes
    for block in range(s.blocks):
        weights = s.weights + block * s.element_count * 4 * CHANNELS
        limits = s.thresholds + block * 4 * CHANNELS
        for t in range(s.tile_count):
            tile = indices_at(s.tiles + 4 * TILE * t)
            masks = float_masks(
                x + tile[0] * n,
                x + tile[1] * n,
                x + tile[2] * n,
                x + tile[3] * n,
                s.elements,
                s.element_count,
                weights,
                limits,
            )
            _put(s, masks, tile, block)


@njit(nogil=True)
def _finish(s, sums, tile, block):
    """Scales the sums of a tile, and adds what follows: batch norm, another branch."""
    first = block * CHANNELS
    n = min(CHANNELS, s.channels - first)
    scale = floats_at(s.scale + 4 * first)
    multiplier, offset = floats_at(s.multiplier + 4 * first), floats_at(s.offset + 4 * first)
    for j in range(WINDOWS):
        out = floats_at(s.out + tile[4 + j] * s.out_bytes + 4 * first)
        own = j * CHANNELS
        if s.multiplier:
            for o in range(n):
                scaled = np.float64(sums[own + o] * scale[o])
                out[o] = np.float32(scaled * np.float64(multiplier[o]) + np.float64(offset[o]))
        else:
            for o in range(n):
                out[o] = sums[own + o] * scale[o]
        if s.other:
            other = floats_at(s.other + tile[12 + j] * 4 * s.channels + 4 * first)
            for o in range(n):
                out[o] += other[o]


@njit(nogil=True)
def _bits_to_floats(s, scratch):
    _count_ones(s)
    x, n = s.source, s.source_bytes
    step, ones = doubles_at(s.step)[0], integers_at(s.window_ones)
    counted, sums = integers_at(scratch), floats_at(scratch + 8 * WINDOWS * CHANNELS)
    for block in range(s.blocks):
        weights = s.weights + block * s.element_count * 8 * CHANNELS
        lows = s.lows + block * 8 * CHANNELS
        for t in range(s.tile_count):
            tile = indices_at(s.tiles + 4 * TILE * t)
            _counts(
                x + tile[0] * n,
                x + tile[1] * n,
                x + tile[2] * n,
                x + tile[3] * n,
                s.elements,
                s.element_count,
                weights,
                scratch,
            )
            for j in range(WINDOWS):
                low = doubles_at(lows + 8 * tile[8 + j] * s.class_size)
                own, less = j * CHANNELS, ones[WINDOWS * t + j]
                for o in range(CHANNELS):
                    difference = np.float64(2 * counted[own + o] - less)
                    sums[own + o] = np.float32(step * difference + low[o])
            _finish(s, sums, tile, block)


@njit(nogil=True)
def _floats_to_floats(s, scratch):
    x, n = s.source, s.source_bytes
    sums = floats_at(scratch)
    for block in range(s.blocks):
        weights = s.weights + block * s.element_count * 4 * CHANNELS
        for t in range(s.tile_count):
            tile = indices_at(s.tiles + 4 * TILE * t)
            float_sums(
                x + tile[0] * n,
                x + tile[1] * n,
                x + tile[2] * n,
                x + tile[3] * n,
                s.elements,
                s.element_count,
                weights,
                scratch,
            )
            _finish(s, sums, tile, block)


@njit(nogil=True)
def _pixel(address, size, border, width, y, x):
    return address + ((y + border) * (size + 2 * border) + x + border) * width


@njit(nogil=True)
def _source(s, y, x):
    return _pixel(s.source, s.source_size, s.source_border, s.source_bytes, y, x)


@njit(nogil=True)
def _out(s, y, x):
    return _pixel(s.out, s.out_size, s.out_border, s.out_bytes, y, x)


@njit(nogil=True)
def _load(s, image):
    """From channels x rows x columns."""
    for y in range(s.out_size):
        for x in range(s.out_size):
            out = floats_at(_out(s, y, x))
            for c in range(s.channels):
                out[c] = image[c, y, x]


@njit(nogil=True)
def _binarize(s):
    threshold, whole = floats_at(s.thresholds)[0], s.channels // CHANNELS
    for y in range(s.out_size):
        for x in range(s.out_size):
            source, out = _source(s, y, x), halves_at(_out(s, y, x))
            for block in range(whole):
                out[block] = above(source + 4 * CHANNELS * block, threshold)
            rest = floats_at(source + 4 * CHANNELS * whole)
            if s.channels > CHANNELS * whole:
                mask = 0
                for c in range(s.channels - CHANNELS * whole):
                    mask |= (rest[c] > threshold) << c
                out[whole] = np.uint32(mask)


@njit(nogil=True)
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


@njit(nogil=True)
def _elementwise(s):
    for y in range(s.out_size):
        for x in range(s.out_size):
            source, out = floats_at(_source(s, y, x)), floats_at(_out(s, y, x))
            if s.op == RELU:
                for c in range(s.channels):
                    out[c] = max(source[c], np.float32(0))
            elif s.op == LEVELS:
                threshold, levels = floats_at(s.thresholds)[0], floats_at(s.levels)
                for c in range(s.channels):
                    out[c] = levels[1] if source[c] > threshold else levels[0]
            elif s.op == BATCH_NORM:
                multiplier, offset = floats_at(s.multiplier), floats_at(s.offset)
                for c in range(s.channels):
                    product = np.float64(source[c]) * np.float64(multiplier[c])
                    out[c] = np.float32(product + np.float64(offset[c]))
            else:
                place = _pixel(s.other, s.out_size, s.other_border, s.out_bytes, y, x)
                other = floats_at(place)
                for c in range(s.channels):
                    out[c] = source[c] + other[c]


@njit(nogil=True)
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


@njit(nogil=True)
def _flatten(s):
    out, pixels = floats_at(s.out), s.source_size * s.source_size
    for y in range(s.source_size):
        for x in range(s.source_size):
            source = floats_at(_source(s, y, x))
            for c in range(s.in_channels):
                out[c * pixels + y * s.source_size + x] = source[c]


@njit(nogil=True, fastmath={"reassoc", "contract"})
def _linear(s):
    source, out = floats_at(s.source), floats_at(s.out)
    for o in range(s.channels):
        weights = floats_at(s.weights + 4 * o * s.in_channels)
        total = 0.0
        for i in range(s.in_channels):
            total += np.float64(weights[i]) * np.float64(source[i])
        out[o] = np.float32(total)


@njit(nogil=True)
def _step(s, image, scratch):
    if s.op == LOAD:
        _load(s, image)
    elif s.op == BITS_TO_BITS:
        _bits_to_bits(s, scratch)
    elif s.op == BITS_TO_FLOATS:
        _bits_to_floats(s, scratch)
    elif s.op == FLOATS_TO_BITS:
        _floats_to_bits(s)
    elif s.op == FLOATS_TO_FLOATS:
        _floats_to_floats(s, scratch)
    elif s.op == BINARIZE:
        _binarize(s)
    elif s.op == MAX_POOL:
        _max_pool(s)
    elif s.op == MEAN:
        _mean(s, scratch)
    elif s.op == FLATTEN:
        _flatten(s)
    elif s.op == LINEAR:
        _linear(s)
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
            _step(program[i], images[n], scratch)
        found = floats_at(out)
        for c in range(logits.shape[1]):
            logits[n, c] = found[c]
