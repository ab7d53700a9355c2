"""The popcount peak of this processor: AND, popcount and add in registers, without memory."""

from __future__ import annotations

import time
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from moo_bnas.models.fast.processor import PATH

SUMS = 16 if PATH.words else 8
LANES = max(PATH.bytes, 8) // 8
ROUNDS = 7


@intrinsic
def _spin(_typing, rounds):  # type: ignore[no-untyped-def]
    """Adds the ones of SUMS vectors per round; returns one of the sums, so that all is computed."""

    def emit(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> ir.Value:
        i64, i32 = ir.IntType(64), ir.IntType(32)
        words = ir.VectorType(i64, LANES)
        counted = words if PATH.words else ir.VectorType(ir.IntType(8), 8 * LANES)
        if not PATH.bytes:
            counted = words
        name = f"llvm.ctpop.v{counted.count}i{counted.element.width}"
        ones = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(counted, [counted]), name
        )
        before, loop = builder.block, builder.append_basic_block("spin")
        after = builder.append_basic_block("spin.end")
        builder.branch(loop)
        builder.position_at_end(loop)
        index = builder.phi(i64)
        sums = [builder.phi(counted) for _ in range(SUMS)]
        first = builder.insert_element(ir.Constant(words, ir.Undefined), index, i32(0))
        mask = ir.Constant(ir.VectorType(i32, LANES), [0] * LANES)
        x = builder.shuffle_vector(first, ir.Constant(words, ir.Undefined), mask)
        following = builder.add(index, i64(1))
        index.add_incoming(i64(0), before)
        index.add_incoming(following, loop)
        for i, total in enumerate(sums):
            weights = ir.Constant(words, [0x9E3779B97F4A7C15 * (i + 2) % 2**64] * LANES)
            both = builder.bitcast(builder.and_(x, weights), counted)
            total.add_incoming(ir.Constant(counted, None), before)
            total.add_incoming(builder.add(total, builder.call(ones, [both])), loop)
        builder.cbranch(builder.icmp_signed("<", following, args[0]), loop, after)
        builder.position_at_end(after)
        out: ir.Value = i64(0)
        for total in sums:
            found = builder.extract_element(builder.bitcast(total.incomings[1][0], words), i32(0))
            out = builder.xor(out, found)
        return out

    return types.int64(types.int64), emit


@njit
def _spun(rounds):  # type: ignore[no-untyped-def]
    return _spin(rounds)


def words_per_second() -> float:
    """Words of 64 bits that one thread can AND, count and add per second."""
    rounds = 200_000
    _spun(rounds)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        _spun(rounds)
        times.append(time.perf_counter() - start)
    return rounds * SUMS * LANES / min(times)
