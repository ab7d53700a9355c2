"""Runs a packed file with numpy alone: binary layers are AND and popcount on 64-bit words.

It is the reference that a runtime on a device is checked against: short, and slower than one in C
would be. Sums of full-precision layers are made in float64 and rounded once to float32, and so is
`x * multiplier + offset` (in C that is `fmaf`), which is how torch evaluates a batch norm on CPUs
that have the instruction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from moo_bnas.models.arrays import is_binary
from moo_bnas.models.encoding import encoding_of
from moo_bnas.models.model_file import Layer, Model
from moo_bnas.models.packed import unpack
from moo_bnas.networks.layers import INPUT

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Words = NDArray[np.uint64]

_PIXELS = 2**14  # of the images that are evaluated at once: windows take memory
_PAIRS = 2**20  # of outputs whose words are counted at once


@dataclass(frozen=True)
class Bits:
    """What a binarizer puts out.

    Attributes:
        ones: Where its value is the greater one, n x c x h x w.
        levels: Both values, the lower one first.
    """

    ones: Bools
    levels: tuple[float, float]

    def as_floats(self) -> Floats:
        """The values."""
        low, high = self.levels
        return np.where(self.ones, np.float32(high), np.float32(low))


Value = Floats | Bits


class PopcountNetwork:
    """A network, run from its packed file.

    Args:
        model: The packed file.
        source: What to call it in an error.

    Attributes:
        card: Of the file.

    Raises:
        ModelFileError: Where it is no packed file, or is damaged.
    """

    def __init__(self, model: Model, source: str) -> None:
        self.card = model.card
        arrays = unpack(model, source)
        self._encoding = encoding_of(self.card, source)
        self._arrays = {
            # Beside the signs, the same as words: made once, used by every image.
            **arrays,
            **{
                f"{layer.name}.words": words(arrays[f"{layer.name}.signs"] > 0)
                for layer in self.card.layers
                if is_binary(layer)
            },
        }

    def __call__(self, images: Floats) -> Floats:
        """Logits, n x classes, of normalised images, n x channels x size x size."""
        at_once = max(1, _PIXELS // self.card.image.size**2)
        parts = [images[i : i + at_once] for i in range(0, len(images), at_once)]
        return np.concatenate([self._run(part) for part in parts])

    def _run(self, images: Floats) -> Floats:
        values: dict[str, Value] = {INPUT: images}
        for layer in self.card.layers:
            values[layer.name] = self._step(layer, [values[name] for name in layer.inputs])
        return _floats(values[self.card.layers[-1].name])

    def _step(self, layer: Layer, inputs: list[Value]) -> Value:
        if layer.kind == "conv":
            return self._conv(layer, inputs[0])
        x = _floats(inputs[0])
        match layer.kind:
            case "linear":
                return _product(x, self._of(layer, "weight"))
            case "batch_norm":
                return self._batch_norm(layer, x)
            case "binarize":
                return self._binarize(x)
            case "relu":
                return np.maximum(x, np.float32(0))
            case "max_pool":
                return _most(_windows(x, layer, -np.inf))
            case "global_average_pool":
                return _mean(x)
            case "flatten":
                return x.reshape(len(x), -1)
            case "add":
                return x + _floats(inputs[1])

    def _conv(self, layer: Layer, x: Value) -> Floats:
        if not is_binary(layer):
            return _conv(_floats(x), self._of(layer, "weight"), layer)
        if isinstance(x, Bits):
            sums = binary_sums(x, self._of(layer, "words"), layer).astype(np.float32)
        else:  # networks of other packages may put something between binarizer and conv
            sums = _conv(x, self._of(layer, "signs"), layer)
        scaled: Floats = sums * self._of(layer, "scale")[..., None, None]
        return scaled

    def _binarize(self, x: Floats) -> Bits:
        (threshold,), (low, high) = self._encoding.thresholds, self._encoding.levels
        ones = x >= threshold if self._encoding.inclusive else x > threshold
        return Bits(ones, (low, high))

    def _batch_norm(self, layer: Layer, x: Floats) -> Floats:
        multiplier, offset = (
            self._of(layer, part)[:, None, None].astype(np.float64)
            for part in ("multiplier", "offset")
        )
        return (x * multiplier + offset).astype(np.float32)

    def _of(self, layer: Layer, part: str) -> NDArray[Any]:
        return self._arrays[f"{layer.name}.{part}"]


def binary_sums(x: Bits, weights: Words, layer: Layer) -> NDArray[np.floating[Any]]:
    """What a binary conv sums up to, before its scale; exact integers where the levels are.

    With `pop` the number of ones in a word: weights are +1 and -1 where the bits w are 1 and 0, so
    those under the ones of b add up to `2 pop(b & w) - pop(b)`. Each of these counts `high - low`.
    To that, `low` times the sum of all weights under the image is added: not of those under the
    padding, whose value is 0 rather than a level.

    Args:
        x: Input, n x in x h x w.
        weights: As `words` makes them of the signs.
        layer: The conv.

    Returns:
        n x out x size x size.
    """
    low, high = x.levels
    sums: NDArray[np.floating[Any]] = (high - low) * _sums_of_ones(x.ones, weights, layer)
    if low != 0:
        inside = np.ones((1, *x.ones.shape[1:]), np.bool_)
        sums += low * _sums_of_ones(inside, weights, layer)
    return sums


def words(bits: Bools) -> Words:
    """Bits in words of 64.

    Args:
        bits: Of shape n x ...; each of the n is packed by itself.

    Returns:
        n x words, the last one filled up with zeros.
    """
    rows = np.packbits(bits.reshape(len(bits), -1), axis=1)
    filled = np.zeros((len(rows), -(-rows.shape[1] // 8)), np.uint64)
    filled.view(np.uint8)[:, : rows.shape[1]] = rows
    return filled


def _sums_of_ones(ones: Bools, weights: Words, layer: Layer) -> NDArray[np.int32]:
    """The sums of the weights under ones, n x out x size x size."""
    windows = _windows(ones, layer, fill=False).transpose(0, 2, 3, 1, 4, 5)
    n, height, width = windows.shape[:3]
    rows = words(windows.reshape(n * height * width, -1))
    sums = np.empty((len(rows), len(weights)), np.int32)
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


def _mean(x: Floats) -> Floats:
    mean: NDArray[np.float64] = x.mean(axis=(2, 3), dtype=np.float64)
    return mean.astype(np.float32)


def _most(windows: NDArray[np.float32]) -> Floats:
    most: Floats = windows.max(axis=(4, 5))
    return most


def _windows(x: NDArray[Any], layer: Layer, fill: float) -> NDArray[Any]:
    """What each output of a conv or pool looks at: n x c x size x size x kernel x kernel."""
    p, k, s = layer.padding, layer.kernel, layer.stride
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=fill)
    return sliding_window_view(padded, (k, k), axis=(2, 3))[:, :, ::s, ::s]


def _floats(value: Value) -> Floats:
    return value.as_floats() if isinstance(value, Bits) else value
