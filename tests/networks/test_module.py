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
from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import SearchSpace
from moo_bnas.networks import make_network
from moo_bnas.networks.autograd import binarize_activation
from moo_bnas.networks.binarizers import BINARIZERS
from moo_bnas.networks.binary_layers import Activation, BinaryConv2d
from moo_bnas.networks.cost import macs
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.module import SpecModule, build, set_constants, set_progress
from moo_bnas.networks.network import Network
from tests.binarizers import ONE_BIT

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


@pytest.mark.parametrize("binarizer", ONE_BIT)
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
    _starts_balanced(binarizer, network, images, binarizers)


@pytest.mark.parametrize(
    ("binarizer", "name", "options"),
    [
        ("reste", "vgg_small", {"block": ("relu", "norm", "pool"), "last": "none"}),
        ("bireal", "vgg_small", {"block": ("pool", "norm", "prelu"), "last": "prelu"}),
        ("dorefa", "vgg_small", {"block": ("norm", "relu", "pool")}),
        ("bireal", "resnet18", {"stem": "small", "shortcuts": "conv", "downsampling": "real"}),
        ("bireal", "resnet18", {"stem": "small", "shortcuts": "conv", "react": True}),
    ],
)
def test_networks_with_other_traits_start_balanced(
    binarizer: str, name: str, options: dict[str, object]
) -> None:
    network = make_network(name, ImageShape(32, 3, 10), base_width=16, **options)
    _starts_balanced(binarizer, network, _photographs, 5 if name == "vgg_small" else 16)


def _starts_balanced(
    binarizer: str, network: Network, images: Callable[[int], torch.Tensor], binarizers: int
) -> None:
    torch.manual_seed(0)
    module = build(network.layers(network.base_widths, "binary"), binarizer).train()
    inputs = images(network.image.size)
    ones, gradients = {}, {}
    for name, layer in module.layers.items():
        if isinstance(layer, Activation | nn.Identity):  # the latter where convs learn

            def keep(
                _module: nn.Module,
                inputs: tuple[torch.Tensor, ...],
                _out: torch.Tensor,
                n: str = name,
            ) -> None:
                bits = binarize_activation(inputs[0], ONE_BIT[binarizer], torch.zeros(()))
                ones[n] = (bits > 0).float().mean().item()
                low, high = ONE_BIT[binarizer].window
                passes = (inputs[0] > low) & (inputs[0] < high)
                gradients[n] = passes.float().mean().item()

            layer.register_forward_hook(keep)
    mean, std = inputs.mean((0, 2, 3), keepdim=True), inputs.std((0, 2, 3), keepdim=True)
    module((inputs - mean) / std)
    assert len(ones) == binarizers
    for name, share in ones.items():
        assert 0.3 < share < 0.7, name
        assert gradients[name] > 0.3, name


@pytest.mark.parametrize("shortcuts", ["block", "conv"])
def test_gradient_reaches_the_first_layer_of_a_resnet(shortcuts: str) -> None:
    network = make_network(
        "resnet18", ImageShape(32, 3, 10), base_width=8, stem="small", shortcuts=shortcuts
    )
    torch.manual_seed(0)
    module = build(network.layers(network.base_widths, "binary")).train()
    logits = module(torch.randn(16, 3, 32, 32))
    nn.functional.cross_entropy(logits, torch.arange(16) % 10).backward()  # type: ignore[no-untyped-call]
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0, name


def test_a_strided_shortcut_is_the_strided_convolution() -> None:
    torch.manual_seed(0)
    short = BinaryConv2d(6, 4, 1, stride=2, binarizer=BINARIZERS["dorefa"]).eval()
    x = torch.randn(2, 6, 7, 7)
    signs = torch.where(short.weight < 0, -1.0, 1.0)
    expected = nn.functional.conv2d(x, signs, stride=2) * short.weight.abs().mean()
    torch.testing.assert_close(short(x), expected)


def test_the_last_batch_norm_feeds_a_relu_and_starts_as_torch_starts_it() -> None:
    network = make_network("vgg_small", base_width=2)
    layers = build(network.layers(network.base_widths, "binary")).layers
    assert layers["bn5"].bias.unique().tolist() == [0.5]  # type: ignore[operator]
    assert layers["bn6"].bias.unique().tolist() == [0.0]  # type: ignore[operator]


FIXED = [name for name, each in ONE_BIT.items() if each.learned == "nothing"]


@pytest.mark.parametrize("binarizer", FIXED)
def test_evaluation_of_a_binary_conv_is_exact(binarizer: str) -> None:
    torch.manual_seed(0)
    conv = BinaryConv2d(64, 32, 3, padding=1, binarizer=ONE_BIT[binarizer]).eval()
    x = (torch.rand(4, 64, 9, 9) > 0.5).float()
    latent, scale = ONE_BIT[binarizer].weights(conv.weight)
    signs = torch.where(latent < 0, -1, 1).to(torch.int64)
    exact = nn.functional.conv2d(x.double(), signs.double(), padding=1)
    assert torch.equal(exact, exact.round())
    assert torch.equal(conv(x), exact.float() * scale.reshape(-1, 1, 1))


@pytest.mark.parametrize("binarizer", FIXED)
def test_training_and_evaluation_of_a_binary_conv_agree(binarizer: str) -> None:
    torch.manual_seed(0)
    conv = BinaryConv2d(16, 8, 3, padding=1, binarizer=ONE_BIT[binarizer])
    x = (torch.rand(2, 16, 5, 5) > 0.5).float()
    torch.testing.assert_close(conv.train()(x), conv.eval()(x))


def test_a_scale_per_channel_scales_its_channel() -> None:
    conv = BinaryConv2d(1, 2, 1, binarizer=ONE_BIT["per_channel"])
    filters = torch.tensor([[-1.0, 3.0], [0.5, -0.1]])  # less their means 1 and 0.2: -2 2, 0.3 -0.3
    conv.weight = nn.Parameter(filters.reshape(2, 1, 1, 2))
    x = torch.tensor([[[[1.0, 1.0, 5.0]]]])
    for out in (conv.train()(x), conv.eval()(x)):
        expected = torch.tensor([[[[0.0, 8.0]], [[0.0, -1.2]]]])
        torch.testing.assert_close(out, expected)


def test_an_unknown_binarizer_is_refused() -> None:
    network = NETWORKS["vgg_small"]
    with pytest.raises(DefinitionError, match="got binarizer 'ternary', expected one of dorefa, "):
        build(network.layers(network.base_widths, "binary"), "ternary")


def test_progress_reaches_every_gradient_and_no_state() -> None:
    network = NETWORKS["vgg_small"]
    module = build(network.layers(network.base_widths, "binary"), "by_progress")
    states = module.state_dict()
    assert not any("progress" in name for name in states)
    module.load_state_dict(states)
    set_progress(nn.Sequential(module), 0.75)  # as a network of another package may wrap it
    assert [
        layer.progress.item()
        for layer in module.modules()
        if isinstance(layer, Activation | BinaryConv2d)
    ] == [0.75] * 10  # 5 activations, 5 binary convs


def test_constants_reach_every_gradient() -> None:
    network = NETWORKS["vgg_small"]
    module = build(network.layers(network.base_widths, "binary"), "reste")
    set_constants(nn.Sequential(module), {"power": 2.0})
    assert [
        layer.binarizer.values["power"]
        for layer in module.modules()
        if isinstance(layer, Activation | BinaryConv2d)
    ] == [2.0] * 10


def test_gradients_change_with_progress() -> None:
    act, conv = (
        Activation(ONE_BIT["by_progress"]),
        BinaryConv2d(1, 1, 1, binarizer=ONE_BIT["by_progress"]),
    )
    for share, passes in ((0.0, [0, 1, 1, 1, 0]), (0.5, [0, 0, 1, 0, 0])):
        set_progress(nn.Sequential(act, conv), share)
        x = torch.tensor([-1.0, -0.7, 0.0, 0.6, 1.2], requires_grad=True)
        act(x).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == passes
        conv.weight.grad = None
        conv(torch.full((1, 1, 2, 2), 3.0)).sum().backward()
        assert conv.weight.grad is not None
        assert conv.weight.grad.item() == 12 * (1 + share)


def test_the_builder_frees_what_no_later_step_reads() -> None:
    network = NETWORKS["resnet18"]
    module = build(network.layers(network.base_widths, "binary"))
    assert isinstance(module, SpecModule)
    read = {n for names in module._inputs.values() for n in names}
    freed = [n for names in module._done_with.values() for n in names]
    assert sorted(freed) == sorted(read)
