from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from moo_bnas.cost import macs
from moo_bnas.data import Digits
from moo_bnas.networks import make_network
from moo_bnas.networks.binarizers import BINARIZERS
from moo_bnas.networks.layers import ImageShape, Precision
from moo_bnas.networks.module import Activation, BinaryConv2d, SpecModule, build
from moo_bnas.networks.network import Network
from moo_bnas.space import SearchSpace

NETWORKS = {
    "vgg_small": make_network("vgg_small", base_width=16),
    "resnet18": make_network("resnet18", ImageShape(64, 3, 7), base_width=8),
    "resnet18_small": make_network("resnet18", ImageShape(32, 3, 10), base_width=8, stem="small"),
}


def _random_widths(network: Network, seed: int) -> list[int]:
    space = SearchSpace(network.genes)
    genotype = np.random.default_rng(seed).integers(0, 6, size=(1, len(network.genes)))
    widths: list[int] = space.widths(genotype, network.base_widths)[0].tolist()
    return widths


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("precision", ["binary", "full"])
@pytest.mark.parametrize("seed", range(3))
def test_shapes_and_macs_agree_with_an_independent_counter(
    name: str, precision: Precision, seed: int
) -> None:
    network = NETWORKS[name]
    specs = network.layers(_random_widths(network, seed), precision)
    module = build(specs).eval()
    image = network.image
    x = torch.randn(1, image.channels, image.size, image.size)
    shapes: dict[str, torch.Size] = {}
    for layer_name, layer in module.layers.items():
        layer.register_forward_hook(
            lambda _m, _i, out, n=layer_name: shapes.__setitem__(n, out.shape)
        )
    assert module(x).shape == (1, image.classes)
    for spec in specs:
        size = [spec.out_size] * (len(shapes[spec.name]) - 2)
        assert list(shapes[spec.name]) == [1, spec.out_channels, *size], spec.name
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    counted = FlopCountAnalysis(module, x).unsupported_ops_warnings(False).by_operator()
    assert sum(int(macs(s)) for s in specs) == counted["conv"] + counted["linear"]


@pytest.mark.parametrize("binarizer", BINARIZERS)
def test_every_binarizer_starts_balanced_and_lets_gradient_through(binarizer: str) -> None:
    network = make_network("vgg_small", Digits().shape, base_width=16)
    torch.manual_seed(0)
    module = build(network.layers(network.base_widths, "binary"), binarizer).train()
    train = Digits().load(Path(), 0, "search").train
    images = torch.from_numpy(train.images[train.rows[:256]]).float()
    ones, gradients = {}, {}
    for name, layer in module.layers.items():
        if isinstance(layer, Activation):

            def keep(
                _module: nn.Module,
                inputs: tuple[torch.Tensor, ...],
                out: torch.Tensor,
                n: str = name,
            ) -> None:
                ones[n] = (out > 0).float().mean().item()
                inputs[0].retain_grad()
                gradients[n] = inputs[0]

            layer.register_forward_hook(keep)
    module((images - images.mean()) / images.std()).square().sum().backward()
    assert len(ones) == 5
    for name, share in ones.items():
        assert 0.3 < share < 0.7, name
        gradient = gradients[name].grad
        assert gradient is not None
        assert (gradient != 0).float().mean().item() > 0.3, name


def test_the_last_batch_norm_feeds_a_relu_and_starts_as_torch_starts_it() -> None:
    network = make_network("vgg_small", base_width=2)
    layers = build(network.layers(network.base_widths, "binary")).layers
    assert layers["bn5"].bias.unique().tolist() == [0.5]  # type: ignore[operator]
    assert layers["bn6"].bias.unique().tolist() == [0.0]  # type: ignore[operator]


def test_evaluation_of_a_binary_conv_is_exact() -> None:
    torch.manual_seed(0)
    conv = BinaryConv2d(64, 32, 3, padding=1, bias=False).eval()
    x = (torch.rand(4, 64, 9, 9) > 0.5).float()
    signs = torch.where(conv.weight < 0, -1, 1).to(torch.int64)
    exact = nn.functional.conv2d(x.double(), signs.double(), padding=1)
    assert torch.equal(exact, exact.round())
    assert torch.equal(conv(x), exact.float() * conv.weight.abs().mean())


def test_training_and_evaluation_of_a_binary_conv_agree() -> None:
    torch.manual_seed(0)
    conv = BinaryConv2d(16, 8, 3, padding=1, bias=False)
    x = (torch.rand(2, 16, 5, 5) > 0.5).float()
    torch.testing.assert_close(conv.train()(x), conv.eval()(x))


def test_the_builder_frees_what_no_later_step_reads() -> None:
    network = NETWORKS["resnet18"]
    module = build(network.layers(network.base_widths, "binary"))
    assert isinstance(module, SpecModule)
    read = {n for names in module._inputs.values() for n in names}
    freed = [n for names in module._done_with.values() for n in names]
    assert sorted(freed) == sorted(read)
