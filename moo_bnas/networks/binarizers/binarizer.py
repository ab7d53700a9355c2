"""The record of a binarizer: how weights and activations become bits, and what gradient passes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

from moo_bnas.errors import DefinitionError

if TYPE_CHECKING:
    from torch import Tensor

Gradient = Callable[..., "Tensor"]
"""Maps (incoming gradient, input, progress) to the gradient with respect to the input.

Progress is the share of training that is done, from 0 to below 1, as a scalar tensor on the device
of the input; it is constant within an epoch. The constants of the binarizer are passed by name.
"""

FILTER = (1, 2, 3)
"""Dimensions of one filter in the weights of a conv."""

_LEAST_DEVIATION = 1e-6
"""Keeps a filter of equal weights, or of one weight, from being divided by 0."""


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

    def of_bits(self, bits: int) -> Encoding:
        """As many equally spaced levels from the lowest to the highest, thresholds in between."""
        low, high, last = self.levels[0], self.levels[-1], 2**bits - 1
        return replace(
            self,
            levels=tuple(low + (high - low) * i / last for i in range(last + 1)),
            thresholds=tuple(low + (high - low) * (i + 0.5) / last for i in range(last)),
        )


@dataclass(frozen=True)
class Constant:
    """A number that a gradient depends on, and that a definition may set.

    Attributes:
        value: Its value; that of the paper, where a definition does not set it.
        least: Smallest value that makes sense.
        below: Values that make sense are below this.
    """

    value: float
    least: float
    below: float = math.inf


@dataclass(frozen=True)
class Binarizer:
    """One way to binarize.

    Attributes:
        name: Name in a definition and on the card of a model file.
        encoding: Values that activations and weights take.
        window: Open interval of activations over which gradient passes. Batch norms before a
            binarizer start with their mean in its middle and half its width as standard deviation.
        weights: Maps the weights of a conv, out x in x kernel x kernel, to a tensor of the same
            shape, of which the signs are taken, and to their scales: a scalar, or of shape (out,)
            where `encoding.scales` is "channel".
        activation_gradient: Gradient of activations inside of the window, given that of the levels,
            as a tensor of its own; None: the same.
        weight_gradient: Gradient of the weights, given that of the scaled signs; None: the same.
        constants: What the gradients depend on, by name. Values do not: a file of a network needs
            no constants.
        has_more_bits: Whether activations may have more bits than 1; the lowest level is then 0.
        offset: Maps the weights of a conv to what is added to the scaled signs of each filter, of
            shape (out,); None: nothing.
        learned: What a conv learns of how its input, which it then reads before it is binarized,
            becomes bits: `shifts`, one per base, each with a scale: activations are the sum of
            `scale level(x + shift)`; `levels`: they are `scale level((x + shift) / scale) - shift`.
        bases: Of how many binary ones the weights, and the activations, of a conv are the sum.
        has_bases: Whether that is more than one each, or may be; functions of weights then take the
            number of their bases as `count`, and signs and scales have one more, first dimension.
        scales_inputs: Whether the sums of a binary conv are multiplied by the mean magnitude that
            its input had in their window before it was binarized.
    """

    name: str
    encoding: Encoding
    window: tuple[float, float]
    weights: Callable[[Tensor], tuple[Tensor, Tensor]]
    activation_gradient: Gradient | None = None
    weight_gradient: Gradient | None = None
    constants: Mapping[str, Constant] = field(default_factory=dict)
    has_more_bits: bool = False
    offset: Callable[[Tensor], Tensor] | None = None
    learned: Literal["nothing", "shifts", "levels"] = "nothing"
    bases: tuple[int, int] = (1, 1)
    has_bases: bool = False
    scales_inputs: bool = False

    def of_bases(self, bases: tuple[int, int]) -> Binarizer:
        """This binarizer with so many bases of weights and of activations.

        Raises:
            DefinitionError: If it has 1 of each only.
        """
        if not self.has_bases:
            if bases == (1, 1):
                return self
            raise DefinitionError(
                f"got bases {list(bases)} with binarizer {self.name}, which has 1 of weights and 1 "
                "of activations; leave bases out, or choose binarizer abc"
            )
        count = bases[0]
        gradient = self.weight_gradient and partial(self.weight_gradient, count=count)
        weights = partial(self.weights, count=count)  # type: ignore[call-arg]  # takes it, as it has bases
        return replace(self, bases=bases, weights=weights, weight_gradient=gradient)

    @property
    def is_fixed(self) -> bool:
        """Whether a binary conv is one conv of bits with signs, and scales that fold."""
        return self.learned == "nothing" and not self.scales_inputs

    def of_bits(self, bits: int) -> Binarizer:
        """This binarizer with so many bits per activation.

        Raises:
            DefinitionError: If it has 1 bit only.
        """
        if bits == self.encoding.bits:
            return self
        if not self.has_more_bits:
            raise DefinitionError(
                f"got activation_bits {bits} with binarizer {self.name}, which has 1 bit; leave "
                "activation_bits out, or choose binarizer dorefa"
            )
        return replace(self, encoding=self.encoding.of_bits(bits))

    @cached_property
    def evaluated(self) -> Binarizer:
        """What it is in evaluation: the same, in numbers that make all sums exact.

        With 1 bit it is itself. With more the levels are 0, 1, 2, ..., and the scales of weights
        include the step between the levels.
        """
        if self.encoding.bits == 1:
            return self
        step = self.encoding.step

        def weights(w: Tensor) -> tuple[Tensor, Tensor]:
            latent, scale = self.weights(w)
            return latent, scale * step

        levels = tuple(float(i) for i in range(len(self.encoding.levels)))
        return replace(self, encoding=replace(self.encoding, levels=levels), weights=weights)

    @cached_property
    def values(self) -> dict[str, float]:
        """The value of each constant, by name."""
        return {name: constant.value for name, constant in self.constants.items()}

    def having(self, values: Mapping[str, float]) -> Binarizer:
        """This binarizer with other values of some constants.

        Raises:
            DefinitionError: If it has no such constant, or a value makes no sense.
        """
        constants = dict(self.constants)
        for name, value in values.items():
            if name not in constants:
                raise DefinitionError(
                    f"got the constant {name!r:.100} of binarizer {self.name}, expected "
                    f"{' or '.join(constants) or 'none'}; remove it or correct its name"
                )
            least, below = constants[name].least, constants[name].below
            if not least <= value < below:
                raise DefinitionError(
                    f"got {name} = {value:g} of binarizer {self.name}, expected at least {least:g}"
                    f"{'' if math.isinf(below) else f' and below {below:g}'}; correct it"
                )
            constants[name] = replace(constants[name], value=float(value))
        return replace(self, constants=constants)

    @property
    def middle(self) -> float:
        """Middle of the window."""
        return (self.window[0] + self.window[1]) / 2

    @property
    def half_width(self) -> float:
        """Distance from the middle of the window to its ends."""
        return (self.window[1] - self.window[0]) / 2


def polynomial(gradient: Tensor, x: Tensor, _progress: Tensor, **_constants: float) -> Tensor:
    """`g (2 - 2 |x|)`."""
    return x.abs().mul_(-2).add_(2).mul_(gradient)


def mean_magnitude(w: Tensor) -> tuple[Tensor, Tensor]:
    """The weights and `E(|w|)` of Eq. 1, one scale per layer."""
    return w, w.abs().mean()


def mean_magnitude_per_channel(w: Tensor) -> tuple[Tensor, Tensor]:
    """The weights and `E(|w|)` of each filter."""
    return w, w.abs().mean(dim=FILTER)


def standardised(w: Tensor, eps: float = 0.0) -> tuple[Tensor, Tensor]:
    """Filters less their means, divided by their standard deviations; and the deviations."""
    centred = w - w.mean(dim=FILTER, keepdim=True)
    variance = centred.square().sum(dim=FILTER, keepdim=True) / max(w[0].numel() - 1, 1)
    deviation = (variance + eps).sqrt_().clamp_(min=_LEAST_DEVIATION)
    return centred.div_(deviation), deviation


ZERO_ONE = Encoding(levels=(0.0, 1.0), thresholds=(0.5,), inclusive=False)
"""`round(x)` of x in 0..1. Rounding half to even maps 0.5 to 0, so it is `x > 0.5`."""

SIGNS = Encoding(levels=(-1.0, 1.0), thresholds=(0.0,), inclusive=True)
"""`sign(x)`, where the sign of 0 (and of -0) is +1."""

SIGNS_PER_CHANNEL = replace(SIGNS, scales="channel")
"""The same, with one weight scale per output channel."""
