"""Builds torch modules from layer specs.

Weights and activations are binarized by the binarizer that the module is built with; `set_progress`
passes on how much of the training is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from moo_bnas.networks.binarizers import BINARIZERS, Binarizer, check_binarizer
from moo_bnas.networks.binary_layers import Activation, BinaryConv2d, CompoundConv2d, Conv2d
from moo_bnas.networks.layers import INPUT, LayerSpec

_RISE_OF_MAXIMUM = 0.5
"""How far the mean after the stem's max-pool is above the mean before, in standard deviations.

Measured on photographs: 0.52. It depends on their smoothness; independent pixels would give 1.4.
"""


class Add(nn.Module):
    """The sum of two tensors."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return one + other


class Bias(nn.Module):
    """A learned number that is added to each feature, or channel; 0 at the start.

    Maps n x features, or n x channels x height x width.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        return x + (self.bias if x.ndim == 2 else self.bias[:, None, None])


class GlobalAveragePool(nn.Module):
    """Maps n x c x h x w to n x c."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


class MeanMagnitude(nn.Module):
    """Maps n x c x h x w to the mean magnitude over the channels, n x 1 x h x w."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs().mean(dim=1, keepdim=True)


class Scale(nn.Module):
    """Multiplies n x c x h' x w' by the mean of n x 1 x h x w over windows, zeros around it."""

    def __init__(self, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self._mean = nn.AvgPool2d(kernel, stride, padding)

    def forward(self, x: Tensor, magnitudes: Tensor) -> Tensor:
        scaled: Tensor = x * self._mean(magnitudes)
        return scaled


class SpecModule(nn.Module):
    """A network made from its specs.

    Maps images, n x channels x size x size, to logits, n x classes.
    """

    def __init__(self, specs: Sequence[LayerSpec], binarizer: Binarizer) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        self._inputs = {spec.name: spec.inputs for spec in specs}
        last_read = {name: spec.name for spec in specs for name in spec.inputs}
        self._done_with = {
            spec.name: tuple(n for n in dict.fromkeys(spec.inputs) if last_read[n] == spec.name)
            for spec in specs
        }
        for spec in specs:
            self.layers[spec.name] = _layer(spec, binarizer)
        steps = {spec.name: spec for spec in specs}
        for spec in specs:
            if spec.kind == "binarize":
                self._balance(steps, spec.inputs[0], binarizer, binarizer.middle)

    def forward(self, images: Tensor) -> Tensor:
        # Outputs are dropped after their last reader, which frees memory early.
        values = {INPUT: images}
        out = images
        for name, layer in self.layers.items():
            inputs = [values[i] for i in self._inputs[name]]
            for i in self._done_with[name]:
                del values[i]
            out = layer(*inputs)
            values[name] = out
        return out

    def _balance(
        self, steps: Mapping[str, LayerSpec], name: str, binarizer: Binarizer, middle: float
    ) -> None:
        """Initialises the batch norms that feed a step, so that half its outputs exceed `middle`.

        Their standard deviation is half the width of the binarizer's window, so about 68 % of the
        activations start inside the window. In a sum the first input is the branch and the second
        the shortcut: the outputs of the shortcut are around `middle`, those of the branch around 0.
        """
        left, done = [(name, middle)], set()
        while left:
            name, middle = left.pop()
            if name == INPUT or (name, middle) in done:
                continue  # without this, sums of sums would be walked through exponentially often
            done.add((name, middle))
            step = steps[name]
            if step.kind == "batch_norm":
                batch_norm = cast("nn.BatchNorm2d", self.layers[name])
                nn.init.constant_(batch_norm.weight, binarizer.half_width)
                nn.init.constant_(batch_norm.bias, middle)
            elif step.kind == "max_pool":
                lower = middle - _RISE_OF_MAXIMUM * binarizer.half_width
                left.append((step.inputs[0], lower))
            elif step.kind in ("relu", "hardtanh", "prelu", "bias"):
                left.append((step.inputs[0], middle))
            elif step.kind == "add":
                branch, shortcut = step.inputs
                left += [(shortcut, middle), (branch, 0.0)]


def build(specs: Sequence[LayerSpec], binarizer: str = "dorefa") -> SpecModule:
    """The module of a network's specs, initialised from torch's global random state.

    Raises:
        DefinitionError: If there is no binarizer of that name.
    """
    return SpecModule(specs, BINARIZERS[check_binarizer(binarizer)])


def set_progress(network: nn.Module, share: float) -> None:
    """Sets the share of training that is done, for binarizers whose gradient depends on it.

    Args:
        network: Network that contains modules made by `build`, or is one.
        share: Share of the epochs that are done, from 0 to below 1.
    """
    for module in network.modules():
        if isinstance(module, BinaryConv2d | Activation):
            module.progress.fill_(share)


def set_constants(network: nn.Module, values: Mapping[str, float]) -> None:
    """Sets constants of the binarizer, on which its gradients depend; see `Binarizer.having`.

    Args:
        network: Network that contains modules made by `build`, or is one.
        values: Values by name; a constant that is left out keeps its value.

    Raises:
        DefinitionError: If the binarizer has no such constant, or a value makes no sense.
    """
    for module in network.modules():
        if isinstance(module, BinaryConv2d | Activation):
            module.binarizer = module.binarizer.having(values)


def _layer(  # noqa: C901, PLR0912  # one case per kind
    spec: LayerSpec, binarizer: Binarizer
) -> nn.Module:
    c_in, c_out = int(spec.in_channels), int(spec.out_channels)
    match spec.kind:
        case "conv":
            return _conv(spec, c_in, c_out, binarizer)
        case "linear":
            return nn.Linear(c_in, c_out, bias=False)
        case "batch_norm":
            return nn.BatchNorm2d(c_out)
        case "binarize":
            if binarizer.learned != "nothing":
                return nn.Identity()  # the convs that read it binarize, each in its own way
            return Activation(binarizer.of_bits(int(spec.bits)))
        case "relu":
            return nn.ReLU()
        case "hardtanh":
            return nn.Hardtanh()
        case "prelu":
            return nn.PReLU(c_out)
        case "max_pool":
            return nn.MaxPool2d(spec.kernel, spec.stride, spec.padding)
        case "global_average_pool":
            return GlobalAveragePool()
        case "flatten":
            return nn.Flatten()
        case "add":
            return Add()
        case "bias":
            return Bias(c_out)
        case "mean_magnitude":
            return MeanMagnitude()
        case "scale":
            return Scale(spec.kernel, spec.stride, spec.padding)


def _conv(spec: LayerSpec, c_in: int, c_out: int, binarizer: Binarizer) -> Conv2d:
    window = spec.kernel, spec.stride, spec.padding
    if spec.precision != "binary":
        conv = Conv2d(c_in, c_out, *window, bias=False)
    elif binarizer.learned == "nothing":
        conv = BinaryConv2d(c_in, c_out, *window, binarizer=binarizer.of_bits(int(spec.bits)))
    else:
        conv = CompoundConv2d(c_in, c_out, *window, binarizer=binarizer.of_bases(spec.bases))
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv
