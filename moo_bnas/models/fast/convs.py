"""Convs as numba kernels, tile by tile: 4 windows x 32 output channels.

Addresses are used as they are: `lowering` makes them from arrays whose shapes were checked.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np

from moo_bnas.models.fast.processor import PATH
from moo_bnas.models.fast.program import CHANNELS, TILE, WINDOWS
from moo_bnas.models.fast.vectors import (
    bit_counts,
    bit_masks,
    doubles_at,
    float_masks,
    float_sums,
    floats_above,
    floats_at,
    halves_at,
    indices_at,
    integers_above,
    integers_at,
    kernel,
    ones_of,
    words_at,
)

_SECOND = 8 * WINDOWS * CHANNELS
"""Bytes of the first half of `scratch`: the integers of a tile."""


@kernel
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


@kernel
def _mask(counts, ones, thresholds):
    counted, limits = integers_at(counts), integers_at(thresholds)
    mask = 0
    for o in range(CHANNELS):
        mask |= (2 * counted[o] - ones > limits[o]) << o
    return np.uint32(mask)


@kernel
def _loop_masks(w0, w1, w2, w3, elements, count, weights, ones, t0, t1, t2, t3, scratch):
    _loop_counts(w0, w1, w2, w3, elements, count, weights, scratch)
    total = integers_at(ones)
    return (
        _mask(scratch, total[0], t0),
        _mask(scratch + 8 * CHANNELS, total[1], t1),
        _mask(scratch + 16 * CHANNELS, total[2], t2),
        _mask(scratch + 24 * CHANNELS, total[3], t3),
    )


@kernel
def _vector_masks(w0, w1, w2, w3, elements, count, weights, ones, t0, t1, t2, t3, _scratch):
    return bit_masks(w0, w1, w2, w3, elements, count, weights, ones, t0, t1, t2, t3)


@kernel
def _vector_counts(w0, w1, w2, w3, elements, count, weights, out):
    bit_counts(w0, w1, w2, w3, elements, count, weights, out)


_masks = _vector_masks if PATH.bytes else _loop_masks
_counts = _vector_counts if PATH.bytes else _loop_counts


@kernel
def _window_ones(s, plane):
    """Address of the ones of the windows of a plane."""
    return s.window_ones + 8 * WINDOWS * s.tile_count * plane


@kernel
def _count_ones(s):
    """Ones of the windows of all tiles, in each plane."""
    per_pixel, of_pixel = s.source_bytes // 8, indices_at(s.pixel_ones)
    places = integers_at(s.places)
    for plane in range(s.source_planes):
        words = words_at(s.source + plane * s.source_plane)
        of_window = integers_at(_window_ones(s, plane))
        for pixel in range((s.source_size + 2 * s.source_border) ** 2):
            total = 0
            for i in range(per_pixel):
                total += ones_of(words[pixel * per_pixel + i])
            of_pixel[pixel] = total
        for t in range(s.tile_count):
            tile = indices_at(s.tiles + 4 * TILE * t)
            for i in range(WINDOWS):
                total = 0
                for k in range(s.place_count):
                    total += of_pixel[tile[i] + places[k]]
                of_window[WINDOWS * t + i] = total


@kernel
def _counts_of(s, t, plane, weights, out):
    """The counted ones of a tile in a plane: 4 x 32 int64."""
    x, n = s.source + plane * s.source_plane, s.source_bytes
    tile = indices_at(s.tiles + 4 * TILE * t)
    w0, w1, w2, w3 = x + tile[0] * n, x + tile[1] * n, x + tile[2] * n, x + tile[3] * n
    _counts(w0, w1, w2, w3, s.elements, s.element_count, weights, out)


@kernel
def _integers(s, t, weights, scratch):
    """The integers `2 counted - ones` of a tile, added up over the planes: 4 x 32 int64."""
    totals, counted = integers_at(scratch), integers_at(scratch + _SECOND)
    for i in range(WINDOWS * CHANNELS):
        totals[i] = 0
    for plane in range(s.source_planes - 1, -1, -1):  # each plane counts twice the one below
        _counts_of(s, t, plane, weights, scratch + _SECOND)
        ones = integers_at(_window_ones(s, plane) + 8 * WINDOWS * t)
        for j in range(WINDOWS):
            for o in range(j * CHANNELS, (j + 1) * CHANNELS):
                totals[o] = 2 * (totals[o] + counted[o]) - ones[j]


@kernel
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


@kernel
def _put_planes(s, tile, block, scratch, limits, size):
    """Writes the planes of a tile: the binary digits of how many thresholds each sum passes.

    Passed thresholds are the first ones, so digit p is 1 where an odd number of the thresholds 2^p,
    2 * 2^p, 3 * 2^p, ... is passed. Sums are in the first half of `scratch`; numbers have 8 bytes
    if they are integers, and 4 if floats.
    """
    flip, digits = halves_at(s.flips)[block], halves_at(scratch + _SECOND)
    row, own = size * s.class_size, size * CHANNELS
    for i in range(WINDOWS * s.out_planes):
        digits[i] = 0
    windows = 1 if s.pooled else WINDOWS
    for passed in range(1, s.threshold_count + 1):
        at = limits + (passed - 1) * s.threshold_bytes
        if size == 8:
            m0 = integers_above(scratch, at + tile[8] * row)
            m1 = integers_above(scratch + own, at + tile[9] * row)
            m2 = integers_above(scratch + 2 * own, at + tile[10] * row)
            m3 = integers_above(scratch + 3 * own, at + tile[11] * row)
        else:
            m0 = floats_above(scratch, at)
            m1 = floats_above(scratch + own, at)
            m2 = floats_above(scratch + 2 * own, at)
            m3 = floats_above(scratch + 3 * own, at)
        if s.pooled:
            m0 |= m1 | m2 | m3
        for plane in range(s.out_planes):
            if passed & ((1 << plane) - 1) == 0:
                digits[WINDOWS * plane] ^= m0 ^ flip
                digits[WINDOWS * plane + 1] ^= m1 ^ flip
                digits[WINDOWS * plane + 2] ^= m2 ^ flip
                digits[WINDOWS * plane + 3] ^= m3 ^ flip
    for plane in range(s.out_planes):
        place = s.out + plane * s.out_plane + 4 * block
        for i in range(windows):
            halves_at(place + tile[4 + i] * s.out_bytes)[0] = digits[WINDOWS * plane + i]


@kernel
def _planes_to_planes(s, scratch):
    """A binary conv where inputs or outputs have several bits."""
    for block in range(s.blocks):
        weights = s.weights + block * s.element_count * 8 * CHANNELS
        limits = s.thresholds + block * 8 * CHANNELS
        for t in range(s.tile_count):
            _integers(s, t, weights, scratch)
            _put_planes(s, indices_at(s.tiles + 4 * TILE * t), block, scratch, limits, 8)


@kernel
def bits_to_bits(s, scratch):
    """A binary conv of bits, whose sums are compared with thresholds."""
    _count_ones(s)
    if s.source_planes > 1 or s.out_planes > 1:
        _planes_to_planes(s, scratch)
        return
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


@kernel
def _floats_to_planes(s, scratch):
    """A full-precision conv whose outputs have several bits."""
    x, n = s.source, s.source_bytes
    for block in range(s.blocks):
        weights = s.weights + block * s.element_count * 4 * CHANNELS
        limits = s.thresholds + block * 4 * CHANNELS
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
            _put_planes(s, tile, block, scratch, limits, 4)


@kernel
def floats_to_bits(s, scratch):
    """A full-precision conv, whose sums are compared with thresholds."""
    if s.out_planes > 1:
        _floats_to_planes(s, scratch)
        return
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


@kernel
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


@kernel
def bits_to_floats(s, scratch):
    """A binary conv of bits, with the float operations of the reference on its sums."""
    _count_ones(s)
    step, ones = doubles_at(s.step)[0], integers_at(s.window_ones)
    totals, sums = integers_at(scratch), floats_at(scratch + _SECOND)
    one_plane = s.source_planes == 1  # then its integers are not stored on the way: a third faster
    for block in range(s.blocks):
        weights = s.weights + block * s.element_count * 8 * CHANNELS
        lows = s.lows + block * 8 * CHANNELS
        for t in range(s.tile_count):
            tile = indices_at(s.tiles + 4 * TILE * t)
            if one_plane:
                _counts_of(s, t, 0, weights, scratch)
            else:
                _integers(s, t, weights, scratch)
            for j in range(WINDOWS):
                low, own = doubles_at(lows + 8 * tile[8 + j] * s.class_size), j * CHANNELS
                shift, less = (1, ones[WINDOWS * t + j]) if one_plane else (0, 0)
                for o in range(CHANNELS):
                    integer = (totals[own + o] << shift) - less
                    sums[own + o] = np.float32(step * np.float64(integer) + low[o])
            _finish(s, sums, tile, block)


@kernel
def floats_to_floats(s, scratch):
    """A conv of floats."""
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
