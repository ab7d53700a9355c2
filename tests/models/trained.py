"""Small trained networks to export, with batch norm statistics of real images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from moo_bnas.data import Digits
from moo_bnas.evaluation import Precision
from moo_bnas.models.model_file import Card, Image, Layer, Model
from moo_bnas.networks import make_network
from moo_bnas.networks.bases import with_needs_of
from moo_bnas.networks.binarizers import BINARIZERS
from moo_bnas.networks.binary_layers import Activation, CompoundConv2d
from moo_bnas.networks.bits import with_bit_genes
from moo_bnas.networks.cost import flops, memory_bits
from moo_bnas.networks.module import build
from moo_bnas.recipe import Recipe
from moo_bnas.training.device_data import to_device
from moo_bnas.training.loop import Training


@dataclass(frozen=True)
class Case:
    """A network to train."""

    network: str
    binarizer: str
    base_width: int
    precision: Precision = "binary"
    options: Mapping[str, object] = field(default_factory=dict)
    widths: tuple[int, ...] | None = None
    bits: tuple[int, ...] = ()
    bases: tuple[int, int] = (1, 1)


SMALL: dict[str, object] = {"stem": "small"}
TRAITS: dict[str, object] = {
    "block": ("norm", "prelu", "pool"),
    "last": "hardtanh",
    "classifier_bias": True,
}

CASES = {
    "vgg_small dorefa": Case("vgg_small", "dorefa", 8),
    # Neither channels nor weights fill bytes.
    "vgg_small sign": Case("vgg_small", "sign", 8, widths=(7, 9, 11, 13, 5, 15)),
    "vgg_small full": Case("vgg_small", "dorefa", 4, "full"),
    "vgg_small traits": Case("vgg_small", "sign", 8, options=TRAITS, widths=(7, 9, 11, 13, 5, 15)),
    "resnet18 dorefa": Case("resnet18", "dorefa", 4, options={"stem": "imagenet"}),
    "resnet18 small dorefa": Case("resnet18", "dorefa", 4, options=SMALL),
    "resnet18 small sign": Case(
        "resnet18", "sign", 4, options=SMALL, widths=(5, 9, 11, 13, 3, 4, 5, 6, 7, 8, 9, 10)
    ),
    "vgg_small per_channel": Case("vgg_small", "per_channel", 8, widths=(7, 9, 11, 13, 5, 15)),
    "resnet18 small per_channel": Case("resnet18", "per_channel", 4, options=SMALL),
    "resnet18 small real bireal": Case(
        "resnet18", "bireal", 4, options=SMALL | {"downsampling": "real", "shortcuts": "conv"}
    ),
    "resnet18 react": Case(
        "resnet18", "sign", 4, options=SMALL | {"shortcuts": "conv", "react": True}
    ),
    "vgg_small uneven": Case("vgg_small", "uneven", 8),
    "vgg_small xnor_k": Case("vgg_small", "xnor_k", 8, widths=(7, 9, 11, 13, 5, 15)),
    "resnet18 xnor_k": Case("resnet18", "xnor_k", 4, options={"stem": "imagenet"}),
}

MORE_BITS = {
    "vgg_small bits": Case(
        "vgg_small", "dorefa", 8, widths=(7, 9, 11, 13, 5, 15), bits=(2, 1, 3, 2, 4)
    ),
    "resnet18 small bits": Case(
        "resnet18", "quarters", 4, options=SMALL, bits=(2, 1) * 4 + (1, 3) * 4
    ),
}
"""Networks whose activations have several bits, of which tests of their own check more."""

COMPOUND = {
    "vgg_small abc": Case("vgg_small", "abc", 8, widths=(7, 9, 11, 13, 5, 15), bases=(3, 2)),
    "resnet18 abc": Case("resnet18", "abc", 4, options={"stem": "imagenet"}, bases=(1, 2)),
    "vgg_small adabin": Case("vgg_small", "adabin", 8, widths=(7, 9, 11, 13, 5, 15)),
    "resnet18 small adabin": Case("resnet18", "adabin", 4, options=SMALL),
}
"""Networks whose exports have other layers, of which tests of their own check more."""


@cache
def trained(name: str) -> Model:
    """The network of a case, trained on digits for three epochs, with its card."""
    return train((CASES | MORE_BITS | COMPOUND)[name])


def train(case: Case, epochs: int = 3) -> Model:
    """A network trained on digits, with its card."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    digits = Digits()
    network = make_network(
        case.network,
        digits.shape,
        base_width=case.base_width,
        **case.options,
    )
    network = with_needs_of(network, BINARIZERS[case.binarizer].of_bases(case.bases))
    widths = case.widths or network.base_widths
    if case.bits:
        network, widths = with_bit_genes(network, shared=False), widths + case.bits
    specs = network.layers(widths, case.precision)
    loaded = digits.load(Path(), 0, "final")
    data = to_device(loaded, 8, torch.device("cpu"))
    module = build(specs, case.binarizer)
    Training(module, data, Recipe(epochs=epochs, batch_size=64, learning_rate=0.1), 0).run()
    used = flops(network, widths, case.precision)
    card = Card(
        network=case.network,
        binarizer=case.binarizer,
        precision=case.precision,
        ratios=(1.0,) * len(network.genes),
        widths=widths,
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
        memory_bits=memory_bits(network, widths, case.precision),
        speedup=flops(network, network.base_widths, "full") / used,
        accuracy=0.0,
        top5=0.0,
        made={},
    )
    return Model(card, {k: v.contiguous().numpy() for k, v in module.state_dict().items()})


def restore(model: Model) -> nn.Module:
    """The torch network that was trained, in evaluation mode."""
    network = build([layer.spec() for layer in model.card.layers], model.card.binarizer)
    network.load_state_dict({k: torch.from_numpy(v) for k, v in model.arrays.items()})
    return network.eval()


@cache
def digits_images() -> NDArray[np.uint8]:
    """The 360 test images of digits, 360 x 1 x 8 x 8."""
    split = Digits().load(Path(), 0, "final").scoring
    return split.images[split.rows]


def inputs_of(model: Model) -> NDArray[np.float32]:
    """The test images as inputs of the network: normalised as in training."""
    image = model.card.image
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (image.mean, image.std))
    return (digits_images().astype(np.float32) - mean) / std


def logits_of(model: Model) -> NDArray[np.float32]:
    """The logits of the trained network for the test images."""
    with torch.inference_mode():
        logits: NDArray[np.float32] = restore(model)(torch.from_numpy(inputs_of(model))).numpy()
    return logits


def assert_same(model: Model, logits: NDArray[np.float32]) -> None:
    """Asserts that these are the logits of the network that was trained, within 1e-4.

    Images are left out in which an activation is so close to the threshold of a binarizer that the
    order of a sum decides the bit; on most machines there are none.
    """
    near = np.zeros(len(logits), np.bool_)

    def look(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(module, Activation | CompoundConv2d)
        shifts = module.shift if isinstance(module, CompoundConv2d) else torch.zeros(1)
        for threshold in module.binarizer.encoding.thresholds:
            for shift in shifts:
                distance = (inputs[0] + shift - threshold).abs()
                near[:] |= (distance < 2e-6).flatten(1).any(dim=1).numpy()

    network = restore(model)
    for module in network.modules():
        if isinstance(module, Activation | CompoundConv2d):
            module.register_forward_pre_hook(look)
    with torch.inference_mode():
        expected = network(torch.from_numpy(inputs_of(model))).numpy()
    assert near.mean() < 0.02
    np.testing.assert_allclose(logits[~near], expected[~near], rtol=0, atol=1e-4)
    assert (logits.argmax(axis=1) == expected.argmax(axis=1))[~near].all()
