"""The arrays that a file must hold: of a trained network, and of one that only runs.

A network that only runs consists of arrays whose names start with that of their layer.

For a layer called `conv2`:

| kind | arrays |
|---|---|
| full-precision conv | `conv2.weight` float32, out x in x kernel x kernel |
| binary conv | `conv2.signs` int8, -1 or +1, in the same shape; `conv2.scale` float32 |
| batch norm | `conv2.multiplier`, `conv2.offset` float32, of shape (out,) |
| linear | `conv2.weight` float32, out x in |
| PReLU | `conv2.slope` float32, of shape (out,) |
| bias | `conv2.bias` float32, of shape (out,) |

A scale is a scalar or of shape (out,), depending on `scales` of the encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from moo_bnas.errors import ModelFileError
from moo_bnas.models.model_file import Arrays, Card, Layer
from moo_bnas.networks.binarizers import BINARIZERS, Encoding

PREFIX = "layers."
"""Prefix of the names in the state of a torch module that was made from layer specs."""

BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
"""Tensors of a batch norm in training, each with one number per channel."""

LEARNED = ("shift", "scale")
"""Tensors of a conv in training that learns how its input becomes bits: a number per base each."""

Shapes = Mapping[str, tuple[DTypeLike, tuple[int, ...]]]
"""Types and shapes of arrays, by name."""


def is_binary(layer: Layer) -> bool:
    """Whether the weights of a layer are 1 bit each."""
    return layer.kind == "conv" and layer.precision == "binary"


def weight_shape(layer: Layer) -> tuple[int, ...]:
    """The shape of the weights of a conv or linear layer."""
    window = (layer.kernel, layer.kernel) if layer.kind == "conv" else ()
    return (layer.out_channels, layer.in_channels, *window)


def run_shapes(card: Card, encoding: Encoding) -> Shapes:
    """The arrays that running a network takes: the table at the head of this module."""
    shapes: dict[str, tuple[Any, tuple[int, ...]]] = {}
    for layer in card.layers:
        name = layer.name
        if is_binary(layer):
            shapes[f"{name}.signs"] = (np.int8, weight_shape(layer))
            scales = (layer.out_channels,) if encoding.scales == "channel" else ()
            shapes[f"{name}.scale"] = (np.float32, scales)
        elif layer.kind in ("conv", "linear"):
            shapes[f"{name}.weight"] = (np.float32, weight_shape(layer))
        elif layer.kind == "batch_norm":
            shapes[f"{name}.multiplier"] = (np.float32, (layer.out_channels,))
            shapes[f"{name}.offset"] = (np.float32, (layer.out_channels,))
        elif layer.kind in ("prelu", "bias"):
            part = "slope" if layer.kind == "prelu" else "bias"
            shapes[f"{name}.{part}"] = (np.float32, (layer.out_channels,))
    return shapes


def trained_shapes(card: Card) -> Shapes:
    """The tensors of a network in training, named as in the state of its module.

    Its binarizer must be one of `BINARIZERS`.
    """
    shapes: dict[str, tuple[Any, tuple[int, ...]]] = {}
    for layer in card.layers:
        key = f"{PREFIX}{layer.name}"
        if layer.kind in ("conv", "linear"):
            shapes[f"{key}.weight"] = (np.float32, weight_shape(layer))
            if is_binary(layer) and BINARIZERS[card.binarizer].learned != "nothing":
                shapes |= {f"{key}.{p}": (np.float32, layer.bases[1:]) for p in LEARNED}
        elif layer.kind == "batch_norm":
            shapes |= {f"{key}.{p}": (np.float32, (layer.out_channels,)) for p in BATCH_NORM}
            shapes[f"{key}.num_batches_tracked"] = (np.int64, ())
        elif layer.kind in ("prelu", "bias"):
            part = "weight" if layer.kind == "prelu" else "bias"
            shapes[f"{key}.{part}"] = (np.float32, (layer.out_channels,))
    return shapes


def check_arrays(arrays: Arrays, expected: Shapes, source: str) -> None:
    """Checks that a file holds exactly the arrays that its card describes.

    Args:
        arrays: Arrays in the file.
        expected: Types and shapes that the card describes.
        source: Name of the file, shown in errors.

    Raises:
        ModelFileError: If an array is missing, superfluous, or of another type or shape.
    """
    for name in sorted({*arrays, *expected}):
        want = _described(*expected[name]) if name in expected else "none of that name"
        got = _described(arrays[name].dtype, arrays[name].shape) if name in arrays else "none"
        if got != want:
            raise ModelFileError(
                f"{source} does not hold the network that its card describes: for {name} got "
                f"{got}, expected {want}; it was made from another definition or changed "
                "afterwards, so make it again"
            )


def _described(dtype: DTypeLike, shape: tuple[int, ...]) -> str:
    return f"{np.dtype(dtype).name} of shape {list(shape)}"
