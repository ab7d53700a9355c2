"""Builds a torch module from layer specs."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from moo_bnas.networks.binarizers import BINARIZERS, Binarizer, binarize_weight, scale, sign
from moo_bnas.networks.layers import INPUT, LayerSpec


class BinaryConv2d(nn.Conv2d):
    """A convolution with 1-bit weights (Eq. 1), without bias.

    In training it convolves the scaled signs. In evaluation it convolves the signs and scales the
    sum: with binary inputs that is exact integer arithmetic, then one rounding.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self._convolve(x, binarize_weight(self.weight))
        return self._convolve(x, sign(self.weight)) * scale(self.weight)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        return functional.conv2d(x, weight, None, self.stride, self.padding)


class Activation(nn.Module):
    """Applies a binarizer to activations."""

    def __init__(self, binarizer: Binarizer) -> None:
        super().__init__()
        self.binarizer = binarizer

    def forward(self, x: Tensor) -> Tensor:
        return self.binarizer.activation(x)


class Add(nn.Module):
    """The sum of two tensors."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return one + other


class GlobalAveragePool(nn.Module):
    """Maps n x c x h x w to n x c."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


class SpecModule(nn.Module):
    """A network as its specs say; maps n x channels x size x size images to n x classes logits."""

    def __init__(self, specs: Sequence[LayerSpec], binarizer: Binarizer) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        self._inputs = {spec.name: spec.inputs for spec in specs}
        last_read = {name: spec.name for spec in specs for name in spec.inputs}
        self._done_with = {
            spec.name: tuple(n for n in spec.inputs if last_read[n] == spec.name) for spec in specs
        }
        feeds_binarizer = {s.inputs[0] for s in specs if s.kind == "binarize"}
        for spec in specs:
            self.layers[spec.name] = _layer(spec, binarizer)
            if spec.name in feeds_binarizer and spec.kind == "batch_norm":
                _balance(self.layers[spec.name], binarizer)

    def forward(self, images: Tensor) -> Tensor:
        values = {INPUT: images}
        out = images
        for name, layer in self.layers.items():
            inputs = [values[i] for i in self._inputs[name]]
            for i in self._done_with[name]:
                del values[i]
            out = layer(*inputs)
            values[name] = out
        return out


def build(specs: Sequence[LayerSpec], binarizer: str = "dorefa") -> SpecModule:
    """The module of a network's specs, initialised from torch's global random state."""
    return SpecModule(specs, BINARIZERS[binarizer])


def _layer(spec: LayerSpec, binarizer: Binarizer) -> nn.Module:
    c_in, c_out = int(spec.in_channels), int(spec.out_channels)
    match spec.kind:
        case "conv":
            conv = BinaryConv2d if spec.precision == "binary" else nn.Conv2d
            module = conv(c_in, c_out, spec.kernel, spec.stride, spec.padding, bias=False)
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            return module
        case "linear":
            return nn.Linear(c_in, c_out, bias=False)
        case "batch_norm":
            return nn.BatchNorm2d(c_out)
        case "binarize":
            return Activation(binarizer)
        case "relu":
            return nn.ReLU()
        case "max_pool":
            return nn.MaxPool2d(spec.kernel, spec.stride, spec.padding)
        case "global_average_pool":
            return GlobalAveragePool()
        case "flatten":
            return nn.Flatten()
        case "add":
            return Add()


def _balance(batch_norm: nn.Module, binarizer: Binarizer) -> None:
    """Starts a batch norm so that half of its outputs are above the binarizer's threshold.

    Its standard deviation is the distance over which gradient passes, so about 68% of it does.
    """
    nn.init.constant_(batch_norm.weight, binarizer.half_width)  # type: ignore[arg-type]
    nn.init.constant_(batch_norm.bias, binarizer.threshold)  # type: ignore[arg-type]
