"""The file of a trained network: its weights, and what is needed to run or reproduce it.

It is a safetensors file; its metadata hold a `Card` as JSON under the key `moo_bnas`, and a seal
(see `seal`). Nothing in it is ever unpickled or executed. Files that version 0.1 wrote can be read.
Whoever made a file may have made it lie: the card is checked before anything is made of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from moo_bnas.errors import ModelFileError
from moo_bnas.evaluation import Precision
from moo_bnas.models.seal import CARD, SEAL, UNSEALED, card_in, seal
from moo_bnas.networks.bases import MOST_BASES
from moo_bnas.networks.binarizers import Encoding
from moo_bnas.networks.bits import MOST_BITS
from moo_bnas.networks.fitting import MOST_CHANNELS, MOST_IMAGE, check_fit
from moo_bnas.networks.layers import ADDED, ImageShape, Kind, LayerSpec
from moo_bnas.reading import read_file
from moo_bnas.section import Section

FileKind = Literal["trained", "plain", "packed", "onnx"]
"""Kind of network in a file, see `Card`."""

MOST_BYTES = 2**32
"""Bytes of a file; the weights of the largest shipped network take 2**30."""

_MOST_CARD = 2**22  # that of a ResNet-18 for ImageNet has 60,000

Name = Annotated[str, Field(max_length=1000)]
Number = Annotated[int, Field(ge=0, le=2**53)]
Size = Annotated[int, Field(ge=0, le=MOST_CHANNELS)]
Bases = Annotated[int, Field(ge=1, le=MOST_BASES)]
Pixels = Annotated[int, Field(ge=1, le=MOST_IMAGE)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
# of pixels in 0..255; a deviation that float32 rounds to 0 would divide by it
Mean = Annotated[float, Field(ge=-1e6, le=1e6)]
Deviation = Annotated[float, Field(ge=1e-6, le=1e6)]
Arrays = Mapping[str, NDArray[Any]]


class Layer(Section):
    """One layer spec; its attributes are those of `networks.layers.LayerSpec`."""

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    in_channels: Size
    out_channels: Size
    out_size: Size
    kernel: Size
    stride: Size
    padding: Size
    precision: Precision
    extra_ops: Number
    bits: Annotated[int, Field(ge=1, le=MOST_BITS)] = 1
    bases: tuple[Bases, Bases] = (1, 1)
    window_sums: Annotated[int, Field(ge=0, le=1)] = 0

    @classmethod
    def of(cls, spec: LayerSpec) -> Layer:
        """Makes a layer from the spec of one network."""
        counts = {k: int(getattr(spec, k)) for k in ("in_channels", "out_channels", "bits")}
        return cls(**{**asdict(spec), **counts})

    def spec(self) -> LayerSpec:
        """Makes the spec of the layer."""
        return LayerSpec(**self.model_dump())

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out what version 0.1 does not know, which refuses cards with unknown keys."""
        values: dict[str, Any] = dump(self)
        for name, default in ADDED.items():
            if getattr(self, name) == default:
                values.pop(name, None)
        return values


class Image(Section):
    """The input of a network, and how an image file becomes that input.

    `data.pixels.read_image` reads a file at `stored_size` with `channels`. The middle `size` x
    `size` pixels, as floats in 0..255, minus `mean`, divided by `std`, are the input.

    Attributes:
        size: Height and width of the input, in pixels.
        stored_size: Height and width at which image files are read, in pixels.
        channels: Colour channels: 1 for grey, 3 for RGB.
        mean: Mean of the training images, one number per channel, in 0..255.
        std: Standard deviation of the training images, one number per channel, in 0..255.
    """

    size: Pixels
    stored_size: Pixels
    channels: Annotated[int, Field(ge=1, le=3)]
    mean: tuple[Mean, ...]
    std: tuple[Deviation, ...]


class Card(Section):
    """The description of a trained network.

    Attributes:
        version: Version of this format.
        kind: `trained`: the state of the module that was trained (names as `layers.conv1.weight`);
            `plain`: the state of an exported torch module; `packed`: packed 1-bit weights; `onnx`:
            an ONNX graph, whose metadata hold the card under the same key.
        network: Name of the network, as in a definition.
        binarizer: Name of the binarizer, as in a definition.
        encoding: What a runtime must know about the binarizer of an exported network; None on the
            cards of trained networks, and where the name implies it (see `models.encoding`).
        encodings: The same of the layers of an exported network whose activations have more bits
            than 1, by the number of bits as text.
        precision: Whether it is the binary network or its full-precision twin.
        ratios: Expansion ratios, one per gene.
        widths: Channel counts, one per gene.
        layers: Layer specs of the network.
        own_module: Whether another package made the torch module, which the specs then may not
            describe in full.
        image: Input of the network.
        classes: Names of the classes, in the order of the logits.
        flops: FLOPs that the cost model counts.
        memory_bits: Memory of the weights that the cost model counts, in bits.
        speedup: FLOPs of the full-precision 1x network divided by `flops`.
        accuracy: Top-1 accuracy on the test images, in percent.
        top5: Top-5 accuracy on the test images, in percent.
        made: How the network was made: definition, recipe, genotype, seed, split_seed, data_hash,
            fingerprint, evaluation_version, versions, device, loss_per_epoch, ...
        sha256: Hash of the tensors in a safetensors file; empty everywhere else.
    """

    version: Literal[1] = 1
    kind: FileKind = "trained"
    network: Name
    binarizer: Name
    encoding: Encoding | None = None
    encodings: Annotated[dict[str, Encoding], Field(max_length=MOST_BITS)] = Field(
        default_factory=dict
    )
    precision: Precision
    ratios: tuple[float, ...]
    widths: tuple[Number, ...]
    layers: tuple[Layer, ...]
    own_module: bool
    image: Image
    classes: tuple[Name, ...]
    flops: Finite
    memory_bits: Number
    speedup: Finite
    accuracy: Finite
    top5: Finite
    made: dict[str, Any]
    sha256: str = ""

    @model_serializer(mode="wrap")
    def _without_implied_encodings(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out empty encodings: version 0.1 refuses cards with unknown keys."""
        values: dict[str, Any] = dump(self)
        for name in ("encoding", "encodings"):
            if not getattr(self, name):
                values.pop(name, None)
        return values


@dataclass(frozen=True)
class Model:
    """A trained or exported network, as its file holds it."""

    card: Card
    arrays: Arrays


def metadata(card: Card) -> dict[str, str]:
    """The metadata of a file that holds this card, with a seal that is still to be set."""
    return {CARD: card.model_dump_json(), SEAL: UNSEALED}


def to_bytes(model: Model) -> bytes:
    """The content of the file of a model."""
    # np.ascontiguousarray would turn a scalar into a vector.
    arrays = {name: np.asarray(array, order="C") for name, array in model.arrays.items()}
    card = model.card.model_copy(update={"sha256": _digest(arrays)})
    content = safetensors.numpy.save(arrays, {CARD: ""})
    size, header = _header(content)
    # By hand, because safetensors writes several metadata keys in random order.
    header["__metadata__"] = metadata(card)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return seal(len(text).to_bytes(8, "little") + text + content[8 + size :])


def read_model(path: Path) -> Model:
    """Reads the file of a trained or exported network.

    Raises:
        ModelFileError: If it is missing, damaged, or another kind of file.
    """
    try:
        return parse_model(read_file(path, MOST_BYTES), str(path))
    except OSError as error:
        raise ModelFileError(
            f"cannot read {path}: {error.strerror}; give the .safetensors file that `moo-bnas "
            "train` or `moo-bnas export` wrote"
        ) from error


def parse_model(content: bytes, source: str) -> Model:
    """Reads a model from the bytes of its file.

    Args:
        content: Bytes of the file.
        source: Name of the file, shown in errors.

    Raises:
        ModelFileError: If they are damaged, or those of another kind of file.
    """
    try:
        arrays = safetensors.numpy.load(content)
        _, header = _header(content)
    except MemoryError:
        raise
    except Exception as error:  # safetensors has no common base for all that is wrong
        raise ModelFileError(
            f"{source} is not a safetensors file, or it is incomplete or damaged ({error}); make "
            "it again, or fetch a complete copy"
        ) from error
    card = parse_card(card_in(content, header.get("__metadata__") or {}, source), source)
    if card.sha256 != _digest(arrays):
        raise ModelFileError(
            f"{source} is damaged: its tensors are not those that were written; make it again, or "
            "fetch a complete copy"
        )
    return Model(card.model_copy(update={"sha256": ""}), arrays)


def _header(content: bytes) -> tuple[int, dict[str, Any]]:
    """Length of the header of a safetensors file, and what it says."""
    size = int.from_bytes(content[:8], "little")
    return size, json.loads(content[8 : 8 + size])


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(np.asarray(array, order="C").tobytes())
    return digest.hexdigest()


def parse_card(text: str, source: str) -> Card:
    """Reads a card, and checks that a network can be what it says.

    Args:
        text: Value of `CARD` in the metadata of a file.
        source: Name of the file, shown in errors.

    Raises:
        ModelFileError: If this version cannot read it, or there is no such network.
    """
    if len(text) > _MOST_CARD:
        raise ModelFileError(
            f"{source} has a card of {len(text):,} letters, expected at most {_MOST_CARD:,}; fetch "
            "a copy from where you trust it"
        )
    try:
        card = Card.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])[:100]
        raise ModelFileError(
            f"{source} has a card that this version of moo-bnas cannot read ({where}: "
            f"{fault['msg']}); use the version that made it, or make it again"
        ) from error
    check_card(card, source)
    return card


def check_card(card: Card, source: str) -> None:
    """Checks that a network can be what a card says.

    Raises:
        ModelFileError: If there is no such network.
    """
    try:
        activations(card)
    except ValueError as error:
        raise ModelFileError(
            f"{source} has a card that describes no network: {error}; make it again, or fetch a "
            "copy from where you trust it"
        ) from error


def activations(card: Card) -> int:
    """Numbers that a network gives out for one image, those of the image as it is stored included.

    Raises:
        ValueError: If the parts of the card do not fit each other, or the network is too large.
    """
    image = card.image
    stored = image.channels * image.stored_size**2
    if image.size > image.stored_size:
        raise ValueError(f"images of size {image.stored_size} are cut to {image.size}")
    if image.channels == 2:
        raise ValueError("images have 2 channels, expected 1 or 3")
    if not len(image.mean) == len(image.std) == image.channels:
        raise ValueError(
            f"got {len(image.mean)} means and {len(image.std)} deviations of {image.channels} "
            "channels"
        )
    if card.own_module:  # made by another package, and run by that package only
        if card.kind != "trained":
            raise ValueError("its module is of another package, and such networks are not exported")
        return stored
    shape = ImageShape(image.size, image.channels, len(card.classes))
    return stored + check_fit([layer.spec() for layer in card.layers], shape)
