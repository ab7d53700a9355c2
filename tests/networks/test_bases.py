"""Binary convs that are more than one conv of bits with signs: bases, offsets, scales of inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import Precision
from moo_bnas.networks import make_network
from moo_bnas.networks.autograd import binarize_weight
from moo_bnas.networks.bases import MOST_BASES, with_needs_of
from moo_bnas.networks.binarizers import BINARIZERS
from moo_bnas.networks.binary_layers import CompoundConv2d
from moo_bnas.networks.cost import FLOPS, MEMORY, flops, memory_bits
from moo_bnas.networks.fitting import MOST_LAYERS, check_fit
from moo_bnas.networks.layers import Channels, ImageShape, LayerSpec
from moo_bnas.networks.module import build
from moo_bnas.networks.network import Network
from moo_bnas.networks.vgg_small import vgg_small

ABC, ADABIN, XNOR_K = (BINARIZERS[name] for name in ("abc", "adabin", "xnor_k"))
START = torch.zeros(())


def _of(name: str, bases: tuple[int, int] = (1, 1)) -> Network:
    return with_needs_of(vgg_small(), BINARIZERS[name].of_bases(bases))


@pytest.mark.parametrize(
    ("name", "bases", "more"),
    [
        ("dorefa", (1, 1), 0.0),
        # of the notes on costs: M; DoReFa is 13.194 M, 9.441 M of it binary
        ("xnor_k", (1, 1), 0.621184),
        ("adabin", (1, 1), 0.039168),
        ("abc", (3, 1), 32.08 - 13.194),
        ("abc", (3, 3), 88.73 - 13.194),
        ("abc", (5, 3), 145.39 - 13.194),
        ("abc", (5, 5), 239.81 - 13.194),
    ],
)
def test_flops_that_a_binarizer_adds_to_vgg_small(
    name: str, bases: tuple[int, int], more: float
) -> None:
    network = _of(name, bases)
    added = flops(network, network.base_widths) - flops(vgg_small(), network.base_widths)
    assert added / 1e6 == pytest.approx(more, abs=0.006 if name == "abc" else 1e-9)
    twin = flops(network, network.base_widths, "full")
    assert twin == flops(vgg_small(), network.base_widths, "full")


def test_each_base_of_weights_takes_a_bit() -> None:
    one, three = (_of("abc", (bases, 4)) for bases in (1, 3))
    binary = 9 * (128 * 128 + 128 * 256 + 256 * 256 + 256 * 512 + 512 * 512)
    more = memory_bits(three, three.base_widths) - memory_bits(one, one.base_widths)
    assert more == 2 * binary


@pytest.mark.parametrize(
    ("name", "bases"), [("abc", (2, 3)), ("adabin", (1, 1)), ("xnor_k", (1, 1))]
)
def test_costs_of_many_networks_are_those_of_each(name: str, bases: tuple[int, int]) -> None:
    network = _of(name, bases)
    widths = np.array([[8, 16, 24, 32, 40, 48], [3, 5, 7, 9, 11, 13]])
    for cost in (FLOPS, MEMORY):
        together = cost.total(network.layers(list(widths.T), "binary"))
        assert together.tolist() == [cost.of(network, each) for each in widths.tolist()]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_abc_scales_are_the_least_squares(count: int) -> None:
    """Against numpy's solver, with the bases written as in the paper."""
    w = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(count)).double() + 0.3
    spread = [0.0] if count == 1 else np.linspace(-1, 1, count).tolist()
    flat = w.flatten().numpy()
    bases = [np.where(flat - flat.mean() + u * flat.std() >= 0, 1.0, -1.0) for u in spread]
    alphas, *_ = np.linalg.lstsq(np.stack(bases, axis=1), flat)
    _, scales = ABC.of_bases((count, 1)).weights(w)
    np.testing.assert_allclose(scales.reshape(-1).numpy(), alphas, rtol=1e-10)
    out = binarize_weight(w, ABC.of_bases((count, 1)), START)
    expected = sum(a * b for a, b in zip(alphas, bases, strict=True))
    np.testing.assert_allclose(out.flatten().numpy(), expected, atol=1e-12)


def test_abc_passes_the_sum_of_its_scales_to_weights() -> None:
    w = torch.randn(4, 3, 3, 3, dtype=torch.float64).requires_grad_()
    three = ABC.of_bases((3, 2))
    upstream = torch.randn(w.shape, dtype=w.dtype)
    binarize_weight(w, three, START).backward(upstream)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(w.grad, upstream * three.weights(w.detach())[1].sum())


def test_abc_with_weights_of_few_values_stays_finite() -> None:
    for w in (torch.full((2, 1, 1, 1), 0.5), torch.zeros(3, 2, 3, 3)):
        out = binarize_weight(w, ABC.of_bases((5, 1)), START)
        torch.testing.assert_close(out, w, atol=1e-6, rtol=0)


def _abc(x: Tensor, shifts: list[float], scales: list[float]) -> Tensor:
    """Eq. 7 and 8 of the paper."""
    pairs = zip(shifts, scales, strict=True)
    return sum((s * torch.where((x + v).clip(0, 1) >= 0.5, 1.0, -1.0) for v, s in pairs), START)


def test_abc_sums_up_shifted_signs() -> None:
    conv = CompoundConv2d(2, 3, 3, padding=1, binarizer=ABC.of_bases((2, 3)))
    assert conv.shift.tolist() == [-0.5, 0.0, 0.5]
    assert conv.scale.tolist() == pytest.approx([1 / 3] * 3)
    scales = [0.2, -0.3, 0.7]
    conv.scale.data = torch.tensor(scales)
    x = torch.randn(2, 2, 5, 5)
    weight = binarize_weight(conv.weight, conv.binarizer, START)
    expected = conv2d(_abc(x, [-0.5, 0.0, 0.5], scales), weight, padding=1)
    torch.testing.assert_close(conv.train()(x), expected)
    torch.testing.assert_close(conv.eval()(x), expected)


def test_abc_learns_shifts_and_scales() -> None:
    """Of a 1x1 conv of weight 1: out = sum beta_j A_j, dA_j/dx = 1 where 0 < x + v_j < 1."""
    conv = CompoundConv2d(1, 1, 1, binarizer=ABC.of_bases((1, 2))).train()
    conv.weight.data.fill_(1.0)
    conv.scale.data = torch.tensor([0.5, 2.0])  # shifts are -0.5 and 0.5
    x = torch.tensor([[[[-0.25, 0.25, 0.75, 1.25]]]], requires_grad=True)
    conv(x).backward(torch.tensor([[[[1.0, 10.0, 100.0, 1000.0]]]]))
    assert x.grad is not None
    assert conv.shift.grad is not None
    assert conv.scale.grad is not None
    assert x.grad.flatten().tolist() == [2.0, 20.0, 50.0, 500.0]
    assert conv.shift.grad.tolist() == [550.0, 22.0]
    # first base: -1 -1 -1 +1; second: -1 +1 +1 +1
    assert conv.scale.grad.tolist() == [1000 - 111, 1110 - 1]


def _adabin(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The forward of the paper, and autograd's derivative of it with two parabolas for the sign."""
    z = ((x - b) / a).clip(-1, 1)
    soft = torch.where(z < 0, 2 * z + z**2, 2 * z - z**2)
    hard = torch.where(x < b, -1.0, 1.0)
    return a * (hard.detach() + soft - soft.detach()) + b


def test_adabin_learns_its_levels() -> None:
    conv = CompoundConv2d(2, 3, 3, padding=1, binarizer=ADABIN).double()
    assert (conv.scale.item(), conv.shift.item()) == (1, 0)
    conv.scale.data.fill_(0.7)
    conv.shift.data.fill_(-0.4)  # b = 0.4
    x = torch.randn(4, 2, 6, 6, dtype=torch.float64).requires_grad_()
    a, b = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.7, 0.4))
    other = x.detach().clone().requires_grad_()
    out = conv.train()(x)
    weight = binarize_weight(conv.weight, ADABIN, START).detach()
    expected = conv2d(_adabin(other, a, b), weight, padding=1)
    torch.testing.assert_close(out, expected)
    upstream = torch.randn_like(out)
    out.backward(upstream)
    expected.backward(upstream)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(x.grad, other.grad)
    assert conv.scale.grad is not None
    assert conv.shift.grad is not None
    torch.testing.assert_close(conv.scale.grad[0], a.grad)
    torch.testing.assert_close(-conv.shift.grad[0], b.grad)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", ["abc", "adabin"])
def test_parts_are_the_conv_of_training(name: str, stride: int, padding: int) -> None:
    """Also at the border, where AdaBin's zeros are neither of its levels."""
    torch.manual_seed(0)
    binarizer = BINARIZERS[name]
    bases = (3, 2) if binarizer.has_bases else (1, 1)
    conv = CompoundConv2d(5, 7, 3, stride, padding, binarizer=binarizer.of_bases(bases))
    nn.init.normal_(conv.shift)
    nn.init.normal_(conv.scale)
    x = torch.randn(2, 5, 9, 9)
    torch.testing.assert_close(conv.eval()(x), conv.train()(x), rtol=1e-5, atol=1e-5)


def test_a_scale_of_levels_of_zero_stays_finite() -> None:
    conv = CompoundConv2d(2, 3, 3, binarizer=ADABIN)
    nn.init.zeros_(conv.scale)
    out = conv.train()(torch.randn(1, 2, 5, 5))
    out.sum().backward()
    assert out.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in conv.parameters())


def test_xnor_k_scales_by_the_mean_magnitude_of_windows() -> None:
    """Eq. 11: K is A convolved with a box, A the mean of |x| over the channels."""
    torch.manual_seed(0)
    image = ImageShape(8, 3, 10)
    network = with_needs_of(vgg_small(image, base_width=4), XNOR_K)
    module = build(network.layers(network.base_widths, "binary"), "xnor_k").eval()
    seen: dict[str, Tensor] = {}
    for name in ("bn1", "conv2", "conv2_scaled"):
        module.layers[name].register_forward_hook(
            lambda _m, _i, out, n=name: seen.__setitem__(n, out)
        )
    module(torch.randn(3, 3, 8, 8))
    mean = seen["bn1"].abs().mean(dim=1, keepdim=True)
    box = conv2d(mean, torch.full((1, 1, 3, 3), 1 / 9), padding=1)
    torch.testing.assert_close(seen["conv2_scaled"], seen["conv2"] * box)


def test_xnor_k_passes_gradient_through_its_scale() -> None:
    network = with_needs_of(vgg_small(ImageShape(8, 3, 10), base_width=4), XNOR_K)
    module = build(network.layers(network.base_widths, "binary"), "xnor_k").train()
    magnitude = module.layers["act1_magnitude"]
    gradients: list[Tensor] = []

    def keep(_module: nn.Module, given: Any, _out: Any) -> None:
        gradients.append(given[0])

    magnitude.register_full_backward_hook(keep)
    module(torch.randn(3, 3, 8, 8)).sum().backward()
    assert gradients[0].abs().sum() > 0


@pytest.mark.parametrize("stem", ["small", "imagenet"])
@pytest.mark.parametrize("options", [{}, {"shortcuts": "conv", "downsampling": "real"}])
@pytest.mark.parametrize("name", ["abc", "adabin", "xnor_k"])
def test_every_shipped_network_takes_them(name: str, options: dict[str, str], stem: str) -> None:
    made = make_network("resnet18", ImageShape(64, 3, 10), base_width=4, stem=stem, **options)
    network = with_needs_of(made, BINARIZERS[name])
    specs = network.layers(network.base_widths, "binary")
    check_fit(specs, network.image)
    out = build(specs, name)(torch.randn(2, 3, 64, 64))
    assert out.shape == (2, 10)
    full, same = (each.layers(each.base_widths, "full") for each in (network, made))
    assert [spec.described() for spec in full] == [spec.described() for spec in same]


def test_bases_are_of_abc_only() -> None:
    with pytest.raises(DefinitionError, match=r"got bases \[3, 1\] with binarizer reste"):
        BINARIZERS["reste"].of_bases((3, 1))


def _reading_bits(kind: str) -> Network:
    """A VGG-small in which another step reads what is binarized."""

    def layers(widths: object, precision: object) -> list[LayerSpec]:
        specs = vgg_small().layers(vgg_small().base_widths, "binary")
        place = next(i for i, spec in enumerate(specs) if spec.name == "act2")
        act = specs[place]
        pool = replace(act, name="other", kind=kind, inputs=("act2",))  # type: ignore[arg-type]
        after = replace(specs[place + 1], inputs=("other",))
        return [*specs[: place + 1], pool, after, *specs[place + 2 :]]

    return replace(vgg_small(), layers=layers)


@pytest.mark.parametrize("name", ["abc", "adabin", "xnor_k"])
def test_networks_in_which_other_steps_read_bits_are_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match="has the step other"):
        with_needs_of(_reading_bits("relu"), BINARIZERS[name])
    own = replace(vgg_small(), module=build)
    with pytest.raises(DefinitionError, match="a torch module of its own, which does not know"):
        with_needs_of(own, BINARIZERS[name])


def _renamed(old: str, new: str) -> Network:
    """A VGG-small with another name of a step."""

    def layers(widths: Sequence[Channels], precision: Precision) -> list[LayerSpec]:
        specs = vgg_small().layers(widths, precision)
        names = {spec.name: new if spec.name == old else spec.name for spec in specs}
        return [
            replace(s, name=names[s.name], inputs=tuple(names.get(n, n) for n in s.inputs))
            for s in specs
        ]

    return replace(vgg_small(), layers=layers)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("adabin", "bn4", "conv2_shift0"),
        ("abc", "bn4", "conv2_part0_0"),
        ("abc", "pool2", "conv5_sum12"),
        ("xnor_k", "bn2", "act1_magnitude"),
        ("xnor_k", "bn2", "conv2_scaled"),
        ("adabin", "conv3", "c" * 98),
    ],
)
def test_names_that_leave_no_room_for_added_steps_are_refused(
    name: str, old: str, new: str
) -> None:
    with pytest.raises(DefinitionError, match="names of their own of up to 100 letters; rename it"):
        with_needs_of(_renamed(old, new), BINARIZERS[name])
    with_needs_of(_renamed("bn4", "conv2_shift"), BINARIZERS[name])


def test_the_most_bases_give_a_network_that_can_be_built() -> None:
    """What exports write out of a ResNet-18 whose convs have as many bases as there may be."""
    convs, others = 16 + 3, 32
    layers = convs * (2 * MOST_BASES + 2 * MOST_BASES**2 - 1) + others
    assert layers <= MOST_LAYERS
