"""Vector code for tiles, emitted as LLVM IR: numba has no vectors of its own.

A tile is 4 windows x 32 output channels. All its sums stay in registers while the weights pass by:
per step one element of each window is broadcast, and combined with the weights of 32 channels.
Weights are laid out as [channels / 32][elements of the window][32].

Addresses are integers. Nothing here checks them; `network` checks what a user gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from moo_bnas.models.fast.processor import PATH
from moo_bnas.models.fast.program import CHANNELS, WINDOWS

kernel = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Compiles a function that only compiled functions call."""

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_F32 = ir.FloatType()
_BYTE_STEPS = 31  # each adds at most 8 to a byte

Sums = list[list[ir.Value]]
"""Vectors by window, then by channel."""


def _at(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type, offset: int = 0) -> ir.Value:
    if offset:
        address = builder.add(address, _I64(offset))
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=4)


def _splat(builder: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    kind = ir.VectorType(value.type, lanes)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, _I32(0))
    mask = ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), mask)


def _filled(kind: ir.VectorType, value: int) -> ir.Constant:
    return ir.Constant(kind, [value] * kind.count)


def _ones(builder: ir.IRBuilder, vector: ir.Value) -> ir.Value:
    kind = vector.type
    name = f"llvm.ctpop.v{kind.count}i{kind.element.width}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name)
    return builder.call(function, [vector])


def _loop(
    builder: ir.IRBuilder,
    start: ir.Value,
    stop: ir.Value,
    values: Sequence[ir.Value],
    body: Callable[[ir.Value, Sequence[ir.Value]], Sequence[ir.Value]],
) -> list[ir.Value]:
    """Carries values through a loop over start..stop that runs at least once."""
    before = builder.block
    head = builder.append_basic_block("tile")
    after = builder.append_basic_block("tile.end")
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(_I64)
    carried = [builder.phi(value.type) for value in values]
    out = body(index, carried)
    following = builder.add(index, _I64(1))
    for phi, first, last in zip(
        [index, *carried], [start, *values], [following, *out], strict=True
    ):
        phi.add_incoming(first, before)
        phi.add_incoming(last, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, stop), head, after)
    builder.position_at_end(after)
    return list(out)


def _pass(
    builder: ir.IRBuilder,
    arguments: Sequence[ir.Value],
    kind: ir.VectorType,
    element: ir.Type,
    range_: tuple[ir.Value, ir.Value],
    first: int,
    combine: Callable[[ir.Value, ir.Value, ir.Value], ir.Value],
) -> Sums:
    """Sums over a part of the window, for some of the 32 channels.

    Args:
        builder: Where the code goes.
        arguments: Addresses of the 4 windows, of the offsets of their elements, their number, and
            the address of the weights.
        kind: Type of a sum.
        element: Type of an element of the window and of a weight.
        range_: Elements of the window to go through.
        first: Offset of the first channel's weight in bytes.
        combine: Adds a product to a sum: maps (sum, windows' element, weights).
    """
    *windows, offsets, _count, weights = arguments
    size = 8 if element == _I64 else 4
    lanes = kind.count * kind.element.width // 64 if element == _I64 else kind.count
    width = ir.VectorType(element, lanes)
    vectors = _vectors(kind)

    def step(index: ir.Value, sums: Sequence[ir.Value]) -> Sequence[ir.Value]:
        here = builder.add(weights, builder.mul(index, _I64(size * CHANNELS)))
        offset = _at(builder, builder.add(offsets, builder.mul(index, _I64(8))), _I64)
        loaded = [_at(builder, here, width, first + i * lanes * size) for i in range(vectors)]
        out = []
        for i, window in enumerate(windows):
            x = _splat(builder, _at(builder, builder.add(window, offset), element), lanes)
            out += [combine(sums[i * vectors + j], x, loaded[j]) for j in range(vectors)]
        return out

    zero = ir.Constant(kind, None)
    sums = _loop(builder, *range_, [zero] * (WINDOWS * vectors), step)
    return [sums[i * vectors : (i + 1) * vectors] for i in range(WINDOWS)]


def _vectors(kind: ir.VectorType) -> int:
    """Vectors of weights per pass."""
    if kind.element == _F32:
        return 2
    return PATH.vectors


def _counts(builder: ir.IRBuilder, arguments: Sequence[ir.Value]) -> Sums:
    """Ones of window AND weights: vectors of 64-bit counts, for all 32 channels."""
    lanes, count = PATH.bytes // 8, arguments[5]
    words = ir.VectorType(_I64, lanes)

    def add_words(total: ir.Value, x: ir.Value, w: ir.Value) -> ir.Value:
        return builder.add(total, _ones(builder, builder.and_(x, w)))

    if PATH.words:
        return _pass(builder, arguments, words, _I64, (_I64(0), count), 0, add_words)
    chars = ir.VectorType(_I8, PATH.bytes)

    def add_bytes(total: ir.Value, x: ir.Value, w: ir.Value) -> ir.Value:
        both = builder.bitcast(builder.and_(x, w), chars)
        return builder.add(total, _ones(builder, both))

    parts: Sums = [[] for _ in range(WINDOWS)]
    rounds = builder.sdiv(builder.add(count, _I64(_BYTE_STEPS - 1)), _I64(_BYTE_STEPS))
    for first in range(0, 8 * CHANNELS, PATH.bytes * PATH.vectors):

        def some(
            index: ir.Value, totals: Sequence[ir.Value], first: int = first
        ) -> Sequence[ir.Value]:
            start = builder.mul(index, _I64(_BYTE_STEPS))
            stop = builder.add(start, _I64(_BYTE_STEPS))
            stop = builder.select(builder.icmp_signed("<", stop, count), stop, count)
            found = _pass(builder, arguments, chars, _I64, (start, stop), first, add_bytes)
            flat = [_of_bytes(builder, v, words) for row in found for v in row]
            return [builder.add(a, b) for a, b in zip(totals, flat, strict=True)]

        zero = ir.Constant(words, None)
        sums = _loop(builder, _I64(0), rounds, [zero] * (WINDOWS * PATH.vectors), some)
        for i in range(WINDOWS):
            parts[i] += sums[i * PATH.vectors : (i + 1) * PATH.vectors]
    return parts


def _of_bytes(builder: ir.IRBuilder, vector: ir.Value, words: ir.VectorType) -> ir.Value:
    """Adds the 8 bytes of each word."""
    x = builder.bitcast(vector, words)
    for bits, mask in ((8, 0x00FF00FF00FF00FF), (16, 0x0000FFFF0000FFFF), (32, 0xFFFFFFFF)):
        keep = _filled(words, mask)
        high = builder.and_(builder.lshr(x, _filled(words, bits)), keep)
        x = builder.add(builder.and_(x, keep), high)
    return x


def _floats(builder: ir.IRBuilder, arguments: Sequence[ir.Value]) -> Sums:
    """Sums of window times weights, for all 32 channels."""
    kind = ir.VectorType(_F32, max(PATH.bytes, 16) // 4)

    def add(total: ir.Value, x: ir.Value, w: ir.Value) -> ir.Value:
        product = builder.fmul(x, w, flags=("contract",))
        return builder.fadd(total, product, flags=("contract",))

    parts: Sums = [[] for _ in range(WINDOWS)]
    for first in range(0, 4 * CHANNELS, 2 * 4 * kind.count):
        found = _pass(builder, arguments, kind, _F32, (_I64(0), arguments[5]), first, add)
        for i in range(WINDOWS):
            parts[i] += found[i]
    return parts


def _mask(builder: ir.IRBuilder, flags: Sequence[ir.Value]) -> ir.Value:
    """32 bits of vectors of flags."""
    mask: ir.Value = _I32(0)
    for i, some in enumerate(flags):
        lanes = some.type.count
        bits = builder.zext(builder.bitcast(some, ir.IntType(lanes)), _I32)
        mask = builder.or_(mask, builder.shl(bits, _I32(i * lanes)))
    return mask


_ADDRESSES = (types.int64,) * 7
_MASKS = types.UniTuple(types.uint32, WINDOWS)


def _tuple(context: Any, builder: ir.IRBuilder, masks: Sequence[ir.Value]) -> ir.Value:
    return context.make_tuple(builder, _MASKS, masks)


@intrinsic
def bit_masks(  # type: ignore[no-untyped-def]  # numba calls it with types
    _typing, w0, w1, w2, w3, offsets, count, weights, ones, t0, t1, t2, t3
):
    """Which of the 32 sums of each window are above their thresholds, as 4 masks.

    A sum is `2 * counted - ones`. `ones` is the address of 4 int64; t0 to t3 are those of 32 int64.
    """

    def emit(context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> ir.Value:
        *addresses, ones, t0, t1, t2, t3 = args
        masks = []
        for i, (row, t) in enumerate(
            zip(_counts(builder, addresses), (t0, t1, t2, t3), strict=True)
        ):
            lanes = row[0].type.count
            less = _splat(builder, _at(builder, ones, _I64, 8 * i), lanes)
            flags = []
            for j, counted in enumerate(row):
                total = builder.sub(builder.add(counted, counted), less)
                above = _at(builder, t, row[0].type, 8 * j * lanes)
                flags.append(builder.icmp_signed(">", total, above))
            masks.append(_mask(builder, flags))
        return _tuple(context, builder, masks)

    return _MASKS(*_ADDRESSES, *(types.int64,) * 5), emit


@intrinsic
def bit_counts(_typing, w0, w1, w2, w3, offsets, count, weights, out):  # type: ignore[no-untyped-def]
    """Stores 4 x 32 int64 at `out`: ones of window AND weights."""
    return types.void(*_ADDRESSES, types.int64), _storing(_counts, 8)


@intrinsic
def float_masks(  # type: ignore[no-untyped-def]
    _typing, w0, w1, w2, w3, offsets, count, weights, thresholds
):
    """Which of the 32 sums of each window are above their float32 thresholds, as 4 masks."""

    def emit(context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> ir.Value:
        *addresses, thresholds = args
        masks = []
        for row in _floats(builder, addresses):
            kind = row[0].type
            limits = [_at(builder, thresholds, kind, 4 * kind.count * j) for j in range(len(row))]
            flags = [builder.fcmp_ordered(">", *pair) for pair in zip(row, limits, strict=True)]
            masks.append(_mask(builder, flags))
        return _tuple(context, builder, masks)

    return _MASKS(*_ADDRESSES, types.int64), emit


@intrinsic
def float_sums(_typing, w0, w1, w2, w3, offsets, count, weights, out):  # type: ignore[no-untyped-def]
    """Stores 4 x 32 float32 at `out`: sums of window times weights."""
    return types.void(*_ADDRESSES, types.int64), _storing(_floats, 4)


def _storing(sums: Callable[[ir.IRBuilder, Sequence[ir.Value]], Sums], size: int) -> Any:
    def emit(context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> ir.Value:
        *addresses, out = args
        vectors = [vector for row in sums(builder, addresses) for vector in row]
        for i, vector in enumerate(vectors):
            place = builder.add(out, _I64(i * vector.type.count * size))
            builder.store(vector, builder.inttoptr(place, vector.type.as_pointer()), align=size)
        return context.get_dummy_value()

    return emit


@intrinsic
def above(_typing, address, threshold):  # type: ignore[no-untyped-def]
    """Which of the 32 float32 at an address are above a threshold, as a mask."""

    def emit(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> ir.Value:
        values = _at(builder, args[0], ir.VectorType(_F32, CHANNELS))
        flags = builder.fcmp_ordered(">", values, _splat(builder, args[1], CHANNELS))
        return _mask(builder, [flags])

    return types.uint32(types.int64, types.float32), emit


def _above_all(kind: ir.Type) -> Any:
    def typed(_typing: Any, values: Any, limits: Any) -> Any:
        def emit(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> ir.Value:
            size, compare = (4, builder.fcmp_ordered) if kind == _F32 else (8, builder.icmp_signed)
            some = ir.VectorType(kind, max(PATH.bytes, 16) // size)
            return _mask(
                builder,
                [
                    compare(">", *(_at(builder, a, some, i * size) for a in args))
                    for i in range(0, CHANNELS, some.count)
                ],
            )

        return types.uint32(types.int64, types.int64), emit

    return intrinsic(typed)


integers_above = _above_all(_I64)
floats_above = _above_all(_F32)
"""Which of the 32 numbers at an address are above those at another one, as a mask."""


@intrinsic
def ones_of(_typing, word):  # type: ignore[no-untyped-def]
    """Number of ones in a word of 64 bits."""

    def emit(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> ir.Value:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), emit


def _pointer(kind: Any) -> Any:
    def typed(_typing: Any, address: Any) -> Any:
        def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(types.int64), emit

    return intrinsic(typed)


words_at = _pointer(types.uint64)
halves_at = _pointer(types.uint32)
integers_at = _pointer(types.int64)
indices_at = _pointer(types.int32)
floats_at = _pointer(types.float32)
doubles_at = _pointer(types.float64)
"""Pointers to the elements at an address; they are indexed like arrays, and check nothing."""
