"""Packed networks of random weights, whose first conv computes exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moo_bnas.models.arrays import is_binary, run_shapes
from moo_bnas.models.encoding import encoding_of
from moo_bnas.models.model_file import Card, Image, Layer, Model
from moo_bnas.models.packed import pack
from moo_bnas.networks import make_network
from moo_bnas.networks.bits import with_bit_genes
from moo_bnas.networks.layers import ImageShape, LayerSpec
from moo_bnas.networks.resnet18 import Stem
from tests.binarizers import ONE_BIT

CLASSES = 10


def network(
    name: str,
    widths: Sequence[int],
    *,
    binarizer: str = "dorefa",
    size: int = 8,
    stem: Stem | None = None,
    seed: int = 0,
    bits: Sequence[int] = (),
) -> Model:
    """A packed network of the given widths; a ResNet-18 has the small stem by default."""
    shape = ImageShape(size, 3, CLASSES)
    if name == "resnet18" and stem is None:
        stem = "small"
    made = make_network(name, shape, stem=stem)
    if bits:
        made, widths = with_bit_genes(made, shared=False), [*widths, *bits]
    return packed(made.layers(widths, "binary"), binarizer, size, seed)


def packed(specs: Sequence[LayerSpec], binarizer: str, size: int, seed: int) -> Model:
    """A packed network of these specs.

    Weights and images are multiples of 1/8, so that the order of sums does not matter in the first
    conv. Batch norms have multipliers of both signs, and lead to bits of which about half are 1.
    """
    random = np.random.default_rng(seed)
    card = Card(
        network="random",
        binarizer=binarizer,
        precision="binary",
        ratios=(),
        widths=(),
        layers=tuple(Layer.of(spec) for spec in specs),
        own_module=False,
        image=Image(size=size, stored_size=size, channels=3, mean=(0.0,) * 3, std=(1.0,) * 3),
        classes=tuple(map(str, range(CLASSES))),
        flops=0.0,
        memory_bits=0,
        speedup=1.0,
        accuracy=0.0,
        top5=0.0,
        made={},
    )
    encoding = encoding_of(card.model_copy(update={"encoding": ONE_BIT[binarizer].encoding}), "it")
    window = {f"{s.name}": s.kernel**2 * int(s.in_channels) for s in card.layers}
    binary = {layer.name for layer in card.layers if is_binary(layer)}
    arrays: dict[str, NDArray[Any]] = {}
    for name, (dtype, dims) in run_shapes(card, encoding).items():
        layer, _, part = name.rpartition(".")
        match part:
            case "signs":
                values = np.where(random.random(dims) < 0.5, -1, 1)
            case "scale":
                values = random.uniform(0.5, 1.5, dims) / np.sqrt(window[layer])
            case "multiplier":
                values = random.normal(size=dims)
            case "offset":
                values = random.normal(encoding.thresholds[0], 0.5, size=dims)
            case _:
                values = random.integers(-8, 9, dims) / 8
        assert part != "signs" or layer in binary
        arrays[name] = np.asarray(values, dtype)
    return pack(Model(card, arrays))


def images(model: Model, n: int, seed: int = 0) -> NDArray[np.float32]:
    """Normalised images: multiples of 1/8."""
    size = model.card.image.size
    values = np.random.default_rng(seed).integers(-16, 17, (n, 3, size, size)) / 8
    return values.astype(np.float32)
