"""Binarizers whose gradient changes as training progresses.

In each description `g` is the incoming gradient and `p` the share of training that is done. At
inference all are 1-bit: their scales fold into the batch norm after the conv, and cost nothing,
where a description does not say otherwise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from moo_bnas.networks.binarizers.binarizer import (
    FILTER,
    SIGNS,
    SIGNS_PER_CHANNEL,
    Binarizer,
    Constant,
    mean_magnitude,
    polynomial,
    standardised,
)

if TYPE_CHECKING:
    from torch import Tensor

_EPS = 1e-5  # of ReCU, added to variances


# IR-Net


def _irnet_weights(w: Tensor) -> tuple[Tensor, Tensor]:
    """Standardised filters, and the power of 2 that is nearest to `E(|v|)` of each."""
    latent, _ = standardised(w)
    return latent, 2 ** latent.abs().mean(dim=FILTER).log2().round()


def _irnet_activation_gradient(
    gradient: Tensor, x: Tensor, progress: Tensor, *, t_start: float, t_end: float
) -> Tensor:
    """`g k t (1 - tanh(t x)^2)`."""
    t = t_start * (t_end / t_start) ** progress
    # 1 - tanh(z)^2 is 4 s (1 - s) with s = sigmoid(2 z), which torch computes 10 times faster.
    s = x.mul(2 * t).sigmoid_()
    return s.addcmul_(s, s, value=-1).mul_(4 * t.clamp(min=1)).mul_(gradient)  # k t = max(1, t)


def _irnet_weight_gradient(
    gradient: Tensor, w: Tensor, progress: Tensor, *, t_start: float, t_end: float
) -> Tensor:
    """The same of the standardised filters times their scale, then through the standardisation."""
    latent, deviation = standardised(w)
    scale = 2 ** latent.abs().mean(dim=FILTER, keepdim=True).log2().round()
    inner = _irnet_activation_gradient(gradient, latent, progress, t_start=t_start, t_end=t_end)
    return _through_standardisation(inner.mul_(scale), latent, deviation)


IRNET = Binarizer(
    "irnet",
    SIGNS_PER_CHANNEL,
    window=(-1.0, 1.0),
    weights=_irnet_weights,
    activation_gradient=_irnet_activation_gradient,
    weight_gradient=_irnet_weight_gradient,
    constants={"t_start": Constant(0.1, 1e-3), "t_end": Constant(10.0, 1e-3)},
)
"""Qin et al., IR-Net, CVPR 2020.

Forward: activations `sign(x)`, weights `sign(v) s`, where `v` is the filter less its mean, divided
by its standard deviation, and `s` the power of 2 that is nearest to `E(|v|)`, one per filter.
Gradient: `g k t (1 - tanh(t x)^2)` where |x| < 1, with `t = t_start (t_end / t_start)^p` and `k =
max(1/t, 1)`: first nearly the identity, in the end a narrow bump. The limit |x| < 1 is the Hardtanh
before each binarizer in the authors' networks. Weights: the same of `v`, without limit, times `s`
(a constant), then through the standardisation.
"""


# ReSTE


def _reste_activation_gradient(
    gradient: Tensor, x: Tensor, progress: Tensor, *, power: float, floor: float
) -> Tensor:
    """`g |x|^(1/o - 1) / o`, and below the floor `g` times the slope of a line to the floor."""
    o = 1 + (1 - (progress * (math.pi / 2)).cos()) * (power - 1)
    magnitude = x.abs()
    # 1 / o above the floor and 1 below: arithmetic is faster than a mask, and exp2 than pow.
    share = magnitude.sub(floor).sign_().mul_((1 - o) / (2 * o)).add_((1 + o) / (2 * o))
    slope = magnitude.clamp_(min=floor).log2_().mul_(1 / o - 1).exp2_()
    return slope.mul_(share).mul_(gradient)


def _reste_weight_gradient(
    gradient: Tensor, w: Tensor, progress: Tensor, *, power: float, floor: float
) -> Tensor:
    """The derivative of `sign(w) E(|w|)`, where that of the sign is as of activations."""
    magnitude = w.abs()
    signs = w.ge(0).to(w.dtype).mul_(2).sub_(1)
    inner = _reste_activation_gradient(gradient, w, progress, power=power, floor=floor)
    inner.mul_(magnitude.mean()).mul_(magnitude < _RESTE_WINDOW[1])
    return inner.add_(signs * (signs * gradient).mean())


_RESTE_WINDOW = (-1.5, 1.5)

RESTE = Binarizer(
    "reste",
    SIGNS,
    window=_RESTE_WINDOW,
    weights=mean_magnitude,
    activation_gradient=_reste_activation_gradient,
    weight_gradient=_reste_weight_gradient,
    constants={"power": Constant(3.0, 1.0), "floor": Constant(0.1, 1e-3, 1.5)},
)
"""Wu et al., ReSTE, ICCV 2023.

Forward: activations `sign(x)`, weights `sign(w) E(|w|)` with one scale per layer.
Gradient: where |x| < 1.5, `g |x|^(1/o - 1) / o`, the derivative of `sign(x) |x|^(1/o)`, or where
|x| <= floor `g floor^(1/o - 1)`, with `o = 1 + (power - 1) (1 - cos(pi p / 2))`, from 1, where it
is the identity, to `power`. Weights: the same times `E(|w|)`, plus `sign(w) E(sign(w) g)` through
the scale.
"""


# ReCU


def _recu_weights(w: Tensor) -> tuple[Tensor, Tensor]:
    """Standardised filters, and a scale of 1; clamping their tails changes no sign."""
    return standardised(w, _EPS)[0], w.new_ones(())


def _recu_activation_gradient(
    gradient: Tensor, x: Tensor, progress: Tensor, *, tau_start: float, tau_end: float
) -> Tensor:
    """`g (2 - 2 |y|)` where |y| < 1, through `y`, clipped `x` over the deviation of its image."""
    image = tuple(range(1, x.ndim))
    clipped = x.clamp(-1, 1)
    slope = clipped.abs()
    centred = clipped - clipped.mean(dim=image, keepdim=True)
    freedom = max(x[0].numel() - 1, 1)
    variance = centred.norm(2, dim=image, keepdim=True).square_().div_(freedom).add_(_EPS)
    # (2 - 2 |y|) / s, where it is positive
    slope.mul_(-2 / variance).add_(2 / variance.sqrt()).clamp_(min=0).mul_(gradient)
    through_deviation = clipped.mul_(slope).sum(dim=image, keepdim=True).div_(variance * freedom)
    return slope.addcmul_(centred, through_deviation, value=-1)


def _recu_weight_gradient(
    gradient: Tensor, w: Tensor, progress: Tensor, *, tau_start: float, tau_end: float
) -> Tensor:
    """`g` inside of the quantiles, then through the standardisation."""
    latent, deviation = standardised(w, _EPS)
    spread = math.sqrt(8) * latent.abs().mean()  # b of the Laplace distribution
    growth = (progress.exp() - 1) / (math.e - 1)
    tau = tau_start + (tau_end - tau_start) * growth
    quantile = spread * (2 - 2 * tau).log().neg()
    inner = gradient.mul(math.sqrt(8)).mul_(latent.abs() * math.sqrt(8) <= quantile)
    return _through_standardisation(inner, latent, deviation)


RECU = Binarizer(
    "recu",
    SIGNS,
    window=(-1.0, 1.0),
    weights=_recu_weights,
    activation_gradient=_recu_activation_gradient,
    weight_gradient=_recu_weight_gradient,
    constants={"tau_start": Constant(0.85, 0.5, 1.0), "tau_end": Constant(0.99, 0.5, 1.0)},
)
"""Xu et al., ReCU, ICCV 2021.

Forward: activations `sign(x)`, weights `sign(v)`, where `v` is the filter less its mean, divided by
its standard deviation, times `sqrt(8)`. The paper's learned scale per filter is left out: the batch
norm after the conv divides by it, in values and in gradients.
Gradient: weights `g` where |v| <= Q, then through the standardisation, with `Q = -b ln(2 - 2 tau)`,
`b` the mean of |v| over the layer, and `tau` from `tau_start` to `tau_end` as `e^p`: what is beyond
the quantile `tau` are dead weights. Activations: where |x| < 1 (the Hardtanh of the authors'
networks) `g (2 - 2 |y|)`, then through `y = x / s`, where `s^2` is the variance of the activations
of the image, clipped to -1..1, plus 1e-5.
"""


# AdaBin


def _adabin_weights(w: Tensor) -> tuple[Tensor, Tensor]:
    """Filters less their means, over their deviations; and the deviations."""
    latent, deviation = standardised(w)
    root = math.sqrt(max(w[0].numel() - 1, 1) / w[0].numel())  # AdaBin divides by n, not n - 1
    return latent / root, deviation.flatten() * root


def _adabin_offset(w: Tensor) -> Tensor:
    """The mean of each filter."""
    return w.mean(dim=FILTER)


def _adabin_weight_gradient(
    gradient: Tensor, w: Tensor, progress: Tensor, *, t_start: float, t_end: float
) -> Tensor:
    """The derivative of `s sign((w - m) / s) + m`, where that of the sign is as of IR-Net."""
    latent, _ = _adabin_weights(w)
    signs = latent.ge(0).to(w.dtype).mul_(2).sub_(1)
    inner = _irnet_activation_gradient(gradient, latent, progress, t_start=t_start, t_end=t_end)
    through_deviation = (gradient * signs - inner * latent).mean(dim=FILTER, keepdim=True)
    through_mean = (gradient - inner).mean(dim=FILTER, keepdim=True)
    return inner.addcmul_(latent, through_deviation).add_(through_mean)


ADABIN = Binarizer(
    "adabin",
    SIGNS_PER_CHANNEL,
    window=(-1.0, 1.0),
    weights=_adabin_weights,
    activation_gradient=polynomial,
    weight_gradient=_adabin_weight_gradient,
    constants={"t_start": Constant(1e-3, 1e-4), "t_end": Constant(10.0, 1e-3)},
    offset=_adabin_offset,
    learned="levels",
)
"""Tu et al., AdaBin, ECCV 2022, without its Maxout (a PReLU is an option of the network).

Forward: activations `a sign((x - b) / a) + b`, with `a` (from 1 on, of which the magnitude counts)
and `b` (from 0 on) learned per conv. Weights `s sign((w - m) / s) + m`, where `m` is the mean of
the filter and `s` its deviation.
Gradient: of z = (x - b) / a it is `g (2 - 2 |z|)` where |z| < 1, then through `a` and `b`; of
v = (w - m) / s it is `g k t (1 - tanh(t v)^2)` with `t = t_start (t_end / t_start)^p` and `k =
max(1/t, 1)`, then through `s` and `m`.
At inference the offset of the weights takes the sum of each window of the input once, which is
counted: 0.3 % of VGG-small's FLOPs at 1x. Exports write a conv out as four convs of bits, two of
them of ones, which are exact also at the border. It does not fold.
"""


def _through_standardisation(gradient: Tensor, latent: Tensor, deviation: Tensor) -> Tensor:
    """The gradient of weights, given that of their standardised values."""
    shared = (gradient * latent).sum(dim=FILTER, keepdim=True) / max(latent[0].numel() - 1, 1)
    less_mean = gradient - gradient.mean(dim=FILTER, keepdim=True)
    return less_mean.addcmul_(latent, shared, value=-1).div_(deviation)
