"""The file of a trained network: its weights, and all that is needed to run or reproduce it.

It is a safetensors file whose metadata hold a `Card` as JSON under the key `moo_bnas`. Nothing in
it is ever unpickled or executed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import SerializerFunctionWrapHandler, ValidationError, model_serializer

from moo_bnas.errors import ModelFileError
from moo_bnas.evaluation import Precision
from moo_bnas.networks.binarizers import Encoding
from moo_bnas.networks.layers import Kind, LayerSpec
from moo_bnas.section import Section

FileKind = Literal["trained", "plain", "packed", "onnx"]
"""Of what a file holds, see `Card`."""

KEY = "moo_bnas"
"""Of the card in the metadata of a file."""

Arrays = Mapping[str, NDArray[Any]]


class Layer(Section):
    """One layer spec, as `networks.layers.LayerSpec`."""

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    in_channels: int
    out_channels: int
    out_size: int
    kernel: int
    stride: int
    padding: int
    precision: Precision
    extra_ops: int

    @classmethod
    def of(cls, spec: LayerSpec) -> Layer:
        """The layer of a spec of one network."""
        channels = {k: int(getattr(spec, k)) for k in ("in_channels", "out_channels")}
        return cls(**{**asdict(spec), **channels})

    def spec(self) -> LayerSpec:
        """The spec of the layer."""
        return LayerSpec(**self.model_dump())


class Image(Section):
    """What images a network takes, and how a file becomes one.

    A file is read by `data.pixels.read_image` at `stored_size` with `channels`; its middle of
    `size` x `size` pixels, as floats in 0..255, minus `mean`, divided by `std`, is the input.

    Attributes:
        size: Height and width of the input.
        stored_size: At which images are read.
        channels: 1: grey; 3: RGB.
        mean: One a channel, in 0..255.
        std: Likewise.
    """

    size: int
    stored_size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Card(Section):
    """What is known of a trained network.

    Attributes:
        version: Of this format.
        kind: `trained`: the state of the module that was trained (names as `layers.conv1.weight`);
            `plain`: that of an exported torch module; `packed`: 1-bit weights packed; `onnx`: an
            ONNX graph, whose metadata hold the card under the same key.
        network: Its name, as in a definition.
        binarizer: Likewise.
        encoding: What running an exported network takes to know of its binarizer; None on the cards
            of trained networks, and where the name implies it (see `encoding`).
        precision: Binary, or the full-precision twin.
        ratios: Expansion ratios, one a gene.
        widths: Channels, one a gene.
        layers: Its layer specs.
        own_module: Whether another package made the torch module, of which the specs may not say
            everything.
        image: What it takes.
        classes: Names, in the order of the logits.
        flops: As counted by the cost model.
        memory_bits: Likewise.
        speedup: FLOPs of the full-precision 1x network over `flops`.
        accuracy: Top-1 on the test images, percent.
        top5: Top-5 likewise.
        made: How it was made: definition, recipe, genotype, seed, split_seed, data_hash,
            fingerprint, evaluation_version, versions, device, loss_per_epoch, ...
        sha256: Of the tensors beside it in a safetensors file; empty but there.
    """

    version: Literal[1] = 1
    kind: FileKind = "trained"
    network: str
    binarizer: str
    encoding: Encoding | None = None
    precision: Precision
    ratios: tuple[float, ...]
    widths: tuple[int, ...]
    layers: tuple[Layer, ...]
    own_module: bool
    image: Image
    classes: tuple[str, ...]
    flops: float
    memory_bits: int
    speedup: float
    accuracy: float
    top5: float
    made: dict[str, Any]
    sha256: str = ""

    @model_serializer(mode="wrap")
    def _without_implied_encoding(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Readers of version 0.1 refuse the key that they do not know, even if it is null."""
        values: dict[str, Any] = dump(self)
        if self.encoding is None:
            values.pop("encoding", None)
        return values


@dataclass(frozen=True)
class Model:
    """A trained network, as read from its file."""

    card: Card
    arrays: Arrays


def metadata(card: Card) -> dict[str, str]:
    """The metadata of a file with this card."""
    return {KEY: card.model_dump_json()}


def to_bytes(model: Model) -> bytes:
    """The file of a model."""
    # Not ascontiguousarray, which makes a vector of a scalar.
    arrays = {name: np.asarray(array, order="C") for name, array in model.arrays.items()}
    # Within the card: of several keys of the metadata, the order in the file would be by chance.
    card = model.card.model_copy(update={"sha256": _digest(arrays)})
    return safetensors.numpy.save(arrays, metadata(card))


def read_model(path: Path) -> Model:
    """Reads the file of a trained or exported network.

    Raises:
        ModelFileError: Where it is missing, cut short, or no such file.
    """
    try:
        return parse_model(path.read_bytes(), str(path))
    except OSError as error:
        raise ModelFileError(
            f"cannot read {path}: {error.strerror}; give the .safetensors file that `moo-bnas "
            "train` or `moo-bnas export` wrote"
        ) from error


def parse_model(content: bytes, source: str) -> Model:
    """The model in the bytes of a file.

    Raises:
        ModelFileError: Naming `source`, where they are cut short, or no such file.
    """
    try:
        arrays = safetensors.numpy.load(content)
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ModelFileError(
            f"{source} is no safetensors file, or cut short or damaged ({error}); make it again, "
            "or fetch a whole copy"
        ) from error
    card = parse_card(header.get("__metadata__", {}).get(KEY), source)
    if card.sha256 != _digest(arrays):
        raise ModelFileError(
            f"{source} is damaged: its tensors are not those that were written; make it again, or "
            "fetch a whole copy"
        )
    return Model(card.model_copy(update={"sha256": ""}), arrays)


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(np.asarray(array, order="C").tobytes())
    return digest.hexdigest()


def parse_card(text: str | None, source: str) -> Card:
    """The card in the metadata of a file, there under `KEY`.

    Raises:
        ModelFileError: Naming `source`, where there is none, or none that can be read.
    """
    if text is None:
        raise ModelFileError(
            f"{source} was not made by moo-bnas: it holds tensors without a card; give a file that "
            "`moo-bnas train` or `moo-bnas export` wrote"
        )
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ModelFileError(
            f"{source} has a card that this version of moo-bnas cannot read ({where}: "
            f"{fault['msg']}); use the version that made it, or make it again"
        ) from error
