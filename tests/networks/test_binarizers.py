from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from moo_bnas.networks.binarizers import BINARIZERS, binarize_weight, sign

FLOATS = st.floats(-4, 4, width=32)


@settings(deadline=None)
@given(hnp.arrays("float32", hnp.array_shapes(max_dims=4), elements=FLOATS))
def test_weights_become_two_values_of_mean_magnitude(values: object) -> None:
    w = torch.tensor(values)
    out = binarize_weight(w)
    expected = torch.where(w < 0, -1.0, 1.0) * w.abs().mean()
    assert torch.equal(out, expected)
    assert len(set(out.abs().flatten().tolist())) == 1


def test_the_sign_of_zero_is_plus_one_whatever_its_sign() -> None:
    assert sign(torch.tensor([0.0, -0.0, 1e-45, -1e-45])).tolist() == [1, 1, 1, -1]


def test_the_gradient_of_weights_is_the_identity() -> None:
    w = torch.tensor([-3.0, 0.0, 0.2, 5.0], requires_grad=True)
    upstream = torch.tensor([1.0, -2.0, 3.0, -4.0])
    binarize_weight(w).backward(upstream)  # type: ignore[no-untyped-call]
    assert torch.equal(w.grad, upstream)  # type: ignore[arg-type]


def _dorefa(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.round(torch.clip(x, 0, 1)), ((x > 0) & (x < 1)).float()


def _sign(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(x < 0, -1.0, 1.0), (x.abs() < 1).float()


@pytest.mark.parametrize(("name", "reference"), [("dorefa", _dorefa), ("sign", _sign)])
def test_activations_and_their_gradient(name: str, reference: object) -> None:
    assert callable(reference)
    edges = torch.tensor([-2, -1, -0.5, -0.0, 0.0, 0.25, 0.5, 0.5001, 0.75, 1, 1.5])
    x = torch.cat([edges, torch.linspace(-3, 3, 997)]).requires_grad_()
    out = BINARIZERS[name].activation(x)
    out.sum().backward()  # type: ignore[no-untyped-call]
    value, gradient = reference(x.detach())
    assert torch.equal(out, value)
    assert torch.equal(x.grad, gradient)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BINARIZERS)
def test_channels_last_is_kept(name: str) -> None:
    x = torch.randn(2, 8, 4, 4).to(memory_format=torch.channels_last)
    out = BINARIZERS[name].activation(x)
    assert out.is_contiguous(memory_format=torch.channels_last)
