"""Binarizers whose gradient stays the same throughout training.

In each description `g` is the incoming gradient and `n` the number of weights of a filter. At
inference all are 1-bit: their scales fold into the batch norm after the conv, and cost nothing,
where a description does not say otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from moo_bnas.networks.binarizers.binarizer import (
    FILTER,
    SIGNS,
    SIGNS_PER_CHANNEL,
    ZERO_ONE,
    Binarizer,
    Constant,
    Encoding,
    mean_magnitude,
    mean_magnitude_per_channel,
    polynomial,
    standardised,
)

if TYPE_CHECKING:
    from torch import Tensor


def _magnitude_aware(gradient: Tensor, w: Tensor, _progress: Tensor) -> Tensor:
    """`E(|w|) g` where |w| <= 1: the scale of the filter is taken as a constant."""
    magnitude = w.abs()
    scale = magnitude.mean(dim=FILTER, keepdim=True)
    return gradient.mul(scale).mul_(magnitude <= 1)


def _centred(w: Tensor) -> tuple[Tensor, Tensor]:
    """Weights less their mean over the input channels, and `E(|w|)` per filter, |w| at most 1."""
    latent = _less_mean_over_inputs(w)
    return latent, latent.abs().clamp(max=1).mean(dim=FILTER)


def _through_scale_and_sign(gradient: Tensor, w: Tensor, _progress: Tensor) -> Tensor:
    """The derivative of `_centred`, with the gradient of the sign where |w| <= 1."""
    latent = _less_mean_over_inputs(w)
    magnitude = latent.abs()
    signs = latent.ge(0).to(w.dtype).mul_(2).sub_(1)
    through_sign = gradient * magnitude.clamp(max=1).mean(dim=FILTER, keepdim=True)
    through_scale = signs * (signs * gradient).mean(dim=FILTER, keepdim=True)
    return _less_mean_over_inputs((through_sign + through_scale).mul_(magnitude <= 1))


def _less_mean_over_inputs(w: Tensor) -> Tensor:
    """Keeps the shape; one input channel stays as it is, since nothing would be left of it."""
    return w - w.mean(dim=1, keepdim=True) if w.shape[1] > 1 else w


def _projected(gradient: Tensor, w: Tensor, _progress: Tensor, *, projection: float) -> Tensor:
    """`g` where |w| <= 1, and that of the distance to the two values."""
    magnitude = w.abs()
    values = w.ge(0).to(w.dtype).mul_(2).sub_(1).mul_(magnitude.mean())
    return gradient.mul(magnitude <= 1).add_(w - values, alpha=projection)


_EPS = 1e-5  # of OvSW, added to variances


def _ovsw_weights(w: Tensor) -> tuple[Tensor, Tensor]:
    """The weights, and `E(|v|)` of each standardised filter."""
    return w, standardised(w, _EPS)[0].abs().mean(dim=FILTER)


def _over_deviation(gradient: Tensor, x: Tensor, _progress: Tensor, *, delta: float) -> Tensor:
    """`g (2 - 2 |y|) / s` where |y| < 1, of `y = x / s`."""
    image = tuple(range(1, x.ndim))
    clipped = x.clamp(-1, 1)
    centred = clipped - clipped.mean(dim=image, keepdim=True)
    freedom = max(x[0].numel() - 1, 1)
    # var() takes twice as long
    variance = centred.norm(2, dim=image, keepdim=True).square_().div_(freedom).add_(_EPS)
    slope = clipped.abs_().mul_(-2 / variance).add_(2 / variance.sqrt())
    return slope.clamp_(min=0).mul_(gradient)


def _at_least(gradient: Tensor, w: Tensor, _progress: Tensor, *, delta: float) -> Tensor:
    """`E(|v|) g`, of which that of each filter is at least `delta` times as large as the filter."""
    scale = standardised(w, _EPS)[0].abs().mean(dim=FILTER, keepdim=True)
    inner = gradient * scale
    size = inner.norm(2, dim=FILTER, keepdim=True).clamp_(min=1e-6)
    least = w.norm(2, dim=FILTER, keepdim=True).clamp_(min=1e-3).mul_(delta)
    return inner.mul_(least.div_(size).clamp_(min=1))


def _bases(w: Tensor, count: int = 1) -> tuple[Tensor, Tensor]:
    """Weights less their mean plus -1 to 1 deviations, and the best scales of their signs.

    The sets of weights above the `count` thresholds contain each other, so the sum of the scaled
    signs takes `count + 1` values, one between two neighbouring thresholds, of which only the
    lowest and the highest depend on each other: they are opposite. The least squares are then the
    means of the weights in between, and the scales half the differences of the values.
    """
    centred = w - w.mean()
    latents = centred[None]
    if count > 1:
        spread = w.new_ones(count).cumsum(0).sub_(1).mul_(2 / (count - 1)).sub_(1)
        latents = latents + (spread * centred.square().mean().sqrt()).view(-1, 1, 1, 1, 1)
    above = latents.ge(0).to(w.dtype).flatten(1).flip(0)  # the largest set first
    numbers, sums = above.sum(dim=1), (above * w.flatten()).sum(dim=1)
    values = w.new_zeros(count + 1)
    # of what is above a threshold and not above the next one
    values[1:-1] = (sums[:-1] - sums[1:]) / (numbers[:-1] - numbers[1:]).clamp(min=1)
    below, above_all = w.sum() - sums[0], sums[-1]
    in_both = (w.numel() - numbers[0] + numbers[-1]).clamp(min=1)
    values[-1] = (above_all - below) / in_both
    values[0] = -values[-1]
    scales = (values[1:] - values[:-1]).div_(2).flip(0)
    return (latents, scales) if count > 1 else (centred, scales[0])


def _sum_of_scales(gradient: Tensor, w: Tensor, _progress: Tensor, *, count: int = 1) -> Tensor:
    """`g` times the sum of the scales: each sign passes on what it gets, and scales nothing."""
    return gradient * _bases(w, count)[1].sum()


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
    activation_gradient=polynomial,
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

XNOR_K = replace(XNOR, name="xnor_k", scales_inputs=True)
"""Rastegari et al., XNOR-Net, ECCV 2016, with scales of activations, as in the paper only.

Forward and gradient: as `xnor`; then the sums of a conv are multiplied by `K`, the mean over their
window of the mean of |x| over the channels (section 3.2, Eq. 11), through which gradient passes.
At inference `K` does not fold: the activations are kept as real numbers, and one operation per
input, `kernel^2` per position and one per output are counted, 4.7 % of VGG-small's FLOPs at 1x.
"""

PCNN = Binarizer(
    "pcnn",
    SIGNS,
    window=(-1.0, 1.0),
    weights=mean_magnitude,
    weight_gradient=_projected,
    constants={"projection": Constant(1e-4, 0.0)},
)
"""Gu et al., PCNN, AAAI 2019, with one projection (J = 1), whose matrix is 1 and is not learned.

Forward: activations `sign(x)`, weights `sign(w) E(|w|)` with one scale per layer.
Gradient: `g` where |x| < 1; weights `g` where |w| <= 1, plus `projection (w - sign(w) E(|w|))`, the
gradient of the projection loss (Eq. 3.52 in the book of its authors) without the step of `g` in it:
that is `projection` times a learning rate, so 1e-5 of `g` at most. More projections would
concatenate their outputs, at a multiple of the cost.
"""

OVSW = Binarizer(
    "ovsw",
    SIGNS_PER_CHANNEL,
    window=(-1.0, 1.0),
    weights=_ovsw_weights,
    activation_gradient=_over_deviation,
    weight_gradient=_at_least,
    constants={"delta": Constant(0.04, 0.0)},
)
"""Xiang et al., OvSW, ECCV 2024, without its decay of silent weights.

Forward: activations `sign(x)`, weights `sign(w) s` with one scale per filter, `s = E(|v|)` of the
filter `v` less its mean, divided by its standard deviation.
Gradient: where |x| < 1 (the Hardtanh of the authors' networks), `g (2 - 2 |y|) / d` of `y = x / d`,
where it is positive; `d^2` is the variance of the activations of the image, clipped to -1..1, plus
1e-5. Weights: `s g`, made as large for each filter as `delta` times the filter, if it is smaller
(L2 norms; `delta` is 0.04 for CIFAR-10 in the authors' code, 0.01 for ImageNet). Their decay of
weights whose sign rarely changes needs a state per weight and is left out.
"""

ABC = Binarizer(
    "abc",
    Encoding((-1.0, 1.0), (0.5,), inclusive=True),
    window=(0.0, 1.0),
    weights=_bases,
    weight_gradient=_sum_of_scales,
    learned="shifts",
    has_bases=True,
)
"""Lin et al., ABC-Net, NeurIPS 2017, with M bases of weights and N of activations.

Forward: activations `sum_j beta_j A_j`, `A_j` = +1 where `x + v_j >= 0.5`, else -1, with N shifts
`v_j` and scales `beta_j` per conv, which are learned; shifts start spread over -0.5..0.5, scales
with 1 / N (an assumption). Weights `sum_i alpha_i sign(w - E(w) + u_i s)`, `u_i` from -1 to 1, `s`
the deviation of the layer's weights, and the alphas that are nearest to `w` (least squares over
the layer).
Gradient: `beta_j g` where 0 <= x + v_j <= 1; weights `g sum_i alpha_i` (Eq. 6).
At inference it is M N binary convs for each conv, and M bits per weight, which are counted so;
exports write these convs out, with batch norms for shifts and sums. It does not fold.
"""
