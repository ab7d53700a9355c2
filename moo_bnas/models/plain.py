"""Runs a network that `moo-bnas export --format torch` wrote; needs only torch and safetensors.

This file is copied next to the exported network, and may be changed and passed on (Apache-2.0):

    from moo_bnas_plain import load

    network = load("model.plain.safetensors")
    logits = network(network.normalise(pixels))  # uint8, n x channels x size x size, RGB or grey

`network.card` describes the network: its layers, classes, accuracy, and how images are prepared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

_IMPLIED = {
    "dorefa": {"levels": (0.0, 1.0), "thresholds": (0.5,), "inclusive": False, "scales": "layer"},
    "sign": {"levels": (-1.0, 1.0), "thresholds": (0.0,), "inclusive": True, "scales": "layer"},
}
"""Encodings of the binarizers of which a card holds only the name."""


class BinaryConv2d(nn.Module):
    """A convolution with weights -1 and +1, whose sums are then scaled.

    Before the scaling it is exact integer arithmetic, where its inputs are integers.
    """

    signs: Tensor
    scale: Tensor

    def __init__(
        self, shape: tuple[int, ...], stride: int, padding: int, *, scale_per_channel: bool
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.register_buffer("signs", torch.ones(shape, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(shape[:1] if scale_per_channel else ()))

    def forward(self, x: Tensor) -> Tensor:
        """Maps n x in x h x w to n x out x h' x w'."""
        sums = functional.conv2d(x, self.signs.to(x.dtype), None, self.stride, self.padding)
        return sums * self.scale[..., None, None]


class Affine(nn.Module):
    """A folded batch norm: `x * multiplier + offset`, with one of each per channel."""

    multiplier: Tensor
    offset: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("multiplier", torch.ones(channels))
        self.register_buffer("offset", torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        # A batch norm of mean 0 and variance 1 rounds like those of the trained network.
        mean, var = torch.zeros_like(self.offset), torch.ones_like(self.offset)
        return functional.batch_norm(x, mean, var, self.multiplier, self.offset, eps=0.0)


class Binarize(nn.Module):
    """Maps each activation to the level whose index is the number of thresholds that it passes."""

    def __init__(self, encoding: Mapping[str, Any]) -> None:
        super().__init__()
        self.levels = encoding["levels"]
        self.thresholds = encoding["thresholds"]
        self.inclusive = encoding["inclusive"]

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        found = torch.full_like(x, self.levels[0])
        for threshold, level in zip(self.thresholds, self.levels[1:], strict=True):
            passed = x >= threshold if self.inclusive else x > threshold
            found = torch.where(passed, level, found)
        return found


class PReLU(nn.Module):
    """A PReLU with one slope per channel."""

    slope: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("slope", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        return functional.prelu(x, self.slope)


class Bias(nn.Module):
    """A number that is added to each feature, or channel."""

    bias: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("bias", torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        return x + (self.bias if x.ndim == 2 else self.bias[:, None, None])


class GlobalAveragePool(nn.Module):
    """Maps n x c x h x w to n x c."""

    def forward(self, x: Tensor) -> Tensor:
        """The mean of each channel."""
        return x.mean(dim=(2, 3))


class Add(nn.Module):
    """The sum of two tensors."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Keeps the shape."""
        return one + other


class MeanMagnitude(nn.Module):
    """Maps n x c x h x w to the mean magnitude over the channels, n x 1 x h x w."""

    def forward(self, x: Tensor) -> Tensor:
        """The mean of each position."""
        return x.abs().mean(dim=1, keepdim=True)


class Scale(nn.Module):
    """Multiplies n x c x h' x w' by the mean of n x 1 x h x w over windows, zeros around it."""

    def __init__(self, window: tuple[int, int, int]) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor, magnitudes: Tensor) -> Tensor:
        """Keeps the shape of x."""
        return x * functional.avg_pool2d(magnitudes, *self.window)


class PlainNetwork(nn.Module):
    """Maps normalised images, n x channels x size x size, to logits, n x classes.

    Attributes:
        card: Description of the network, from its file.
    """

    def __init__(self, card: Mapping[str, Any]) -> None:
        super().__init__()
        self.card = card
        self.layers = nn.ModuleDict({spec["name"]: _layer(spec, card) for spec in card["layers"]})

    def forward(self, images: Tensor) -> Tensor:
        """Logits in the order of `card["classes"]`; the greatest is that of the likeliest class."""
        values = {"input": images}
        out = images
        for spec in self.card["layers"]:
            out = self.layers[spec["name"]](*(values[name] for name in spec["inputs"]))
            values[spec["name"]] = out
        return out

    def normalise(self, pixels: Tensor) -> Tensor:
        """Maps pixels in 0..255, n x channels x size x size, to inputs of the network."""
        mean, std = (
            torch.tensor(self.card["image"][key], device=pixels.device)[:, None, None]
            for key in ("mean", "std")
        )
        return (pixels.float() - mean) / std


def load(path: str | PathLike[str]) -> PlainNetwork:
    """Loads a network on the CPU, in evaluation mode.

    Args:
        path: File that `moo-bnas export --format torch` wrote.

    Raises:
        ValueError: If it is another kind of file, or its binarizer is unknown.
        Exception: Whatever safetensors or torch raises if the file is missing or damaged.
    """
    with safe_open(path, framework="pt") as file:
        card = json.loads((file.metadata() or {}).get("moo_bnas", "{}"))
        if card.get("kind") != "plain":
            raise ValueError(
                f"{path} is not a plain network ({card.get('kind', 'it has no card')}); make one "
                "with moo-bnas export --format torch"
            )
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    network = PlainNetwork(card)
    network.load_state_dict(state)
    return network.eval()


def _layer(  # noqa: C901, PLR0912  # one case per kind of step
    spec: Mapping[str, Any], card: Mapping[str, Any]
) -> nn.Module:
    match spec["kind"]:
        case "conv":
            return _conv(spec, card)
        case "linear":
            return nn.Linear(spec["in_channels"], spec["out_channels"], bias=False)
        case "batch_norm":
            return Affine(spec["out_channels"])
        case "binarize":
            return Binarize(_encoding(card, spec.get("bits", 1)))
        case "relu":
            return nn.ReLU()
        case "hardtanh":
            return nn.Hardtanh()
        case "prelu":
            return PReLU(spec["out_channels"])
        case "bias":
            return Bias(spec["out_channels"])
        case "max_pool":
            return nn.MaxPool2d(spec["kernel"], spec["stride"], spec["padding"])
        case "global_average_pool":
            return GlobalAveragePool()
        case "flatten":
            return nn.Flatten()
        case "add":
            return Add()
        case "mean_magnitude":
            return MeanMagnitude()
        case "scale":
            return Scale((spec["kernel"], spec["stride"], spec["padding"]))
        case kind:
            raise ValueError(f"got a layer of kind {kind!r}, which this version does not know")


def _conv(spec: Mapping[str, Any], card: Mapping[str, Any]) -> nn.Module:
    c_in, c_out, kernel = spec["in_channels"], spec["out_channels"], spec["kernel"]
    if spec["precision"] == "binary":
        return BinaryConv2d(
            (c_out, c_in, kernel, kernel),
            spec["stride"],
            spec["padding"],
            scale_per_channel=_encoding(card)["scales"] == "channel",
        )
    return nn.Conv2d(c_in, c_out, kernel, spec["stride"], spec["padding"], bias=False)


def _encoding(card: Mapping[str, Any], bits: int = 1) -> Mapping[str, Any]:
    if bits > 1:
        more: Mapping[str, Any] = card["encodings"][str(bits)]
        return more
    encoding: Mapping[str, Any] | None = card.get("encoding") or _IMPLIED.get(card["binarizer"])
    if encoding is None:
        raise ValueError(
            f"got the binarizer {card['binarizer']!r}, expected {', '.join(_IMPLIED)} or an "
            "encoding on the card; export the network again"
        )
    return encoding
