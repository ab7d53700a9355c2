"""Values and gradients of each shipped binarizer, against its equations written with autograd."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import hardtanh

from moo_bnas.data import Digits
from moo_bnas.errors import DefinitionError
from moo_bnas.networks import make_network
from moo_bnas.networks.autograd import binarize_activation, binarize_weight
from moo_bnas.networks.binarizers import BINARIZERS
from moo_bnas.networks.binary_layers import Activation
from moo_bnas.networks.module import build
from tests.binarizers import SHIPPED

FILTER = (1, 2, 3)
SHARES = (0.0, 0.3, 0.99)


class _Sign(Function):
    """The sign, with a given slope as its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return torch.where(x < 0, -1.0, 1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient * ctx.slope(*ctx.saved_tensors), None


def _sign(x: Tensor, slope: Callable[[Tensor], Tensor]) -> Tensor:
    signs: Tensor = _Sign.apply(x, slope)
    return signs


def _within(limit: float) -> Callable[[Tensor], Tensor]:
    return lambda x: (x.abs() < limit).to(x.dtype)


def _parabola(x: Tensor) -> Tensor:
    return (2 - 2 * x.abs()).clip(min=0)


def _bump(t: float) -> Callable[[Tensor], Tensor]:
    return lambda x: max(1 / t, 1) * t * (1 - torch.tanh(t * x) ** 2)


def _root(p: float) -> Callable[[Tensor], Tensor]:
    o = 1 + (1 - math.cos(math.pi * p / 2)) * 2

    def slope(x: Tensor) -> Tensor:
        size = x.abs()
        rooted = size ** ((1 - o) / o) / o
        return torch.where(size <= 0.1, 0.1 ** (1 / o) / 0.1, rooted) * (size < 1.5)

    return slope


def _mean(w: Tensor) -> Tensor:
    return w.abs().mean(FILTER, keepdim=True)


def _irnet_weights(w: Tensor, p: float) -> Tensor:
    v = (w - w.mean(FILTER, keepdim=True)) / w.std(FILTER, keepdim=True)
    return 2 ** torch.round(torch.log2(_mean(v))).detach() * _sign(v, _bump(10 ** (-1 + 2 * p)))


def _recu_activations(x: Tensor, _p: float) -> Tensor:
    y = hardtanh(x)
    return _sign(y / torch.sqrt(y.var(FILTER, keepdim=True) + 1e-5), _parabola)


def _recu_weights(w: Tensor, p: float) -> Tensor:
    centred = w - w.mean(FILTER, keepdim=True)
    v = centred / torch.sqrt(w.var(FILTER, keepdim=True) + 1e-5) * 2 * math.sqrt(2)
    a = (0.99 - 0.85) / (math.e - 1)
    tau = a * math.exp(p) + 0.85 - a
    q = (-v.abs().mean() * math.log(2 - 2 * tau)).item()
    return _sign(v.clamp(-q, q), torch.ones_like)


def _xnor_weights(w: Tensor, _p: float) -> Tensor:
    c = (w - w.mean(1, keepdim=True)).clamp(-1, 1)
    return _sign(c, torch.ones_like) * _mean(c)


class _Weight(Function):
    """The weights, with a given function of them and of their gradient as the gradient."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, gradient: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(w)
        ctx.gradient = gradient
        return w.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return ctx.gradient(gradient, *ctx.saved_tensors), None


def _pcnn_weights(w: Tensor, _p: float) -> Tensor:
    a = w.abs().mean().detach()

    def of_both_losses(g: Tensor, w: Tensor) -> Tensor:
        leaf = w.detach().requires_grad_()
        with torch.enable_grad():
            distance = (torch.where(w < 0, -a, a) - leaf).square().sum()
            (near,) = torch.autograd.grad(1e-4 / 2 * distance, leaf)
        return g + near

    w = _Weight.apply(w, of_both_losses)
    return a * _sign(w, lambda w: _within(1)(w) / a)


def _ovsw_activations(x: Tensor, _p: float) -> Tensor:
    y = hardtanh(x)
    return _sign(y / torch.sqrt(y.var(FILTER, keepdim=True) + 1e-5).detach(), _parabola)


def _ovsw_weights(w: Tensor, _p: float) -> Tensor:
    v = (w - w.mean(FILTER, keepdim=True)) / torch.sqrt(w.var(FILTER, keepdim=True) + 1e-5)

    def at_least(g: Tensor, w: Tensor) -> Tensor:
        size, least = g.flatten(1).norm(dim=1), 0.04 * w.flatten(1).norm(dim=1)
        return g * torch.where(size < least, least / size, 1.0)[:, None, None, None]

    return _mean(v).detach() * _sign(_Weight.apply(w, at_least), torch.ones_like)


def _adabin_weights(w: Tensor, p: float) -> Tensor:
    m = w.mean(FILTER, keepdim=True)
    s = torch.sqrt((w - m).square().mean(FILTER, keepdim=True))
    return s * _sign((w - m) / s, _bump(10 ** (-3 + 4 * p))) + m


def _abc_weights(w: Tensor, _p: float) -> Tensor:
    """With one base; more are below."""
    sign = torch.where(w.detach() < w.detach().mean(), -1.0, 1.0)
    alpha = (w.detach() * sign).mean()
    return alpha * _sign(w - w.detach().mean(), torch.ones_like)


@dataclass(frozen=True)
class Method:
    """The equations of a binarizer: of activations and of weights, at a share of training."""

    activations: Callable[[Tensor, float], Tensor]
    weights: Callable[[Tensor, float], Tensor]


METHODS = {
    "bireal": Method(
        lambda x, _p: _sign(x, _parabola), lambda w, _p: _mean(w).detach() * _sign(w, _within(1))
    ),
    "xnor": Method(lambda x, _p: _sign(x, _within(1)), _xnor_weights),
    "xnor_k": Method(lambda x, _p: _sign(x, _within(1)), _xnor_weights),
    "adabin": Method(lambda x, _p: _sign(x, _parabola), _adabin_weights),
    "abc": Method(lambda x, _p: _sign(x - 0.5, _within(0.5)), _abc_weights),
    "irnet": Method(lambda x, p: _sign(hardtanh(x), _bump(10 ** (-1 + 2 * p))), _irnet_weights),
    "reste": Method(
        lambda x, p: _sign(x, _root(p)), lambda w, p: w.abs().mean() * _sign(w, _root(p))
    ),
    "recu": Method(_recu_activations, _recu_weights),
    "pcnn": Method(lambda x, _p: _sign(x, _within(1)), _pcnn_weights),
    "ovsw": Method(_ovsw_activations, _ovsw_weights),
}

each_method = pytest.mark.parametrize("name", METHODS)


def test_every_binarizer_has_its_equations_here() -> None:
    assert set(METHODS) == set(SHIPPED) - {"dorefa", "sign"}  # those have tests of their own


def _weights() -> Tensor:
    """Some beyond 1 and some close to 0, with a mean; no two filters of one size."""
    random = torch.Generator().manual_seed(0)
    sizes = torch.tensor([0.02, 0.3, 0.6, 1.2], dtype=torch.float64)[:, None, None, None]
    w = torch.randn(4, 5, 3, 3, generator=random, dtype=torch.float64)
    return sizes * (w + 0.2)


def _activations() -> Tensor:
    """Two images with a grid of values on both sides of all limits, one wider than the other."""
    grid = torch.linspace(-2.003, 2.005, 400, dtype=torch.float64).view(1, 4, 10, 10)
    return torch.cat([grid, grid.flip(2) / 3])


@each_method
@pytest.mark.parametrize("share", SHARES)
def test_activations_and_their_gradient_are_those_of_the_paper(name: str, share: float) -> None:
    x, reference = (_activations().requires_grad_() for _ in range(2))
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    out = binarize_activation(x, BINARIZERS[name], torch.tensor(share, dtype=x.dtype))
    expected = METHODS[name].activations(reference, share)
    assert torch.equal(out, expected)
    out.backward(upstream)  # type: ignore[no-untyped-call]
    expected.backward(upstream)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(x.grad, reference.grad)


@each_method
@pytest.mark.parametrize("share", SHARES)
def test_weights_and_their_gradient_are_those_of_the_paper(name: str, share: float) -> None:
    w, reference = (_weights().requires_grad_() for _ in range(2))
    upstream = torch.randn(w.shape, generator=torch.Generator().manual_seed(1), dtype=w.dtype)
    out = binarize_weight(w, BINARIZERS[name], torch.tensor(share, dtype=w.dtype))
    expected = METHODS[name].weights(reference, share)
    torch.testing.assert_close(out, expected)
    out.backward(upstream)  # type: ignore[no-untyped-call]
    expected.backward(upstream)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(w.grad, reference.grad)


def test_ovsw_raises_small_gradients_of_weights_and_no_others() -> None:
    """A filter of norm 5 asks for 0.04 * 5 = 0.2; its standardised weights are 1 on average."""
    w = torch.tensor([[3.0, -4.0], [3.0, -4.0]]).view(2, 2, 1, 1).requires_grad_()
    out = binarize_weight(w, BINARIZERS["ovsw"], torch.zeros(()))
    out.backward(torch.tensor([[3.0, 4.0], [0.03, 0.04]]).view(2, 2, 1, 1))  # type: ignore[no-untyped-call]
    assert w.grad is not None
    scale = 0.5**0.5  # 3.5 / sqrt(24.5)
    expected = [[3 * scale, 4 * scale], [0.12, 0.16]]
    torch.testing.assert_close(w.grad.view(2, 2), torch.tensor(expected))


@each_method
def test_values_are_two_per_filter(name: str) -> None:
    w = _weights().float()
    _, scales = BINARIZERS[name].weights(w)
    offset = BINARIZERS[name].offset
    offsets = torch.zeros(len(w)) if offset is None else offset(w)
    out = binarize_weight(w, BINARIZERS[name], torch.zeros(()))
    for values, scale, middle in zip(out, scales.expand(len(w)), offsets, strict=True):
        assert set(values.flatten().tolist()) == {(middle - scale).item(), (middle + scale).item()}


def _slope(name: str, x: float, share: float) -> float:
    at = torch.tensor([x], requires_grad=True)
    binarize_activation(at, BINARIZERS[name], torch.tensor(share)).backward()  # type: ignore[no-untyped-call]
    assert at.grad is not None
    return at.grad.item()


@pytest.mark.parametrize(
    ("name", "share", "x", "slope"),
    [
        ("bireal", 0.0, 0.25, 1.5),
        ("bireal", 1.0, 0.25, 1.5),
        ("irnet", 0.0, 0.0, 1.0),  # t = 0.1, k = 10
        ("irnet", 0.0, 0.9, 1 - math.tanh(0.09) ** 2),
        ("irnet", 1.0, 0.0, 10.0),  # t = 10, k = 1
        ("irnet", 1.0, 0.1, 10 * (1 - math.tanh(1) ** 2)),
        ("reste", 0.0, 0.05, 1.0),  # o = 1: straight through
        ("reste", 0.0, 1.499, 1.0),
        ("reste", 0.0, 1.501, 0.0),
        ("reste", 1.0, 0.05, 4.6416),  # o = 3: 0.1^(1/3) / 0.1
        ("reste", 1.0, 1.0, 1 / 3),
        ("reste", 1.0, 1.499, 0.2545),
    ],
)
def test_the_ends_of_each_schedule(name: str, share: float, x: float, slope: float) -> None:
    assert _slope(name, x, share) == pytest.approx(slope, rel=2e-4)


@pytest.mark.parametrize(("share", "limit"), [(0.0, -math.log(0.3)), (1.0, -math.log(0.02))])
def test_recu_stops_the_gradient_of_weights_beyond_a_quantile(share: float, limit: float) -> None:
    """Of Laplace's quantiles, 0.85 at first and 0.99 in the end."""
    w = torch.linspace(-1, 1, 1001, dtype=torch.float64)
    w = -w.sign() * torch.log1p(-w.abs() * 0.999)  # about the quantiles of a Laplace distribution
    inside = w.abs() < limit * w.abs().mean()
    w = w.view(1, -1, 1, 1).requires_grad_()
    for place in (int(inside.nonzero().max()), int(inside.nonzero().max()) + 1):
        out = binarize_weight(w, BINARIZERS["recu"], torch.tensor(share, dtype=w.dtype))
        (gradient,) = torch.autograd.grad(out[0, place, 0, 0], w)
        assert bool(gradient.any()) == bool(inside[place])


@each_method
def test_gradients_of_bf16_are_finite_and_close(name: str) -> None:
    x = _activations().float()
    exact, rounded = x.clone().requires_grad_(), x.bfloat16().requires_grad_()
    for one in (exact, rounded):
        binarize_activation(one, BINARIZERS[name], torch.tensor(0.5)).float().sum().backward()  # type: ignore[no-untyped-call]
    assert rounded.grad is not None
    assert rounded.grad.dtype == torch.bfloat16
    assert exact.grad is not None
    off = (rounded.grad.float() - exact.grad).abs() > 0.1
    assert off.float().mean() < 0.02  # at the limits rounding decides


@each_method
@pytest.mark.parametrize("shape", [(3, 1, 1, 1), (3, 1, 3, 3), (1, 4, 1, 1)])
def test_the_smallest_layers_and_equal_weights_stay_finite(
    name: str, shape: tuple[int, ...]
) -> None:
    """Widths may be 1, and a filter of a 1x1 conv may have one weight only."""
    for w in (torch.randn(shape), torch.full(shape, 0.5)):
        out = binarize_weight(w.requires_grad_(), BINARIZERS[name], torch.tensor(0.5))
        out.sum().backward()  # type: ignore[no-untyped-call]
        assert out.isfinite().all()
        assert w.grad is not None
        assert w.grad.isfinite().all()


def test_constants_change_gradients_only() -> None:
    reste = BINARIZERS["reste"].having({"power": 2})
    assert reste.values == {"power": 2.0, "floor": 0.1}
    assert BINARIZERS["reste"].values == {"power": 3.0, "floor": 0.1}
    x = torch.tensor([1.0], requires_grad=True)
    out = binarize_activation(x, reste, torch.tensor(1.0))
    out.backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(1 / 2)
    assert out.item() == 1


@pytest.mark.parametrize(
    ("name", "constants", "message"),
    [
        ("dorefa", {"power": 2.0}, "got the constant 'power' of binarizer dorefa, expected none"),
        ("reste", {"t": 2.0}, "got the constant 't' of binarizer reste, expected power or floor"),
        ("reste", {"power": 0.5}, "got power = 0.5 of binarizer reste, expected at least 1;"),
        ("reste", {"power": math.nan}, "got power = nan of binarizer reste, expected at least 1;"),
        (
            "recu",
            {"tau_end": 1.0},
            "got tau_end = 1 of binarizer recu, expected at least 0.5 and below 1;",
        ),
    ],
)
def test_constants_that_make_no_sense_are_refused(
    name: str, constants: dict[str, float], message: str
) -> None:
    with pytest.raises(DefinitionError, match=message):
        BINARIZERS[name].having(constants)


@each_method
def test_at_the_start_30_to_70_percent_of_activations_pass_gradient(name: str) -> None:
    torch.manual_seed(0)
    network = make_network("vgg_small", Digits().shape, base_width=16)
    module = build(network.layers(network.base_widths, "binary"), name).train()
    split = Digits().load(Path(), 0, "search").train
    images = torch.from_numpy(split.images[split.rows[:256]]).float()
    shares = []

    def look(_module: torch.nn.Module, inputs: tuple[Tensor, ...], _out: Tensor) -> None:
        x = inputs[0].detach().requires_grad_()
        with torch.enable_grad():
            out = binarize_activation(x, BINARIZERS[name], torch.zeros(()))
            (gradient,) = torch.autograd.grad(out.sum(), x)
        shares.append((gradient != 0).float().mean().item())

    for layer in module.modules():
        if isinstance(layer, Activation | torch.nn.Identity):  # the latter where convs learn
            layer.register_forward_hook(look)
    module((images - images.mean()) / images.std())
    assert len(shares) == 5
    assert all(0.3 <= share <= 0.7 for share in shares), shares
