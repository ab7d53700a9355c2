"""The arrays of a network that runs and is not trained further, by name, and what a file must hold.

For a layer called `conv2`:

| kind | arrays |
|---|---|
| full-precision conv | `conv2.weight` float32, out x in x kernel x kernel |
| binary conv | `conv2.signs` int8, -1 or +1, in the same shape; `conv2.scale` float32 |
| batch norm | `conv2.multiplier`, `conv2.offset` float32, one a channel |
| linear | `conv2.weight` float32, out x in |

A scale is a scalar, or of shape (out,), as `scales` of the encoding says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from moo_bnas.errors import ModelFileError
from moo_bnas.models.model_file import Arrays, Card, Layer
from moo_bnas.networks.binarizers import Encoding

PREFIX = "layers."
"""Of the names in the state of a torch module that was made from layer specs."""

BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
"""What a batch norm in training consists of, one of each a channel."""

Shapes = Mapping[str, tuple[DTypeLike, tuple[int, ...]]]
"""Type and shape of arrays, by name."""


def is_binary(layer: Layer) -> bool:
    """Whether the weights of a layer are 1 bit each."""
    return layer.kind == "conv" and layer.precision == "binary"


def weight_shape(layer: Layer) -> tuple[int, ...]:
    """Of the weights of a conv or linear."""
    window = (layer.kernel, layer.kernel) if layer.kind == "conv" else ()
    return (layer.out_channels, layer.in_channels, *window)


def run_shapes(card: Card, encoding: Encoding) -> Shapes:
    """The arrays that running a network takes."""
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
    return shapes


def trained_shapes(card: Card) -> Shapes:
    """The tensors of the network while it is trained, named as in the state of its module."""
    shapes: dict[str, tuple[Any, tuple[int, ...]]] = {}
    for layer in card.layers:
        key = f"{PREFIX}{layer.name}"
        if layer.kind in ("conv", "linear"):
            shapes[f"{key}.weight"] = (np.float32, weight_shape(layer))
        elif layer.kind == "batch_norm":
            shapes |= {f"{key}.{p}": (np.float32, (layer.out_channels,)) for p in BATCH_NORM}
            shapes[f"{key}.num_batches_tracked"] = (np.int64, ())
    return shapes


def check_arrays(arrays: Arrays, expected: Shapes, source: str) -> None:
    """Checks that a file holds the arrays that its card speaks of.

    Raises:
        ModelFileError: Naming `source` and the first array that differs.
    """
    for name in sorted({*arrays, *expected}):
        want = _told(*expected[name]) if name in expected else "none of that name"
        got = _told(arrays[name].dtype, arrays[name].shape) if name in arrays else "none"
        if got != want:
            raise ModelFileError(
                f"{source} does not hold the network that its card describes: of {name} it has "
                f"{got}, expected {want}; it was made from another definition or changed "
                "afterwards, so make it again"
            )


def _told(dtype: DTypeLike, shape: tuple[int, ...]) -> str:
    return f"{np.dtype(dtype).name} of shape {list(shape)}"
