"""Lowers a plan to a program: memory for its values, and addresses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from moo_bnas.models.fast.memory import LINE, places
from moo_bnas.models.fast.plan import Grid, Plan, Step
from moo_bnas.models.fast.program import CONVS, STEP, WINDOWS, Op


class Constants:
    """What all programs of a plan read: weights, thresholds, places of tiles."""

    def __init__(self, plan: Plan) -> None:
        self.steps = plan.steps
        self.places, self.size = places(plan)
        self.arrays = [
            {name: _aligned(array) for name, array in {**step.arrays, **_places(step)}.items()}
            for step in plan.steps
        ]


class Program:
    """The steps of a network with memory of their own, for one thread.

    Attributes:
        steps: Rows of type `STEP`.
        out: Address of the logits, float32.
        scratch: Address of 2 KiB.
    """

    def __init__(self, constants: Constants) -> None:
        self._constants = constants
        self._own: list[NDArray[Any]] = []
        self._memory = self._room(constants.size)
        self.scratch = self._room(2048)
        self.steps = np.zeros(len(constants.steps), STEP)
        for row, step, arrays in zip(self.steps, constants.steps, constants.arrays, strict=True):
            self._fill(row, step, arrays)
        self.out = int(self.steps[-1]["out"])

    def _fill(self, row: np.void, step: Step, arrays: dict[str, NDArray[Any]]) -> None:
        row["op"] = step.op
        for name, grid in (("source", step.source), ("out", step.out)):
            row[name] = self._address(grid)
            row[f"{name}_size"], row[f"{name}_border"] = grid.size, grid.border
            row[f"{name}_bytes"] = grid.bytes
            row[f"{name}_planes"], row[f"{name}_plane"] = grid.planes, grid.plane
        if step.other is not None:
            row["other"], row["other_border"] = self._address(step.other), step.other.border
        row["in_channels"], row["channels"] = step.source.channels, step.out.channels
        row["pooled"] = step.pooled
        if step.out.bits or step.out.border:
            row["clear"] = -(-step.out.plane * step.out.planes // 8)
        for name, array in arrays.items():
            row[name] = array.ctypes.data
        if step.op in CONVS:
            row["blocks"], row["element_count"] = arrays["weights"].shape[:2]
            row["tile_count"] = len(arrays["tiles"])
            row["place_count"] = len(arrays["places"])
            row["pixel_ones"] = self._room(4 * step.source.pixels)
            windows = WINDOWS * len(arrays["tiles"])
            row["window_ones"] = self._room(8 * windows * step.source.planes)
        if "thresholds" in arrays:
            row["threshold_count"] = len(arrays["thresholds"])
            row["threshold_bytes"] = arrays["thresholds"][0].nbytes
        for name in ("thresholds", "lows"):
            if name in arrays:
                row["class_size"] = arrays[name].shape[-1]
        if step.op in (Op.MAX_POOL, Op.SCALE):
            pool = step.layer
            row["kernel"], row["stride"], row["padding"] = pool.kernel, pool.stride, pool.padding

    def _address(self, grid: Grid) -> int:
        return self._memory + self._constants.places[grid]

    def _room(self, size: int) -> int:
        self._own.append(_aligned(np.zeros(size, np.uint8)))
        return int(self._own[-1].ctypes.data)


def _places(step: Step) -> dict[str, NDArray[Any]]:
    """Where a conv finds its windows, and puts its sums."""
    if step.op not in CONVS:
        return {}
    conv, source = step.layer, step.source
    width = source.size + 2 * source.border
    window = np.arange(conv.kernel)
    places = (window[:, None] * width + window).reshape(-1)
    size = 8 if step.op in (Op.BITS_TO_BITS, Op.BITS_TO_FLOATS) else 4
    elements = places[:, None] * source.bytes + np.arange(0, source.bytes, size)
    return {
        "places": places.astype(np.int64),
        "elements": elements.reshape(-1).astype(np.int64),
        "tiles": _tiles(step),
    }


def _tiles(step: Step) -> NDArray[np.int32]:
    conv, source, out = step.layer, step.source, step.out
    if step.pooled:
        side = np.arange(out.size) * 2
        y, x = (
            np.add.outer(np.stack(np.meshgrid(side, side, indexing="ij"))[i].reshape(-1), shift)
            for i, shift in enumerate(([0, 0, 1, 1], [0, 1, 0, 1]))
        )
    else:
        # The last tile may repeat the last window: it is computed again, to the same values.
        pixels = np.arange(-(-(conv.out_size**2) // WINDOWS) * WINDOWS).reshape(-1, WINDOWS)
        y, x = np.divmod(np.minimum(pixels, conv.out_size**2 - 1), conv.out_size)
    classes = np.array(step.classes)
    other = step.other or out
    half = 1 + step.pooled
    columns = (
        _pixels(source, y * conv.stride - conv.padding, x * conv.stride - conv.padding),
        _pixels(out, y // half, x // half),
        classes[y] * (classes.max() + 1) + classes[x],
        _pixels(other, y // half, x // half),
    )
    return np.concatenate(columns, axis=1).astype(np.int32)


def _pixels(grid: Grid, y: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    pixels: NDArray[Any] = (y + grid.border) * (grid.size + 2 * grid.border) + x + grid.border
    return pixels


def _aligned(array: NDArray[Any]) -> NDArray[Any]:
    """A copy that begins at a line of the cache."""
    room = np.zeros(array.nbytes + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
