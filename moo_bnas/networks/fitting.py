"""Checks that layer specs describe a network that can be built, and one that fits into memory.

Specs may come from a file or a package of somebody else, so they are checked before anything is
made of them. The limits leave room for a VGG-small of 4 times the width on images of 224 x 224.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from moo_bnas.errors import DefinitionError
from moo_bnas.networks.binarizers import Binarizer
from moo_bnas.networks.layers import INPUT, ImageShape, LayerSpec

MOST_LAYERS = 2000
MOST_CHANNELS = 2**25
MOST_ACTIVATIONS = 2**28
"""Numbers that all steps of a network may give out for one image."""
MOST_IN_WINDOWS = 2**30
"""Numbers that all windows of a network may read for one image."""
MOST_WEIGHTS = 2**32
"""Weights of all convs and linear layers."""
MOST_IMAGE = 4096
"""Height and width of an image."""

_NAME = re.compile(r"[\w-]{1,100}")
_ANYWHERE = ("relu", "hardtanh", "binarize", "add", "flatten", "bias")  # take flat inputs, too
_FLAT = ("linear",)  # these take flat inputs only


@dataclass(frozen=True)
class _Shape:
    channels: int
    size: int
    flat: bool = False


def check_fit(layers: Sequence[LayerSpec], image: ImageShape) -> int:
    """Checks layer specs of one network.

    Args:
        layers: The specs, with integers as channel counts.
        image: The input, and the number of classes that the last step must have.

    Returns:
        Numbers that all steps together give out for one image.

    Raises:
        ValueError: If a step reads what is not before it, if its shape does not follow from its
            input, or if the network is too large.
    """
    _bounded("layers", len(layers), 1, MOST_LAYERS)
    _bounded("the image size", image.size, 1, MOST_IMAGE)
    _bounded("image channels", image.channels, 1, MOST_CHANNELS)
    _bounded("classes", image.classes, 1, MOST_CHANNELS)
    shapes = {INPUT: _Shape(image.channels, image.size)}
    activations = in_windows = weights = 0
    for layer in layers:
        if layer.name in shapes or not _NAME.fullmatch(layer.name):
            raise ValueError(
                f"got a step called {layer.name!r:.100}, expected a name of its own of up to 100 "
                "letters, digits, '_' and '-'"
            )
        shape = _shape_of(layer, shapes)
        shapes[layer.name] = shape
        activations += shape.channels * shape.size**2
        window = layer.kernel**2 * int(layer.in_channels)
        in_windows += window * shape.size**2
        weights += window * shape.channels if layer.kind in ("conv", "linear") else 0
        _bounded("activations per image", activations, 1, MOST_ACTIVATIONS)
        _bounded("numbers in windows per image", in_windows, 1, MOST_IN_WINDOWS)
        _bounded("weights", weights, 0, MOST_WEIGHTS)
    if not shape.flat or shape.channels != image.classes:
        raise ValueError(
            f"{layer.name} gives {_described(shape)}, expected one number for each of "
            f"{image.classes} classes"
        )
    return activations


def check_levels(layers: Sequence[LayerSpec], binarizer: Binarizer) -> None:
    """Refuses a binarizer that reads a ReLU and makes the higher level of every number from 0 on.

    Raises:
        DefinitionError: If there is such a binarizer.
    """
    least = binarizer.encoding.thresholds[0]
    if least > 0 or (least == 0 and not binarizer.encoding.inclusive):
        return
    positive = set()
    for layer in layers:
        if layer.kind == "relu" or (layer.kind == "max_pool" and layer.inputs[0] in positive):
            positive.add(layer.name)
        elif layer.kind == "binarize" and layer.inputs[0] in positive:
            raise DefinitionError(
                f"{layer.name} would make {binarizer.encoding.levels[-1]:g} of all numbers, since "
                f"binarizer {binarizer.name} compares what a ReLU gives with {least:g}; put the "
                "ReLU before the batch norm, or choose binarizer dorefa"
            )


def _shape_of(layer: LayerSpec, shapes: dict[str, _Shape]) -> _Shape:
    """The shape of the output of a step; checks it against what the spec says."""
    name = layer.name
    if len(layer.inputs) != (2 if layer.kind in ("add", "scale") else 1):
        raise ValueError(f"{name} ({layer.kind}) has {len(layer.inputs)} inputs")
    unknown = [each for each in layer.inputs if each not in shapes]
    if unknown:
        raise ValueError(f"{name} reads {unknown[0]!r}, which no step before it makes")
    given = [shapes[each] for each in layer.inputs]
    shape = given[0]
    if layer.kind == "add" and len(set(given)) > 1:
        raise ValueError(f"{name} adds {_described(given[0])} to {_described(given[1])}")
    if layer.kind in _FLAT and not shape.flat:
        raise ValueError(f"{name} ({layer.kind}) reads {_described(shape)}, expected a flat input")
    if layer.kind not in (*_FLAT, *_ANYWHERE) and shape.flat:
        raise ValueError(f"{name} ({layer.kind}) reads {_described(shape)}, expected channels")
    for what in ("in_channels", "out_channels", "out_size", "kernel", "stride"):
        _bounded(f"{what} of {name}", getattr(layer, what), 1, MOST_CHANNELS)
    if layer.in_channels != shape.channels:
        raise ValueError(f"{name} has {layer.in_channels} in_channels and reads {shape.channels}")
    made = _made(layer, shape) if layer.kind != "scale" else _scaled(layer, shape, given[1])
    if (layer.out_channels, layer.out_size) != (made.channels, made.size):
        raise ValueError(
            f"{name} says {layer.out_channels} channels of size {layer.out_size}, but it gives "
            f"{_described(made)}"
        )
    return made


def _made(layer: LayerSpec, shape: _Shape) -> _Shape:
    """The shape that a step gives out for the shape of its input."""
    if layer.kind in ("conv", "max_pool"):
        channels = shape.channels if layer.kind == "max_pool" else int(layer.out_channels)
        return _Shape(channels, _windows(layer, shape.size))
    window = (layer.kernel, layer.stride, layer.padding)
    if window != (1, 1, 0):
        raise ValueError(f"{layer.name} ({layer.kind}) has the window {window}, expected (1, 1, 0)")
    match layer.kind:
        case "linear":
            return _Shape(int(layer.out_channels), 1, flat=True)
        case "global_average_pool":
            return _Shape(shape.channels, 1, flat=True)
        case "flatten":
            return _Shape(shape.channels * shape.size**2, 1, flat=True)
        case "mean_magnitude":
            return _Shape(1, shape.size)
        case _:
            return shape


def _scaled(layer: LayerSpec, shape: _Shape, means: _Shape) -> _Shape:
    """The shape that a step gives out which multiplies its input by means of windows."""
    if means.flat or means.channels != 1 or _windows(layer, means.size) != shape.size:
        raise ValueError(
            f"{layer.name} scales {_described(shape)} by means of {_described(means)}, expected "
            "1 channel with one window for each"
        )
    return shape


def _windows(layer: LayerSpec, size: int) -> int:
    """The number of windows of a conv or pool along one side of an input of this size."""
    # torch pools no window of padding alone; wider ones than these read little but padding.
    _bounded(f"padding of {layer.name}", layer.padding, 0, layer.kernel // 2)
    _bounded(f"kernel of {layer.name}", layer.kernel, 1, max(2 * size + 1, 7))
    free = size + 2 * layer.padding - layer.kernel
    if free < 0:
        raise ValueError(f"the kernel of {layer.name} is wider than its input")
    return free // layer.stride + 1


def _bounded(what: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        shown = value if abs(value) < 10**20 else f"about 10^{len(hex(value)) * 6 // 5}"
        raise ValueError(f"got {shown} as {what}, expected {least} to {most}")


def _described(shape: _Shape) -> str:
    if shape.flat:
        return f"{shape.channels} numbers"
    return f"{shape.channels} channels of size {shape.size}"
