"""The packed file: 1 bit a binary weight. Its format is told in docs/packed.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moo_bnas.errors import ModelFileError
from moo_bnas.models.arrays import Shapes, check_arrays, is_binary, run_shapes, weight_shape
from moo_bnas.models.encoding import encoding_of, exported
from moo_bnas.models.model_file import Arrays, Card, Layer, Model
from moo_bnas.networks.binarizers import Encoding


@dataclass(frozen=True)
class Sizes:
    """Where the bytes of a packed file go.

    Attributes:
        weights: Those of convs and linear layers; of binary ones 8 a byte, each layer padded to
            whole bytes.
        padding_bits: How many bits of them are that padding; the others are the cost model's.
        batch_norm: Multipliers and offsets.
        scales: One of 4 bytes a binary layer.
        header: The card, and names, types, shapes and places of all tensors.
    """

    weights: int
    padding_bits: int
    batch_norm: int
    scales: int
    header: int

    @property
    def total(self) -> int:
        """Of the file."""
        return self.weights + self.batch_norm + self.scales + self.header


def pack(card: Card, folded: Arrays) -> Model:
    """The packed file of a network.

    Args:
        card: Of the trained network.
        folded: Its arrays, as `folding.fold` makes them.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name, array in folded.items():
        layer, _, part = name.rpartition(".")
        if part == "signs":
            arrays[f"{layer}.bits"] = np.packbits(array.reshape(-1) > 0)
        else:
            arrays[name] = array
    return Model(exported(card, "packed"), arrays)


def unpack(model: Model, source: str) -> Arrays:
    """The arrays in a packed file, named and shaped as `export.arrays` says.

    Raises:
        ModelFileError: Naming `source`, where it is no packed file, or holds other tensors than
            its card says.
    """
    if model.card.kind != "packed":
        raise ModelFileError(
            f"{source} is a {model.card.kind} network, expected a packed one; make that with "
            "`moo-bnas export --format packed`"
        )
    check_arrays(model.arrays, _contents(model.card, encoding_of(model.card, source)), source)
    arrays = dict(model.arrays)
    for layer in filter(is_binary, model.card.layers):
        bits = np.unpackbits(arrays.pop(f"{layer.name}.bits"), count=_weights(layer))
        signs = bits.astype(np.int8) * np.int8(2) - np.int8(1)
        arrays[f"{layer.name}.signs"] = signs.reshape(weight_shape(layer))
    return arrays


def sizes(model: Model, content: bytes) -> Sizes:
    """Where the bytes of a packed file go.

    Args:
        model: As packed.
        content: Its file.
    """
    taken = {"bits": 0, "weight": 0, "scale": 0, "multiplier": 0, "offset": 0}
    for name, array in model.arrays.items():
        taken[name.rpartition(".")[2]] += array.nbytes
    return Sizes(
        weights=taken["bits"] + taken["weight"],
        padding_bits=sum(-_weights(layer) % 8 for layer in model.card.layers if is_binary(layer)),
        batch_norm=taken["multiplier"] + taken["offset"],
        scales=taken["scale"],
        header=len(content) - sum(taken.values()),
    )


def _contents(card: Card, encoding: Encoding) -> Shapes:
    """The tensors of a packed file."""
    shapes = dict(run_shapes(card, encoding))
    for layer in filter(is_binary, card.layers):
        del shapes[f"{layer.name}.signs"]
        shapes[f"{layer.name}.bits"] = (np.uint8, (-(-_weights(layer) // 8),))
    return shapes


def _weights(layer: Layer) -> int:
    return int(np.prod(weight_shape(layer)))
