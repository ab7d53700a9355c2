"""Times each step of a program while a whole network runs; needs numba.

Steps are timed where they stand, by the clock of the operating system, so that caches hold what
they hold in use.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import time

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from moo_bnas.models.fast.kernels import clear, compute
from moo_bnas.models.fast.lowering import Program
from moo_bnas.models.fast.vectors import kernel

_CLOCK = time.CLOCK_MONOTONIC
_read = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.intp))


@kernel
def _now(clock):
    _read(_CLOCK, clock.ctypes.data)
    return 1_000_000_000 * clock[0] + clock[1]


@njit(nogil=True, cache=True)
def _run(program, images, times, clock, scratch):
    """Runs a program on images; fills nanoseconds per image and step, and of the clock itself."""
    for n in range(len(images)):
        before = _now(clock)
        for i in range(len(program)):
            clear(program[i])
            compute(program[i], images[n], scratch)
            after = _now(clock)
            times[n, i] = after - before
            before = after
        times[n, len(program)] = _now(clock) - before


def step_times(program: Program, images: NDArray[np.float32]) -> NDArray[np.int64]:
    """Nanoseconds of each step for each image, n x steps, without those of reading the clock."""
    times = np.zeros((len(images), len(program.steps) + 1), np.int64)
    _run(program.steps, images, times, np.zeros(2, np.int64), program.scratch)
    own: NDArray[np.int64] = times[:, :-1] - np.median(times[:, -1]).astype(np.int64)
    return own
