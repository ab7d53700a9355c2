from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from sklearn.datasets import load_sample_images
from torch import nn

from moo_bnas.data import Digits
from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import SearchSpace
from moo_bnas.networks import make_network
from moo_bnas.networks.binarizers import BINARIZERS
from moo_bnas.networks.cost import macs
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.module import Activation, BinaryConv2d, SpecModule, build
from moo_bnas.networks.network import Network

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


def _digits(size: int) -> torch.Tensor:
    assert size == 8
    split = Digits().load(Path(), 0, "search").train
    return torch.from_numpy(split.images[split.rows[:256]]).float()


def _photographs(size: int) -> torch.Tensor:
    """Parts of two photographs, at three scales: what a stem sees, as smooth as real images are."""
    whole = [torch.from_numpy(i.copy()).permute(2, 0, 1) for i in load_sample_images().images]
    parts = [
        nn.functional.interpolate(
            photo[None, :, top : top + side, left : left + side].float(),
            size,
            mode="bicubic",
            antialias=True,
        )
        for photo in whole
        for side in (224, 300, 400)
        for top in (0, 27)
        for left in (0, 100, 200)
    ]
    return torch.cat(parts)


@pytest.mark.parametrize("binarizer", BINARIZERS)
@pytest.mark.parametrize(
    ("network", "images", "binarizers"),
    [
        (make_network("vgg_small", Digits().shape, base_width=16), _digits, 5),
        (make_network("vgg_small", base_width=16), _photographs, 5),
        (
            make_network("resnet18", ImageShape(32, 3, 10), base_width=16, stem="small"),
            _photographs,
            16,
        ),
        (make_network("resnet18", ImageShape(160, 3, 10), base_width=16), _photographs, 16),
    ],
    ids=["vgg_small digits", "vgg_small", "resnet18 small", "resnet18"],
)
def test_every_binarizer_starts_balanced_and_lets_gradient_through(
    binarizer: str, network: Network, images: Callable[[int], torch.Tensor], binarizers: int
) -> None:
    torch.manual_seed(0)
    module = build(network.layers(network.base_widths, "binary"), binarizer).train()
    inputs = images(network.image.size)
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
                x, middle = inputs[0], BINARIZERS[binarizer].threshold
                passes = (x - middle).abs() < BINARIZERS[binarizer].half_width
                gradients[n] = passes.float().mean().item()

            layer.register_forward_hook(keep)
    mean, std = inputs.mean((0, 2, 3), keepdim=True), inputs.std((0, 2, 3), keepdim=True)
    module((inputs - mean) / std)
    assert len(ones) == binarizers
    for name, share in ones.items():
        assert 0.3 < share < 0.7, name
        assert gradients[name] > 0.3, name


def test_gradient_reaches_the_first_layer_of_a_resnet() -> None:
    network = make_network("resnet18", ImageShape(32, 3, 10), base_width=8, stem="small")
    torch.manual_seed(0)
    module = build(network.layers(network.base_widths, "binary")).train()
    logits = module(torch.randn(16, 3, 32, 32))
    nn.functional.cross_entropy(logits, torch.arange(16) % 10).backward()  # type: ignore[no-untyped-call]
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0, name


def test_a_strided_shortcut_is_the_strided_convolution() -> None:
    torch.manual_seed(0)
    short = BinaryConv2d(6, 4, 1, stride=2, bias=False).eval()
    x = torch.randn(2, 6, 7, 7)
    signs = torch.where(short.weight < 0, -1.0, 1.0)
    expected = nn.functional.conv2d(x, signs, stride=2) * short.weight.abs().mean()
    torch.testing.assert_close(short(x), expected)


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
