"""Binarizers whose gradient stays the same throughout training.

In each description `g` is the incoming gradient and `n` the number of weights of a filter. All are
1-bit at inference: their scales fold into the batch norm after the conv, and cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moo_bnas.networks.binarizers.binarizer import (
    SIGNS,
    SIGNS_PER_CHANNEL,
    ZERO_ONE,
    Binarizer,
    mean_magnitude,
    mean_magnitude_per_channel,
)

if TYPE_CHECKING:
    from torch import Tensor

_FILTER = (1, 2, 3)


def _polynomial(gradient: Tensor, x: Tensor, _progress: Tensor) -> Tensor:
    """`g (2 - 2 |x|)`."""
    return x.abs().mul_(-2).add_(2).mul_(gradient)


def _magnitude_aware(gradient: Tensor, w: Tensor, _progress: Tensor) -> Tensor:
    """`E(|w|) g` where |w| <= 1: the scale of the filter is taken as a constant."""
    magnitude = w.abs()
    scale = magnitude.mean(dim=_FILTER, keepdim=True)
    return gradient.mul(scale).mul_(magnitude <= 1)


def _centred(w: Tensor) -> tuple[Tensor, Tensor]:
    """Weights less their mean over the input channels, and `E(|w|)` per filter, |w| at most 1."""
    latent = _less_mean_over_inputs(w)
    return latent, latent.abs().clamp(max=1).mean(dim=_FILTER)


def _through_scale_and_sign(gradient: Tensor, w: Tensor, _progress: Tensor) -> Tensor:
    """The derivative of `_centred`, with the gradient of the sign where |w| <= 1."""
    latent = _less_mean_over_inputs(w)
    magnitude = latent.abs()
    signs = latent.ge(0).to(w.dtype).mul_(2).sub_(1)
    through_sign = gradient * magnitude.clamp(max=1).mean(dim=_FILTER, keepdim=True)
    through_scale = signs * (signs * gradient).mean(dim=_FILTER, keepdim=True)
    return _less_mean_over_inputs((through_sign + through_scale).mul_(magnitude <= 1))


def _less_mean_over_inputs(w: Tensor) -> Tensor:
    """Keeps the shape; one input channel stays as it is, since nothing would be left of it."""
    return w - w.mean(dim=1, keepdim=True) if w.shape[1] > 1 else w


DOREFA = Binarizer(
    "dorefa", ZERO_ONE, window=(0.0, 1.0), weights=mean_magnitude, has_more_bits=True
)
"""Zhou et al., DoReFa-Net, 2016, as in Eq. 1 of the paper.

Forward: activations `round(clip(x, 0, 1))`, weights `sign(w) E(|w|)` with one scale per layer.
With k bits activations are `round((2^k - 1) clip(x, 0, 1)) / (2^k - 1)`, where halves are rounded
down, and cost k times the operations at inference.
Gradient: `g` where 0 < x < 1; weights `g`.
"""

SIGN = Binarizer("sign", SIGNS, window=(-1.0, 1.0), weights=mean_magnitude)
"""Courbariaux et al., BinaryNet, 2016, with a scale and without clipping of weights.

Forward: activations `sign(x)`, weights `sign(w) E(|w|)` with one scale per layer.
Gradient: `g` where |x| < 1; weights `g`.
"""

BIREAL = Binarizer(
    "bireal",
    SIGNS_PER_CHANNEL,
    window=(-1.0, 1.0),
    weights=mean_magnitude_per_channel,
    activation_gradient=_polynomial,
    weight_gradient=_magnitude_aware,
)
"""Liu et al., Bi-Real Net, ECCV 2018: its binarizer, without its real-valued shortcuts.

Forward: activations `sign(x)`, weights `sign(w) E(|w|)` with one scale per filter.
Gradient: `g (2 - 2 |x|)` where |x| < 1, the derivative of two parabolas (Eq. 7); weights
`E(|w|) g` where |w| <= 1, as in the paper (the authors' PyTorch code has no factor `E(|w|)`).
"""

XNOR = Binarizer(
    "xnor",
    SIGNS_PER_CHANNEL,
    window=(-1.0, 1.0),
    weights=_centred,
    weight_gradient=_through_scale_and_sign,
)
"""Rastegari et al., XNOR-Net, ECCV 2016, without scales of activations, as in the authors' code.

Forward: activations `sign(x)`, weights `sign(c) E(|c|)` with one scale per filter, where `c` is `w`
less its mean over the input channels, clipped to -1..1.
Gradient: `g` where |x| < 1; of `c`, where |c| <= 1, `E(|c|) g + sign(c) E(sign(c) g)`, then less
its mean over the input channels: the derivative of the forward. The authors' code has another,
wrong factor instead of the second term, and multiplies by `n` for SGD, which is a learning rate.
"""
