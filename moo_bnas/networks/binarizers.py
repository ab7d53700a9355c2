"""Binarizers: how weights and activations are encoded in bits, and what gradient passes.

To add one, add it to `BINARIZERS`: definitions accept its name, `networks.autograd` trains it, and
all exporters read its `Encoding`. Its functions use methods of tensors only, because this module
is also imported where torch is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from moo_bnas.errors import DefinitionError

if TYPE_CHECKING:
    from torch import Tensor

Gradient = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]
"""Maps (incoming gradient, input, progress) to the gradient with respect to the input.

Progress is the share of training that is done, from 0 to below 1, as a scalar tensor on the device
of the input; it is constant within an epoch.
"""


@dataclass(frozen=True)
class Encoding:
    """What must be known to run a binarized network, without the functions that trained it.

    Attributes:
        levels: Values that activations take, ascending and equally spaced; 2 to the power of `bits`
            of them.
        thresholds: Values between the levels, ascending. An activation becomes the level whose
            index is the number of thresholds that it passes.
        inclusive: Whether an activation that is equal to a threshold passes it.
        scales: Whether a binary layer has one weight scale, or one per output channel.
    """

    levels: tuple[float, ...]
    thresholds: tuple[float, ...]
    inclusive: bool
    scales: Literal["layer", "channel"] = "layer"

    def __post_init__(self) -> None:
        steps = [b - a for a, b in zip(self.levels, self.levels[1:], strict=False)]
        if (
            len(self.levels) != 2**self.bits
            or len(self.thresholds) != len(steps)
            or list(self.thresholds) != sorted(set(self.thresholds))
            or not all(step > 0 and math.isclose(step, self.step) for step in steps)
        ):
            raise ValueError(
                f"got levels {list(self.levels)} with thresholds {list(self.thresholds)}, expected "
                "2, 4, 8, ... ascending, equally spaced levels and one threshold fewer, ascending"
            )

    @property
    def bits(self) -> int:
        """Bits per activation."""
        return max(len(self.levels) - 1, 1).bit_length()

    @cached_property
    def step(self) -> float:
        """Difference between two neighbouring levels."""
        return (self.levels[-1] - self.levels[0]) / (len(self.levels) - 1)


@dataclass(frozen=True)
class Binarizer:
    """One way to binarize.

    Attributes:
        name: Name in a definition and on the card of a model file.
        encoding: Values that activations and weights take.
        window: Interval of activations over which gradient passes. Batch norms before a binarizer
            start with their mean in its middle and half its width as standard deviation.
        weights: Maps the weights of a conv, out x in x kernel x kernel, to a tensor of the same
            shape, of which the signs are taken, and to their scales: a scalar, or of shape (out,)
            where `encoding.scales` is "channel".
        activation_gradient: Gradient of an activation; None: the incoming gradient, strictly inside
            of the window.
        weight_gradient: Gradient of the weights, given that of the scaled signs; None: the same.
    """

    name: str
    encoding: Encoding
    window: tuple[float, float]
    weights: Callable[[Tensor], tuple[Tensor, Tensor]]
    activation_gradient: Gradient | None = None
    weight_gradient: Gradient | None = None

    @property
    def middle(self) -> float:
        """Middle of the window."""
        return (self.window[0] + self.window[1]) / 2

    @property
    def half_width(self) -> float:
        """Distance from the middle of the window to its ends."""
        return (self.window[1] - self.window[0]) / 2


def check_binarizer(name: str) -> str:
    """Returns a name that is in `BINARIZERS`.

    Raises:
        DefinitionError: If it is not.
    """
    if name not in BINARIZERS:
        raise DefinitionError(
            f"got binarizer {name!r}, expected one of {', '.join(BINARIZERS)}; choose one of these"
        )
    return name


def mean_magnitude(w: Tensor) -> tuple[Tensor, Tensor]:
    """The weights and `E(|w|)` of Eq. 1, one scale per layer."""
    return w, w.abs().mean()


ZERO_ONE = Encoding(levels=(0.0, 1.0), thresholds=(0.5,), inclusive=False)
"""`round(x)` of x in 0..1. Rounding half to even maps 0.5 to 0, so it is `x > 0.5`."""

SIGNS = Encoding(levels=(-1.0, 1.0), thresholds=(0.0,), inclusive=True)
"""`sign(x)`, where the sign of 0 (and of -0) is +1."""

BINARIZERS = {
    binarizer.name: binarizer
    for binarizer in (
        # Zhou et al., DoReFa-Net, 2016: `round(clip(x, 0, 1))`, as in Eq. 1.
        Binarizer("dorefa", ZERO_ONE, window=(0.0, 1.0), weights=mean_magnitude),
        # Courbariaux et al., BinaryNet, 2016: `sign(x)`, gradient where |x| < 1.
        Binarizer("sign", SIGNS, window=(-1.0, 1.0), weights=mean_magnitude),
    )
}
