"""The packed file, with 1 bit per binary weight; docs/packed.md describes its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moo_bnas.errors import ModelFileError
from moo_bnas.models.arrays import Shapes, check_arrays, is_binary, run_shapes, weight_shape
from moo_bnas.models.encoding import encodings_of, exported
from moo_bnas.models.model_file import Arrays, Card, Layer, Model
from moo_bnas.models.popcount import PopcountNetwork, signs_of
from moo_bnas.networks.binarizers import Encoding


@dataclass(frozen=True)
class Sizes:
    """What the bytes of a packed file are used for.

    Attributes:
        weights: Bytes of the weights of convs and linear layers; binary weights take 1 bit each,
            and each binary layer is padded to whole bytes.
        padding_bits: Bits of `weights` that are padding.
        counted: Bits of weights that the cost model counts: all others, unless a conv was written
            out as several, which hold the same weights again.
        batch_norm: Bytes of the multipliers and offsets of batch norms, slopes of PReLUs, and
            biases.
        scales: Bytes of the weight scales: 4 per binary layer, or per output channel of one.
        header: Bytes of the card, and of the names, types, shapes and offsets of all tensors.
    """

    weights: int
    padding_bits: int
    counted: int
    batch_norm: int
    scales: int
    header: int

    @property
    def total(self) -> int:
        """Bytes of the file."""
        return self.weights + self.batch_norm + self.scales + self.header


def pack(folded: Model) -> Model:
    """Packs a network that `folding.fold` returned."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, array in folded.arrays.items():
        layer, _, part = name.rpartition(".")
        if part == "signs":
            arrays[f"{layer}.bits"] = np.packbits(array.reshape(-1) > 0)
        else:
            arrays[name] = array
    return Model(exported(folded.card, "packed"), arrays)


def unpack(model: Model, source: str) -> Arrays:
    """The arrays that running a packed network takes, named and shaped as `arrays` lists them.

    Args:
        model: Packed network.
        source: Name of its file, shown in errors.

    Raises:
        ModelFileError: As `check_packed`.
    """
    check_packed(model, source)
    arrays = dict(model.arrays)
    for layer in filter(is_binary, model.card.layers):
        arrays[f"{layer.name}.signs"] = signs_of(arrays.pop(f"{layer.name}.bits"), layer)
    return arrays


def reference(model: Model, source: str) -> PopcountNetwork:
    """The network that runs with numpy only.

    Args:
        model: Packed network.
        source: Name of its file, shown in errors.

    Raises:
        ModelFileError: As `check_packed`.
    """
    check_packed(model, source)
    return PopcountNetwork(model.card.model_dump(mode="json"), model.arrays)


def check_packed(model: Model, source: str) -> None:
    """Checks that a model is a packed network that can be run.

    Args:
        model: Model to check.
        source: Name of its file, shown in errors.

    Raises:
        ModelFileError: If it is not a packed network, its binarizer is unknown, or its tensors are
            not those that its card describes.
    """
    if model.card.kind != "packed":
        raise ModelFileError(
            f"{source} is a {model.card.kind} network, expected a packed one; make one with "
            "`moo-bnas export --format packed`"
        )
    encoding = encodings_of(model.card, source)[1]
    check_arrays(model.arrays, _contents(model.card, encoding), source)


def sizes(model: Model, content: bytes) -> Sizes:
    """What the bytes of a packed file are used for.

    Args:
        model: Packed network.
        content: Content of its file.
    """
    per_channel = ("multiplier", "offset", "slope", "bias")
    taken = dict.fromkeys(("bits", "weight", "scale", *per_channel), 0)
    for name, array in model.arrays.items():
        taken[name.rpartition(".")[2]] += array.nbytes
    return Sizes(
        weights=taken["bits"] + taken["weight"],
        padding_bits=sum(-_weights(layer) % 8 for layer in model.card.layers if is_binary(layer)),
        counted=model.card.memory_bits,
        batch_norm=sum(taken[part] for part in per_channel),
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
