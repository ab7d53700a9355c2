"""Runs a network that `moo-bnas export --format packed` wrote; needs only numpy (2.0 or newer).

This file is copied next to the packed network, and may be changed and passed on (Apache-2.0):

    from moo_bnas_packed import load

    network = load("model.packed.safetensors")
    logits = network(network.normalise(pixels))  # uint8, n x channels x size x size, RGB or grey

It is the reference against which runtimes on devices are checked: short, and slower than a runtime
in C. Binary layers are AND and popcount on 64-bit words. Sums of full-precision layers are computed
in float64 and rounded once to float32. So is `x * multiplier + offset` (in C, `fmaf`): torch
evaluates a batch norm in this way on CPUs that have the instruction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

_IMPLIED = {
    "dorefa": {"levels": (0.0, 1.0), "thresholds": (0.5,), "inclusive": False, "scales": "layer"},
    "sign": {"levels": (-1.0, 1.0), "thresholds": (0.0,), "inclusive": True, "scales": "layer"},
}
"""Encodings of the binarizers of which a card holds only the name."""

_VERSION = ("packed", 1)
_TYPES = {"U8": np.uint8, "F32": np.float32}

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Words = NDArray[np.uint64]
Layer = Any
"""A layer spec of the card, whose keys are attributes."""

_PIXELS = 2**14  # per channel, of the images that are evaluated at once: windows take memory
_PAIRS = 2**20  # of windows and filters whose words are counted at once


@dataclass(frozen=True)
class Bits:
    """The output of a binarizer.

    Attributes:
        planes: Bits of the index of each activation's level, each n x c x h x w, the lowest first.
        levels: Levels, ascending and equally spaced: two per plane.
    """

    planes: tuple[Bools, ...]
    levels: tuple[float, ...]

    def as_floats(self) -> Floats:
        """The activations as numbers, n x c x h x w."""
        indices = np.zeros(self.planes[0].shape, np.uint8)
        for i, plane in enumerate(self.planes):
            indices |= plane.astype(np.uint8) << np.uint8(i)
        floats: Floats = np.array(self.levels, np.float32)[indices]
        return floats


Value = Floats | Bits


class PopcountNetwork:
    """A packed network: maps normalised images, n x channels x size x size, to logits.

    Args:
        card: Card of the file.
        arrays: Tensors of the file, which are those that its card describes.

    Attributes:
        card: Card of the file: layers, classes, accuracy, and how images are prepared.
        layers: Layer specs of the card, in the order in which they run.

    Raises:
        ValueError: If the card has an unknown binarizer and no encoding.
        KeyError: If it lacks the encoding of more bits than 1.
    """

    def __init__(self, card: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        self.card = card
        self.layers: list[Layer] = [SimpleNamespace(**spec) for spec in card["layers"]]
        bits = {1, *(_bits(layer) for layer in self.layers)}
        self._encodings = {number: _encoding(card, number) for number in bits}
        self._arrays = dict(arrays)
        for layer in filter(_is_binary, self.layers):
            signs = signs_of(arrays[f"{layer.name}.bits"], layer)
            # They are also kept as words, which are made once and used for every image.
            self._arrays[f"{layer.name}.signs"] = signs
            self._arrays[f"{layer.name}.words"] = words(signs > 0)

    def __call__(self, images: Floats) -> Floats:
        """Logits, n x classes, of normalised images, n x channels x size x size."""
        at_once = max(1, _PIXELS // self.card["image"]["size"] ** 2)
        parts = [images[i : i + at_once] for i in range(0, len(images), at_once)]
        return np.concatenate([self._run(part) for part in parts])

    def normalise(self, pixels: NDArray[np.uint8]) -> Floats:
        """Maps pixels in 0..255, n x channels x size x size, to inputs of the network."""
        mean, std = (
            np.array(self.card["image"][key], np.float32)[:, None, None] for key in ("mean", "std")
        )
        normal: Floats = (pixels.astype(np.float32) - mean) / std
        return normal

    def _run(self, images: Floats) -> Floats:
        values: dict[str, Value] = {"input": images}
        for layer in self.layers:
            values[layer.name] = self.step(layer, [values[name] for name in layer.inputs])
        return _floats(values[self.layers[-1].name])

    def step(self, layer: Layer, inputs: list[Value]) -> Value:  # noqa: C901, PLR0912  # by kind
        """The output of a layer."""
        if layer.kind == "conv":
            return self._conv(layer, inputs[0])
        x = _floats(inputs[0])
        match layer.kind:
            case "linear":
                return _product(x, self._of(layer, "weight"))
            case "batch_norm":
                parts = (self._of(layer, part) for part in ("multiplier", "offset"))
                return affine(x, *(part[:, None, None] for part in parts))
            case "binarize":
                return binarize(x, self._encodings[_bits(layer)])
            case "relu":
                return np.maximum(x, np.float32(0))
            case "hardtanh":
                return np.clip(x, np.float32(-1), np.float32(1))
            case "prelu":
                return np.where(x > 0, x, x * self._of(layer, "slope")[:, None, None])
            case "bias":
                return np.asarray(x + self._of(layer, "bias").reshape(-1, *[1] * (x.ndim - 2)))
            case "max_pool":
                return _most(_windows(x, layer, -np.inf))
            case "global_average_pool":
                return _mean(x, axis=(2, 3))
            case "flatten":
                return x.reshape(len(x), -1)
            case "add":
                return x + _floats(inputs[1])
            case "mean_magnitude":
                return _mean(np.abs(x), axis=(1,), keep=True)
            case "scale":
                return x * _mean(_windows(_floats(inputs[1]), layer, 0.0), axis=(4, 5))
            case kind:
                raise ValueError(f"got a layer of kind {kind!r}, which this version does not know")

    def _conv(self, layer: Layer, x: Value) -> Floats:
        if not _is_binary(layer):
            return _conv(_floats(x), self._of(layer, "weight"), layer)
        if isinstance(x, Bits):
            sums = binary_sums(x, self._of(layer, "words"), layer).astype(np.float32)
        else:  # networks of other packages may have another step between binarizer and conv
            sums = _conv(x, self._of(layer, "signs"), layer)
        scaled: Floats = sums * self._of(layer, "scale")[..., None, None]
        return scaled

    def _of(self, layer: Layer, part: str) -> NDArray[Any]:
        return self._arrays[f"{layer.name}.{part}"]


def load(path: str | PathLike[str]) -> PopcountNetwork:
    """Loads a packed network.

    Args:
        path: File that `moo-bnas export --format packed` wrote.

    Raises:
        ValueError: If it is incomplete, another kind of file, or of another version.
        OSError: If it cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        card = json.loads(header.pop("__metadata__")["moo_bnas"])
        version = card["kind"], card["version"]
        data = memoryview(content)[8 + size :]
        arrays = {name: _tensor(data, spec) for name, spec in header.items() if version == _VERSION}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not a packed network, or it is incomplete or damaged ({error}); make it "
            "again, or fetch a complete copy"
        ) from error
    if version != _VERSION:
        raise ValueError(
            f"{path} is not a packed network of version 1 (kind {version[0]}, version "
            f"{version[1]}); make one with moo-bnas export --format packed"
        )
    return PopcountNetwork(card, arrays)


def _tensor(data: memoryview, spec: Mapping[str, Any]) -> NDArray[Any]:
    first, last = spec["data_offsets"]
    kind = np.dtype(_TYPES[spec["dtype"]]).newbyteorder("<")
    return np.frombuffer(data[first:last], kind).reshape(spec["shape"])


def _encoding(card: Mapping[str, Any], bits: int) -> SimpleNamespace:
    if bits > 1:
        return SimpleNamespace(**card["encodings"][str(bits)])
    encoding = card.get("encoding") or _IMPLIED.get(card["binarizer"])
    if encoding is None:
        raise ValueError(
            f"got the binarizer {card['binarizer']!r}, expected {', '.join(_IMPLIED)} or an "
            "encoding on the card; export the network again"
        )
    return SimpleNamespace(**encoding)


def _is_binary(layer: Layer) -> bool:
    return bool(layer.kind == "conv" and layer.precision == "binary")


def _bits(layer: Layer) -> int:
    """Bits per activation; cards leave out 1."""
    return int(getattr(layer, "bits", 1))


def signs_of(bits: NDArray[np.uint8], layer: Layer) -> NDArray[np.int8]:
    """The weights of a binary conv, -1 or +1, out x in x kernel x kernel, from their bits."""
    shape = (layer.out_channels, layer.in_channels, layer.kernel, layer.kernel)
    ones = np.unpackbits(bits, count=int(np.prod(shape))).astype(np.int8)
    return (ones * np.int8(2) - np.int8(1)).reshape(shape)


def binarize(x: Floats, encoding: Any) -> Bits:
    """The level of each activation: its index is the number of thresholds that it passes."""
    passed = [passes(x, encoding, i) for i in range(len(encoding.thresholds))]
    if len(passed) == 1:
        return Bits((passed[0],), encoding.levels)
    indices = np.stack(passed).sum(axis=0, dtype=np.uint8)
    digits = np.unpackbits(indices[None], axis=0, bitorder="little").astype(np.bool_)
    return Bits(tuple(digits[: len(passed).bit_length()]), encoding.levels)


def passes(x: Floats, encoding: Any, index: int = 0) -> Bools:
    """Whether activations pass a threshold of an encoding, given by its index."""
    threshold = encoding.thresholds[index]
    found: Bools = x >= threshold if encoding.inclusive else x > threshold
    return found


def affine(x: Floats, multiplier: Floats, offset: Floats) -> Floats:
    """A folded batch norm: `x * multiplier + offset`, rounded once."""
    product = x * multiplier.astype(np.float64)
    return (product + offset.astype(np.float64)).astype(np.float32)


def binary_sums(x: Bits, weights: Words, layer: Layer) -> NDArray[np.floating[Any]]:
    """The sums of a binary conv before scaling, n x out x size x size.

    They are exact integers where the levels are integers.

    Let `pop` be the number of ones in a word. Weights are +1 where the bits `w` are 1, and -1 where
    they are 0, so the weights under the ones of the input bits `b` add up to `2 pop(b & w) -
    pop(b)`. An input is `low + step b`, where `step` is `high - low`, so the sum is `step` times
    this, plus `low` times the sum of the weights that are over the image. Weights over the padding
    are left out of the latter, because the padding is 0, not `low`.

    With more bits per input it is `low + step (b0 + 2 b1 + 4 b2 + ...)`, with a pass for each bit.

    Args:
        x: Input, n x in x h x w.
        weights: Signs of the weights, packed by `words`.
        layer: Spec of the conv.
    """
    low, step = x.levels[0], (x.levels[-1] - x.levels[0]) / (len(x.levels) - 1)
    first, *others = (_sums_of_ones(plane, weights, layer) for plane in x.planes)
    for i, other in enumerate(others, start=1):
        first += other << i
    sums: NDArray[np.floating[Any]] = step * first
    if low != 0:
        inside = np.ones((1, *x.planes[0].shape[1:]), np.bool_)
        sums += low * _sums_of_ones(inside, weights, layer)
    return sums


def words(bits: Bools) -> Words:
    """Packs bits into words of 64 bits.

    Args:
        bits: Bits of shape n x ...; each of the n rows is packed separately.

    Returns:
        n x words; the last word of each row is filled up with zeros.
    """
    rows = np.packbits(bits.reshape(len(bits), -1), axis=1)
    filled = np.zeros((len(rows), -(-rows.shape[1] // 8)), np.uint64)
    filled.view(np.uint8)[:, : rows.shape[1]] = rows
    return filled


def _sums_of_ones(ones: Bools, weights: Words, layer: Layer) -> NDArray[np.int32]:
    """The sums of the weights that are over ones, n x out x size x size."""
    windows = _windows(ones, layer, fill=False).transpose(0, 2, 3, 1, 4, 5)
    n, height, width = windows.shape[:3]
    rows = words(windows.reshape(n * height * width, -1))
    sums = np.empty((len(rows), len(weights)), np.int32)
    # All windows against all filters, a block of windows at a time. One word of each is compared
    # per pass, so that the largest array has an element per window and filter, not per word too.
    at_once = max(1, _PAIRS // len(weights))
    for start in range(0, len(rows), at_once):
        some = rows[start : start + at_once]
        both = np.zeros((len(some), len(weights)), np.int32)
        for word in range(rows.shape[1]):
            both += np.bitwise_count(some[:, word, None] & weights[:, word])
        all_ones = np.bitwise_count(some).sum(axis=1, dtype=np.int32)
        sums[start : start + at_once] = 2 * both - all_ones[:, None]
    return sums.reshape(n, height, width, -1).transpose(0, 3, 1, 2)


def _conv(x: Floats, weight: NDArray[Any], layer: Layer) -> Floats:
    windows = _windows(x, layer, 0.0).transpose(0, 2, 3, 1, 4, 5)
    n, height, width = windows.shape[:3]
    out = _product(windows.reshape(n * height * width, -1), weight.reshape(len(weight), -1))
    return out.reshape(n, height, width, -1).transpose(0, 3, 1, 2)


def _product(x: Floats, weight: NDArray[Any]) -> Floats:
    return (x.astype(np.float64) @ weight.T.astype(np.float64)).astype(np.float32)


def _mean(x: Floats, axis: tuple[int, ...], *, keep: bool = False) -> Floats:
    return np.asarray(np.mean(x, axis, np.float64, keepdims=keep), np.float32)


def _most(windows: NDArray[np.float32]) -> Floats:
    most: Floats = windows.max(axis=(4, 5))
    return most


def _windows(x: NDArray[Any], layer: Layer, fill: float) -> NDArray[Any]:
    """The window of each output of a conv or pool, n x c x size x size x kernel x kernel."""
    p, k, s = layer.padding, layer.kernel, layer.stride
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=fill)
    return sliding_window_view(padded, (k, k), axis=(2, 3))[:, :, ::s, ::s]


def _floats(value: Value) -> Floats:
    return value.as_floats() if isinstance(value, Bits) else value
