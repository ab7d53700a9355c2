from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from moo_bnas.errors import DefinitionError
from moo_bnas.networks.autograd import binarize_activation, binarize_weight, sign
from moo_bnas.networks.binarizers import BINARIZERS, Binarizer, Encoding, check_binarizer
from moo_bnas.networks.binary_layers import Activation, BinaryConv2d
from tests.binarizers import ONE_BIT, QUARTERS, SHIPPED

FLOATS = st.floats(-4, 4, width=32)
START = torch.zeros(())


@pytest.mark.parametrize("name", ["dorefa", "sign"])
@settings(deadline=None)
@given(hnp.arrays("float32", hnp.array_shapes(min_dims=4, max_dims=4), elements=FLOATS))
def test_weights_become_two_values_of_mean_magnitude(name: str, values: object) -> None:
    w = torch.tensor(values)
    out = binarize_weight(w, BINARIZERS[name], START)
    expected = torch.where(w < 0, -1.0, 1.0) * w.abs().mean()
    assert torch.equal(out, expected)
    assert len(set(out.abs().flatten().tolist())) == 1


def test_the_sign_of_zero_is_plus_one_whatever_its_sign() -> None:
    assert sign(torch.tensor([0.0, -0.0, 1e-45, -1e-45])).tolist() == [1, 1, 1, -1]


@pytest.mark.parametrize("name", ["dorefa", "sign"])
def test_the_gradient_of_weights_is_the_identity(name: str) -> None:
    w = torch.tensor([-3.0, 0.0, 0.2, 5.0]).reshape(4, 1, 1, 1).requires_grad_()
    upstream = torch.tensor([1.0, -2.0, 3.0, -4.0]).reshape(4, 1, 1, 1)
    binarize_weight(w, BINARIZERS[name], START).backward(upstream)  # type: ignore[no-untyped-call]
    assert torch.equal(w.grad, upstream)  # type: ignore[arg-type]


def _dorefa(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.round(torch.clip(x, 0, 1)), ((x > 0) & (x < 1)).float()


def _sign(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(x < 0, -1.0, 1.0), (x.abs() < 1).float()


def _per_channel(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(x < 0.25, -1.0, 1.0), ((x > -0.75) & (x < 1.25)).float()


def _uneven(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(x > 0.5, 1.5, -0.5), ((x > -0.5) & (x < 1.5)).float()


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("dorefa", _dorefa),
        ("sign", _sign),
        ("per_channel", _per_channel),
        ("uneven", _uneven),
    ],
)
def test_activations_and_their_gradient(name: str, reference: object) -> None:
    assert callable(reference)
    edges = torch.tensor(
        [-2, -1, -0.75, -0.5, -0.0, 0.0, 0.125, 0.25, 0.375, 0.5, 0.5001, 0.75, 1, 1.25, 1.5]
    )
    x = torch.cat([edges, torch.linspace(-3, 3, 997)]).requires_grad_()
    out = binarize_activation(x, BINARIZERS[name], START)
    out.sum().backward()  # type: ignore[no-untyped-call]
    value, gradient = reference(x.detach())
    assert torch.equal(out, value)
    assert torch.equal(x.grad, gradient)  # type: ignore[arg-type]


@pytest.mark.parametrize("binarizer", [*ONE_BIT.values(), QUARTERS.of_bits(2)])
def test_channels_last_is_kept(binarizer: Binarizer) -> None:
    x = torch.randn(2, 8, 4, 4).to(memory_format=torch.channels_last)
    out = binarize_activation(x, binarizer, START)
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ONE_BIT)
def test_scales_are_shaped_as_the_encoding_says(name: str) -> None:
    w = torch.randn(5, 2, 3, 3)
    latent, scales = BINARIZERS[name].weights(w)
    assert latent.shape == w.shape
    assert scales.shape == ((5,) if BINARIZERS[name].encoding.scales == "channel" else ())


@pytest.mark.parametrize(
    ("levels", "thresholds"),
    [
        ((0.0,), ()),
        ((0.0, 0.5, 1.0), (0.25, 0.75)),  # 3 levels fill no bits
        ((1.0, 0.0), (0.5,)),
        ((0.0, 1.0), (0.25, 0.5)),
        ((0.0, 1.0, 2.0, 4.0), (0.5, 1.5, 3.0)),
        ((0.0, 1.0, 2.0, 3.0), (0.5, 2.5, 1.5)),
    ],
)
def test_levels_that_make_no_encoding_are_refused(
    levels: tuple[float, ...], thresholds: tuple[float, ...]
) -> None:
    message = f"got levels {list(levels)} with thresholds {list(thresholds)}, expected 2, 4, 8"
    with pytest.raises(ValueError, match=re.escape(message)):
        Encoding(levels, thresholds, inclusive=False)


def test_bits_per_activation() -> None:
    assert {b.encoding.bits for b in ONE_BIT.values()} == {1}
    assert all(b.of_bits(1) is b and b.evaluated is b for b in ONE_BIT.values())
    two = QUARTERS.of_bits(2).encoding
    assert (two.bits, two.step) == (2, 0.25)
    assert two.levels == (0.0, 0.25, 0.5, 0.75)
    assert two.thresholds == (0.125, 0.375, 0.625)
    assert QUARTERS.of_bits(2).evaluated.encoding.levels == (0.0, 1.0, 2.0, 3.0)


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "dorefa"])
def test_binarizers_of_one_bit_refuse_more(name: str) -> None:
    with pytest.raises(DefinitionError, match=f"activation_bits 2 with binarizer {name}, which"):
        BINARIZERS[name].of_bits(2)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_activations_of_more_bits_and_their_gradient(bits: int) -> None:
    # Zhou et al. 2016, Eq. 5, with halves rounded down as with 1 bit; gradient where 0 < x < 1.
    last = 2**bits - 1
    halves = (torch.arange(last) + 0.5) / last
    x = torch.cat([halves, torch.linspace(-1, 2, 997), torch.tensor([0.0, 1.0])]).requires_grad_()
    out = binarize_activation(x, BINARIZERS["dorefa"].of_bits(bits), START)
    upstream = torch.linspace(-2, 2, len(x))
    out.backward(upstream)  # type: ignore[no-untyped-call]
    expected = torch.ceil(torch.clip(x.detach().double(), 0, 1) * last - 0.5).clip(0) / last
    expected[:last] = torch.arange(last) / last
    torch.testing.assert_close(out.double(), expected, rtol=0, atol=1e-7)
    assert len(set(out.tolist())) == 2**bits
    inside = (x.detach() > 0) & (x.detach() < 1)
    assert torch.equal(x.grad, upstream * inside)  # type: ignore[arg-type]


def test_what_is_evaluated_is_what_was_trained() -> None:
    torch.manual_seed(0)
    trained = BINARIZERS["dorefa"].of_bits(2)
    w, x = torch.randn(5, 3, 3, 3), torch.rand(2, 3, 6, 6)
    conv = BinaryConv2d(3, 5, 3, binarizer=trained)
    conv.weight.data.copy_(w)
    act = Activation(trained)
    in_training = conv.train()(act.train()(x))
    counts = act.eval()(x)
    assert set(counts.unique().tolist()) == {0.0, 1.0, 2.0, 3.0}
    torch.testing.assert_close(conv.eval()(counts), in_training, rtol=1e-5, atol=1e-5)


def test_a_name_is_one_of_those_there_are() -> None:
    assert check_binarizer("sign") == "sign"
    with pytest.raises(DefinitionError, match="got binarizer 'none', expected one of dorefa, sign"):
        check_binarizer("none")


def test_names_and_encodings_are_known_without_torch() -> None:
    code = "import sys, moo_bnas.networks.binarizers, moo_bnas.definition; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.split()
