"""Where the grids of a plan lie in one piece of memory."""

from __future__ import annotations

from collections.abc import Mapping

from moo_bnas.models.fast.plan import Grid, Plan

LINE = 64
"""Grids begin at multiples of so many bytes: a line of the cache, and the widest vector."""


def rounded(size: int) -> int:
    """The next multiple of `LINE`."""
    return -(-size // LINE) * LINE


def places(plan: Plan) -> tuple[Mapping[Grid, int], int]:
    """The first byte of each grid, and the size of the memory in bytes.

    Grids share memory with those that no later step reads, so a step must first clear what it
    does not write: the border, and bits behind the last channel.
    """
    last: dict[Grid, int] = {}
    for i, step in enumerate(plan.steps):
        last |= {grid: i for grid in (step.source, step.other, step.out) if grid is not None}
    found: dict[Grid, int] = {}
    size = 0
    for i, step in enumerate(plan.steps):
        need = rounded(step.out.plane * step.out.planes)
        taken = sorted(
            (first, first + rounded(grid.plane * grid.planes))
            for grid, first in found.items()
            if last[grid] >= i
        )
        start = 0
        for first, end in taken:
            if first - start >= need:
                break
            start = max(start, end)
        found[step.out] = start
        size = max(size, start + need)
    return found, size
