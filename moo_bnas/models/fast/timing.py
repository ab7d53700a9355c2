"""Times each step of a program while a whole network runs; needs numba.

Steps are timed where they stand, by a clock of the operating system, so that caches hold what they
hold in use. The thread's own clock leaves out the time in which other processes have the core, but
takes about a microsecond to read; short networks are rarely interrupted, and go by the other one.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import time

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from moo_bnas.models.fast.kernels import clear, compute, run
from moo_bnas.models.fast.lowering import Constants, Program
from moo_bnas.models.fast.plan import plan
from moo_bnas.models.fast.program import Op
from moo_bnas.models.fast.vectors import kernel
from moo_bnas.models.model_file import Model

_SHORT = 1e-3  # seconds per image
_read = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.intp))


@kernel
def _now(kind, clock):
    _read(kind, clock.ctypes.data)
    return 1_000_000_000 * clock[0] + clock[1]


@njit(nogil=True, cache=True)
def _run(program, images, times, kind, clock, scratch):
    """Runs a program on images; fills nanoseconds per image and step, and of the clock itself."""
    for n in range(len(images)):
        before = _now(kind, clock)
        for i in range(len(program)):
            clear(program[i])
            compute(program[i], images[n], scratch)
            after = _now(kind, clock)
            times[n, i] = after - before
            before = after
        times[n, len(program)] = _now(kind, clock) - before


class TimedProgram:
    """A packed network whose layers can be timed, on one thread.

    Args:
        model: Packed network.

    Attributes:
        layers: Name of each step's layer; of several that are computed together the first one.

    Raises:
        ModelFileError: If it is no packed network, or one that kernels do not run.
    """

    def __init__(self, model: Model) -> None:
        made = plan(model, "the network to time")
        first = model.card.layers[0].name  # takes the time of loading the image
        self.layers = [first if s.op == Op.LOAD else s.layer.name for s in made.steps]
        self._program = Program(Constants(made))
        self._classes = len(model.card.classes)

    def times(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        """Nanoseconds of each step for each image, n x steps, without reading the clock."""
        times = np.zeros((len(images), len(self.layers) + 1), np.int64)
        start = time.thread_time()
        self.run(images[:1])
        is_short = time.thread_time() - start < _SHORT
        kind = time.CLOCK_MONOTONIC if is_short else time.CLOCK_THREAD_CPUTIME_ID
        clock = np.zeros(2, np.int64)
        _run(self._program.steps, images, times, np.int32(kind), clock, self._program.scratch)
        own: NDArray[np.int64] = times[:, :-1] - np.median(times[:, -1]).astype(np.int64)
        return own

    def run(self, images: NDArray[np.float32]) -> None:
        """Runs the network without timing anything."""
        logits = np.empty((len(images), self._classes), np.float32)
        run(self._program.steps, images, self._program.out, logits, self._program.scratch)
