"""Torch layers whose values a binarizer makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor, nn
from torch.nn import functional

from moo_bnas.networks.autograd import (
    binarize_activation,
    binarize_to_levels,
    binarize_weight,
    sign,
)
from moo_bnas.networks.binarizers import Binarizer


class Conv2d(nn.Conv2d):
    """A convolution without bias."""

    def forward(self, x: Tensor) -> Tensor:
        return self._convolve(x, self.weight)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.kernel_size == (1, 1) and self.stride != (1, 1):
            # The same sums, from the pixels that the stride keeps. torch 2.15 corrupts memory on
            # CPUs in the backward pass of a strided 1x1 conv in channels-last format.
            x = x[:, :, :: self.stride[0], :: self.stride[1]]
            return functional.conv2d(x, weight)
        return functional.conv2d(x, weight, None, self.stride, self.padding)


class BinaryConv2d(Conv2d):
    """A convolution with 1-bit weights and their scales, without bias.

    In training it convolves with the scaled signs. In evaluation it convolves with the signs and
    scales the sum: with inputs of few bits that is exact integer arithmetic, then one rounding.
    """

    progress: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        *,
        binarizer: Binarizer,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        self.binarizer = binarizer
        _add_progress(self)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            weight = binarize_weight(self.weight, self.binarizer, self.progress)
            return self._convolve(x, weight)
        latent, scale = self.binarizer.evaluated.weights(self.weight)
        return self._convolve(x, sign(latent)) * scale[..., None, None]


@dataclass(frozen=True)
class Bits:
    """Bits that a conv makes of its input, and the convs that read them.

    The bits are those of `gain x + shift`; the conv is the sum of all `scale conv(bits, signs)`.

    Attributes:
        gain: 1, or 0 for bits that are all 1: what they add depends on the border only.
        shift: What is added to the input.
        convs: Signs, out x in x kernel x kernel, and scale, a scalar or of shape (out,), of each.
    """

    gain: float
    shift: Tensor
    convs: tuple[tuple[Tensor, Tensor], ...]


class CompoundConv2d(BinaryConv2d):
    """A binary conv that learns how its input becomes bits; it reads numbers that are none.

    In training it convolves the sum of the activations' bases with that of the weights' bases. In
    evaluation it is a sum of convs of bits, which are exact integer arithmetic, in the order of
    `parts`: as exports are.
    """

    _LEAST_SCALE = 1e-3  # of learned levels, by which inputs are divided

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        *,
        binarizer: Binarizer,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, binarizer=binarizer
        )
        count = binarizer.bases[1]
        self.shift = nn.Parameter(torch.linspace(-0.5, 0.5, count) if count > 1 else torch.zeros(1))
        self.scale = nn.Parameter(torch.full((count,), 1 / count))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            weight = binarize_weight(self.weight, self.binarizer, self.progress)
            return self._convolve(self._activations(x), weight)
        sums = []
        for part in self.parts():
            bits = self._bits(x * part.gain + part.shift)
            sums += [self._convolve(bits, signs) * s[..., None, None] for signs, s in part.convs]
        return _total(sums)

    def parts(self) -> Iterator[Bits]:
        """The convs of bits that it is the sum of, as it is now."""
        weight = self.weight.detach()
        latent, scale = self.binarizer.weights(weight)
        if latent.ndim == weight.ndim:
            latent, scale = latent[None], scale[None]
        convs = list(zip(sign(latent), scale, strict=True))
        if self.binarizer.offset is not None:
            convs.append((torch.ones_like(weight), self.binarizer.offset(weight)))
        if self.binarizer.learned == "levels":
            step, shift = self._step().detach(), self.shift.detach()
            yield Bits(1.0, shift[0], tuple((signs, scale * step) for signs, scale in convs))
            ones = shift.new_ones(())
            yield Bits(0.0, ones, tuple((signs, scale * -shift) for signs, scale in convs))
            return
        for shift, step in zip(self.shift.detach(), self.scale.detach(), strict=True):
            yield Bits(1.0, shift, tuple((signs, scale * step) for signs, scale in convs))

    def _activations(self, x: Tensor) -> Tensor:
        if self.binarizer.learned == "levels":
            return binarize_to_levels(x, self.shift, self._step(), self.binarizer, self.progress)
        bases = zip(self.shift, self.scale, strict=True)
        return _total([self._bits(x + shift) * scale for shift, scale in bases])

    def _bits(self, x: Tensor) -> Tensor:
        return binarize_activation(x, self.binarizer, self.progress)

    def _step(self) -> Tensor:
        """Half the difference of the two learned levels, of shape (1,)."""
        step: Tensor = self.scale.abs().clamp(min=self._LEAST_SCALE)
        return step


def _total(values: Sequence[Tensor]) -> Tensor:
    """The sum, one after the other: exports add in the same order."""
    return reduce(add, values)


class Activation(nn.Module):
    """Applies a binarizer to activations."""

    progress: Tensor

    def __init__(self, binarizer: Binarizer) -> None:
        super().__init__()
        self.binarizer = binarizer
        _add_progress(self)

    def forward(self, x: Tensor) -> Tensor:
        binarizer = self.binarizer if self.training else self.binarizer.evaluated
        return binarize_activation(x, binarizer, self.progress)


def _add_progress(module: nn.Module) -> None:
    """Gives a module its `progress`, which its state leaves out.

    It is a tensor, not a number: a captured CUDA graph reads the value that it has when it runs.
    """
    module.register_buffer("progress", torch.zeros(()), persistent=False)
