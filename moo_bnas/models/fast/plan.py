"""Plans a packed network: which layers are computed together, and with which arrays.

Both runtimes, the kernels beside this module and the C file, run such a plan. Convs compute in
blocks of 32 output channels. A plan knows neither addresses nor processors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moo_bnas.models.arrays import is_binary
from moo_bnas.models.encoding import encodings_of
from moo_bnas.models.fast import blocks, thresholds
from moo_bnas.models.fast.program import Op
from moo_bnas.models.model_file import Arrays, Card, Layer, Model, check_card
from moo_bnas.models.packed import unpack
from moo_bnas.networks.binarizers import Encoding
from moo_bnas.networks.layers import INPUT

_OPS = {
    "max_pool": Op.MAX_POOL,
    "batch_norm": Op.BATCH_NORM,
    "relu": Op.RELU,
    "add": Op.ADD,
    "global_average_pool": Op.MEAN,
    "flatten": Op.FLATTEN,
    "linear": Op.LINEAR,
    "hardtanh": Op.HARDTANH,
    "prelu": Op.PRELU,
    "bias": Op.BIAS,
    "mean_magnitude": Op.MEAN_MAGNITUDE,
    "scale": Op.SCALE,
}
_ARRAYS = {
    "batch_norm": {"multiplier": "multiplier", "offset": "offset"},
    "linear": {"weight": "weights"},
    "prelu": {"slope": "multiplier"},
    "bias": {"bias": "offset"},
}
"""Names of a layer's arrays in the file and in `program.STEP`."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Where values lie between two steps: pixels row by row, the channels of each together.

    Attributes:
        bits: Whether they are bits, in whole words of 64 per pixel, or float32.
        size: Height and width.
        channels: Number of channels.
        border: Width of the border of zeros around it: the padding of convs that read it.
        planes: Number of bits per activation; each bit has a plane of its own, the lowest first.
    """

    bits: bool
    size: int
    channels: int
    border: int = 0
    planes: int = 1

    @property
    def bytes(self) -> int:
        """Bytes per pixel of a plane."""
        return 8 * -(-self.channels // 64) if self.bits else 4 * self.channels

    @property
    def pixels(self) -> int:
        """Number of pixels, those of the border included."""
        return (self.size + 2 * self.border) ** 2

    @property
    def plane(self) -> int:
        """Bytes of a plane."""
        return self.pixels * self.bytes


@dataclass(frozen=True, eq=False)
class Step:
    """One step: a layer, and what is computed with it.

    Attributes:
        op: What it does.
        layer: The layer, or the first of several.
        source: What it reads; for `LOAD`, which reads the image, what it writes.
        out: What it writes.
        other: What a conv or sum adds, or what is scaled, if anything.
        pooled: Whether a bit is that of the maximum of 2 x 2 sums.
        arrays: What it needs, named as in `program.STEP`.
        classes: Class of each row of a conv's output, and of each column: positions of equal
            class have the same part of the window on the image.
    """

    op: Op
    layer: Layer
    source: Grid
    out: Grid
    other: Grid | None = None
    pooled: bool = False
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    classes: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Plan:
    """All steps of a network, in the order in which they run; the last writes the logits."""

    card: Card
    steps: tuple[Step, ...]


def plan(model: Model, source: str) -> Plan:
    """Plans a packed network.

    Args:
        model: Packed network.
        source: Name of its file, shown in errors.

    Raises:
        ModelFileError: If it is not a packed network, its tensors are not those of its card, or
            the shapes of its layers do not fit together.
    """
    check_card(model.card, source)
    arrays = unpack(model, source)
    return _Planner(model.card, arrays, encodings_of(model.card, source)).plan()


class _Planner:
    def __init__(self, card: Card, arrays: Arrays, encodings: Mapping[int, Encoding]) -> None:
        self._card, self._arrays, self._encodings = card, arrays, encodings
        self._readers: dict[str, list[Layer]] = {}
        for layer in card.layers:
            for name in layer.inputs:
                self._readers.setdefault(name, []).append(layer)
        self._bits: dict[str, Grid] = {}
        self._floats: dict[str, Grid] = {}
        self._steps: list[Step] = []
        self._planned: set[str] = set()

    def plan(self) -> Plan:
        image = self._card.image
        first = Layer.model_construct(
            name=INPUT, kind="conv", out_channels=image.channels, out_size=image.size
        )
        grid = self._grid(first, bits=False)
        self._steps.append(Step(Op.LOAD, first, grid, grid))
        for layer in self._card.layers:
            if layer.name not in self._planned:
                self._layer(layer)
        return Plan(self._card, tuple(self._steps))

    def _layer(self, layer: Layer) -> None:
        if layer.kind == "conv":
            self._conv(layer)
        elif layer.kind == "binarize":
            self._binarize(layer)
        else:
            op = _OPS[layer.kind]
            source, *others = (self._floats[name] for name in layer.inputs)
            other = others[0] if others else None
            if layer.kind == "scale":  # windows are those of what is read, not of what is scaled
                source, other = others[0], source
            arrays = {
                name: self._of(layer, part) for part, name in _ARRAYS.get(layer.kind, {}).items()
            }
            self._steps.append(
                Step(op, layer, source, self._grid(layer, bits=False), other, arrays=arrays)
            )

    def _binarize(self, layer: Layer) -> None:
        source, encoding = self._floats[layer.inputs[0]], self._encodings[layer.bits]
        arrays = {
            "thresholds": thresholds.of_binarizer(encoding),
            "levels": np.array(encoding.levels, np.float32),
        }
        readers = self._readers.get(layer.name, [])
        if any(is_binary(reader) for reader in readers):
            out = self._grid(layer, bits=True)
            self._steps.append(Step(Op.BINARIZE, layer, source, out, arrays=arrays))
        if not readers or not all(is_binary(reader) for reader in readers):
            out = self._grid(layer, bits=False)
            self._steps.append(Step(Op.LEVELS, layer, source, out, arrays=arrays))

    def _conv(self, layer: Layer) -> None:
        name = layer.inputs[0]
        with_bits = is_binary(layer) and name in self._bits
        source = self._bits[name] if with_bits else self._floats[name]
        after = self._after(layer)
        kinds = [follower.kind for follower in after]
        pooled = kinds[:1] == ["max_pool"] and _halves(after[0])
        if kinds[pooled : pooled + 2] == ["batch_norm", "binarize"] and self._folds(
            layer, after[pooled], after[pooled + 1], with_bits=with_bits
        ):
            self._fused(layer, source, after[: pooled + 2], with_bits=with_bits)
        elif kinds[:2] == ["batch_norm", "add"] and self._other(after) is not None:
            self._to_floats(layer, source, after[:2], with_bits=with_bits)
        else:
            count = int(kinds[:1] == ["batch_norm"])
            self._to_floats(layer, source, after[:count], with_bits=with_bits)

    def _folds(self, layer: Layer, norm: Layer, binarize: Layer, *, with_bits: bool) -> bool:
        """Whether the bit after a conv is a threshold of its sum, and only bits are read."""
        if is_binary(layer) and not with_bits:
            return False
        parts = [self._of(norm, "multiplier"), self._of(norm, "offset")]
        if is_binary(layer):
            scale = self._of(layer, "scale")
            if np.signbit(scale).any():  # a maximum of scaled sums would be a minimum of sums
                return False
            parts.append(scale)
        readers = self._readers.get(binarize.name, [])
        return (
            bool(readers)
            and all(is_binary(reader) for reader in readers)
            and all(np.isfinite(part).all() for part in parts)
        )

    def _fused(self, layer: Layer, source: Grid, after: list[Layer], *, with_bits: bool) -> None:
        *_, norm, binarize = after
        multiplier, offset = self._of(norm, "multiplier"), self._of(norm, "offset")
        classes: tuple[int, ...] = (0,) * layer.out_size
        encoding = self._encodings[binarize.bits]
        if with_bits:
            lows, classes = self._lows(layer, source)
            limits, flips = thresholds.of_counts(
                layer.kernel**2 * layer.in_channels * (2**source.planes - 1),
                self._encodings[source.planes].step,
                lows,
                self._of(layer, "scale"),
                multiplier,
                offset,
                encoding,
            )
            arrays = {
                "weights": blocks.of_signs(self._of(layer, "signs")),
                "thresholds": blocks.padded(limits, np.iinfo(np.int64).max),
            }
        else:
            least, flips = thresholds.of_floats(multiplier, offset, encoding)
            arrays = {
                "weights": blocks.of_floats(self._of(layer, "weight")),
                "thresholds": blocks.padded(least, np.inf),
            }
        arrays["flips"] = blocks.masks(flips)
        op = Op.BITS_TO_BITS if with_bits else Op.FLOATS_TO_BITS
        out = self._grid(binarize, bits=True)
        pooled = len(after) == 3
        self._planned.update(follower.name for follower in after)
        self._steps.append(Step(op, layer, source, out, None, pooled, arrays, classes))

    def _to_floats(
        self, layer: Layer, source: Grid, after: list[Layer], *, with_bits: bool
    ) -> None:
        classes: tuple[int, ...] = (0,) * layer.out_size
        scale = self._of(layer, "scale") if is_binary(layer) else np.ones((), np.float32)
        arrays = {"scale": np.broadcast_to(scale, (layer.out_channels,))}
        if with_bits:
            lows, classes = self._lows(layer, source)
            arrays["weights"] = blocks.of_signs(self._of(layer, "signs"))
            arrays["lows"] = blocks.padded(lows, 0)
            arrays["step"] = np.array([self._encodings[source.planes].step], np.float64)
        else:
            part = "signs" if is_binary(layer) else "weight"
            arrays["weights"] = blocks.of_floats(self._of(layer, part).astype(np.float32))
        if after:
            arrays["multiplier"] = self._of(after[0], "multiplier")
            arrays["offset"] = self._of(after[0], "offset")
        other = self._other(after) if len(after) == 2 else None
        op = Op.BITS_TO_FLOATS if with_bits else Op.FLOATS_TO_FLOATS
        out = self._grid(after[-1] if after else layer, bits=False)
        self._planned.update(follower.name for follower in after)
        self._steps.append(Step(op, layer, source, out, other, False, arrays, classes))

    def _lows(self, layer: Layer, source: Grid) -> tuple[NDArray[np.float64], tuple[int, ...]]:
        """What the lower level adds to sums, per class of position and channel; the classes."""
        low = self._encodings[source.planes].levels[0]
        if low == 0:
            return np.zeros((1, layer.out_channels)), (0,) * layer.out_size
        signs = self._of(layer, "signs").sum(axis=1, dtype=np.int64)
        inside = [
            tuple(
                0 <= y * layer.stride - layer.padding + i < source.size for i in range(layer.kernel)
            )
            for y in range(layer.out_size)
        ]
        kinds = list(dict.fromkeys(inside))
        sums = [
            signs[:, rows][:, :, columns].sum(axis=(1, 2))
            for rows in map(np.array, kinds)
            for columns in map(np.array, kinds)
        ]
        return low * np.array(sums), tuple(kinds.index(one) for one in inside)

    def _after(self, layer: Layer) -> list[Layer]:
        """The layers that follow a layer, each as the only reader of the one before it."""
        after: list[Layer] = []
        while len(readers := self._readers.get((after or [layer])[-1].name, [])) == 1:
            after += readers
        return after

    def _other(self, after: list[Layer]) -> Grid | None:
        """The branch that a sum after a batch norm adds, if it is computed by then."""
        norm, add = after[:2]
        (name,) = (name for name in add.inputs if name != norm.name)
        return self._floats.get(name)

    def _grid(self, layer: Layer, *, bits: bool) -> Grid:
        """The grid of a layer's output."""
        convs = [r for r in self._readers.get(layer.name, []) if r.kind == "conv"]
        border = max((conv.padding for conv in convs), default=0)
        planes = layer.bits if bits else 1
        grid = Grid(bits, layer.out_size, layer.out_channels, border, planes)
        (self._bits if bits else self._floats)[layer.name] = grid
        return grid

    def _of(self, layer: Layer, part: str) -> NDArray[Any]:
        return self._arrays[f"{layer.name}.{part}"]


def _halves(pool: Layer) -> bool:
    return (pool.kernel, pool.stride, pool.padding) == (2, 2, 0)
