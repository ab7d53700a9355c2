"""Binarizers: how weights and activations become 1 bit, and what gradient passes.

A `Binarizer` is one small object chosen by name. Its functions are autograd functions of two or
three kernels: written with clamp, round and detach, the activations alone would take a third of a
training step, and the weights would come out with 2 to 6 distinct values instead of 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Binarizer:
    """One way to binarize.

    Attributes:
        name: As in a definition.
        activation: Maps a real tensor to one of two values per element, of the same shape.
        threshold: Activations above it become the greater value.
        half_width: Gradient passes within this distance of the threshold.
    """

    name: str
    activation: Callable[[Tensor], Tensor]
    threshold: float
    half_width: float


class _DoReFaActivation(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.gt(x, 0.5, out=torch.empty_like(x))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, x, 0.0, 1.0)  # type: ignore[no-any-return]


class _SignActivation(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.ge(x, 0.0, out=torch.empty_like(x)).mul_(2).sub_(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, x, -1.0, 1.0)  # type: ignore[no-any-return]


class _ScaledSign(Function):
    @staticmethod
    def forward(ctx: Any, w: Tensor) -> Tensor:
        return sign(w).mul_(scale(w))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def sign(w: Tensor) -> Tensor:
    """-1 or +1, of the shape of `w`; the sign of 0 (and of -0) is +1."""
    return torch.ge(w, 0.0, out=torch.empty_like(w)).mul_(2).sub_(1)


def scale(w: Tensor) -> Tensor:
    """`E(|w|)` of Eq. 1: the one scale of a layer, a scalar."""
    return w.abs().mean()


def binarize_weight(w: Tensor) -> Tensor:
    """`sign(w) * E(|w|)` (Eq. 1; Zhou et al., DoReFa-Net, 2016), with the identity as gradient."""
    return _ScaledSign.apply(w)  # type: ignore[no-any-return]


def dorefa_activation(x: Tensor) -> Tensor:
    """`round(clip(x, 0, 1))` (Eq. 1), in {0, 1}; gradient passes where 0 < x < 1.

    Round half to even sends 0.5 to 0, so this is `x > 0.5`.
    """
    return _DoReFaActivation.apply(x)  # type: ignore[no-any-return]


def sign_activation(x: Tensor) -> Tensor:
    """`sign(x)` in {-1, +1} (Courbariaux et al., BinaryNet, 2016); gradient where |x| < 1."""
    return _SignActivation.apply(x)  # type: ignore[no-any-return]


BINARIZERS = {
    "dorefa": Binarizer("dorefa", dorefa_activation, threshold=0.5, half_width=0.5),
    "sign": Binarizer("sign", sign_activation, threshold=0.0, half_width=1.0),
}
