"""Trained networks to export, small, but with batch norm statistics of real images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from moo_bnas.cost import flops, memory_bits
from moo_bnas.data import Digits
from moo_bnas.definition import Recipe
from moo_bnas.model_file import Card, Image, Layer, Model
from moo_bnas.networks import make_network
from moo_bnas.networks.layers import Precision
from moo_bnas.networks.module import build
from moo_bnas.training import Training, score, to_device


def train(
    name: str,
    binarizer: str,
    precision: Precision = "binary",
    *,
    base_width: int,
    epochs: int,
    **options: object,
) -> Model:
    """A network trained on digits, with its card."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    digits = Digits()
    network = make_network(name, digits.shape, base_width=base_width, **options)
    specs = network.layers(network.base_widths, precision)
    loaded = digits.load(Path(), 0, "final")
    data = to_device(loaded, 8, torch.device("cpu"))
    recipe = Recipe(epochs=epochs, batch_size=64, learning_rate=0.1)
    module = build(specs, binarizer)
    Training(module, data, recipe, 0).run()
    used = flops(network, network.base_widths, precision)
    card = Card(
        network=name,
        binarizer=binarizer,
        precision=precision,
        ratios=(1.0,) * len(network.genes),
        widths=network.base_widths,
        layers=tuple(Layer.of(spec) for spec in specs),
        own_module=False,
        image=Image(
            size=8,
            stored_size=8,
            channels=1,
            mean=tuple(data.mean.flatten().tolist()),
            std=tuple(data.std.flatten().tolist()),
        ),
        classes=loaded.classes,
        flops=used,
        memory_bits=memory_bits(network, network.base_widths, precision),
        speedup=flops(network, network.base_widths, "full") / used,
        accuracy=float(np.asarray(score(module, data)).flat[0]),
        top5=100.0,
        made={},
    )
    state = {k: v.contiguous().numpy() for k, v in module.state_dict().items()}
    return Model(card, state)


def restore(model: Model) -> nn.Module:
    """The torch network that was trained, in evaluation mode."""
    network = build([layer.spec() for layer in model.card.layers], model.card.binarizer)
    network.load_state_dict({k: torch.from_numpy(v) for k, v in model.arrays.items()})
    return network.eval()


def test_images() -> NDArray[np.uint8]:
    """The 360 test images of digits, 360 x 1 x 8 x 8."""
    split = Digits().load(Path(), 0, "final").scoring
    return split.images[split.rows]


def normalised(card: Card, images: NDArray[Any]) -> NDArray[np.float32]:
    """Images as a network takes them."""
    mean, std = (
        np.array(values, np.float32)[:, None, None] for values in (card.image.mean, card.image.std)
    )
    return (images.astype(np.float32) - mean) / std
