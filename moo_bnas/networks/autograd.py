"""Applies a binarizer to tensors, with its gradient.

Each function is one autograd function of two or three kernels. Written with clamp, round and
detach, the activations alone would take a third of a training step, and the weights would have 2 to
6 distinct values instead of 2.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from moo_bnas.networks.binarizers import Binarizer

hardtanh_backward = torch.ops.aten.hardtanh_backward


def _of_activation(gradient: Tensor, x: Tensor, binarizer: Binarizer, progress: Tensor) -> Tensor:
    """The gradient of activations, given that of their levels."""
    if binarizer.activation_gradient is None:
        inside: Tensor = hardtanh_backward(gradient, x, *binarizer.window)
        return inside
    inner = binarizer.activation_gradient(gradient, x, progress, **binarizer.values)
    # In place: on a CPU, memory for large activations costs more than the arithmetic.
    hardtanh_backward(inner, x, *binarizer.window, grad_input=inner)
    return inner


class _Activation(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, binarizer: Binarizer, progress: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        ctx.binarizer, ctx.progress = binarizer, progress
        encoding = binarizer.encoding
        passes = torch.ge if encoding.inclusive else torch.gt
        # Comparing straight into a float tensor saves the kernel that would convert booleans.
        passed = passes(x, encoding.thresholds[0], out=torch.empty_like(x))
        for threshold in encoding.thresholds[1:]:
            passed += passes(x, threshold)
        if encoding.step != 1:
            passed.mul_(encoding.step)
        if encoding.levels[0] != 0:
            passed.add_(encoding.levels[0])
        return passed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return _of_activation(gradient, x, ctx.binarizer, ctx.progress), None, None


class _Levels(Function):
    """`step sign((x + shift) / step) - shift`, and the gradient of all three."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shift: Tensor, step: Tensor, binarizer: Binarizer, progress: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, shift, step)
        ctx.binarizer, ctx.progress = binarizer, progress
        # As evaluation compares: x >= -shift may differ in the last bit.
        return sign(x + shift).mul_(step).sub_(shift)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, shift, step = ctx.saved_tensors
        z = x + shift
        signs = sign(z)
        z.div_(step)
        inner = _of_activation(gradient, z, ctx.binarizer, ctx.progress)
        of_step = signs.mul_(gradient).addcmul_(inner, z, value=-1).sum().view(1)
        of_shift = (inner.sum() - gradient.sum()).view(1)
        return inner, of_shift, of_step, None, None


class _Weight(Function):
    @staticmethod
    def forward(ctx: Any, w: Tensor, binarizer: Binarizer, progress: Tensor) -> Tensor:
        ctx.save_for_backward(w)
        ctx.binarizer, ctx.progress = binarizer, progress
        latent, scale = binarizer.weights(w)
        if latent.ndim > w.ndim:
            return sign(latent).mul_(scale.view(-1, 1, 1, 1, 1)).sum(dim=0)
        values = sign(latent).mul_(scale.view(-1, 1, 1, 1))
        if binarizer.offset is not None:
            values.add_(binarizer.offset(w).view(-1, 1, 1, 1))
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (w,) = ctx.saved_tensors
        binarizer: Binarizer = ctx.binarizer
        if binarizer.weight_gradient is not None:
            gradient = binarizer.weight_gradient(gradient, w, ctx.progress, **binarizer.values)
        return gradient, None, None


def sign(w: Tensor) -> Tensor:
    """-1 or +1, in the shape of `w`; the sign of 0 (and of -0) is +1."""
    return torch.ge(w, 0.0, out=torch.empty_like(w)).mul_(2).sub_(1)


def binarize_activation(x: Tensor, binarizer: Binarizer, progress: Tensor) -> Tensor:
    """The levels of the activations `x`, in the shape of `x`.

    Args:
        x: Activations of any shape.
        binarizer: Binarizer to apply.
        progress: Share of training that is done, a scalar on the device of `x`.
    """
    return _Activation.apply(x, binarizer, progress)  # type: ignore[no-any-return]


def binarize_to_levels(
    x: Tensor, shift: Tensor, step: Tensor, binarizer: Binarizer, progress: Tensor
) -> Tensor:
    """Activations with levels that are learned: `-shift` plus and minus `step`.

    Args:
        x: Activations of any shape.
        shift: Of shape (1,).
        step: Of shape (1,), positive.
        binarizer: Binarizer whose gradient is that of `(x + shift) / step`.
        progress: Share of training that is done, a scalar on the device of `x`.
    """
    return _Levels.apply(x, shift, step, binarizer, progress)  # type: ignore[no-any-return]


def binarize_weight(w: Tensor, binarizer: Binarizer, progress: Tensor) -> Tensor:
    """The scaled signs of the weights `w`, their sum where there are several, in the shape of `w`.

    Args:
        w: Weights of a conv, out x in x kernel x kernel.
        binarizer: Binarizer to apply.
        progress: Share of training that is done, a scalar on the device of `w`.
    """
    return _Weight.apply(w, binarizer, progress)  # type: ignore[no-any-return]
