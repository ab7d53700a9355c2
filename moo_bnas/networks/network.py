"""What the rest of the program knows of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from moo_bnas.evaluation import Precision
from moo_bnas.networks.layers import Channels, ImageShape, LayerSpec


@dataclass(frozen=True)
class Network:
    """A family of networks of one shape, one for each assignment of widths.

    Attributes:
        name: As in a definition.
        image: What goes in and comes out.
        genes: The names of the widths that a search chooses.
        base_widths: The channel count of each gene at ratio 1.
        layers: Makes the layer specs from one width per gene (integers, or integer arrays of one
            shape), binary or as the full-precision twin.
        module: Makes the torch module of specs and the name of a binarizer, from torch's global
            random state; None: `networks.module.build`. Its parameters must be such that the first
            channels of a wider network's are a narrower one's, where candidates inherit.
    """

    name: str
    image: ImageShape
    genes: tuple[str, ...]
    base_widths: tuple[int, ...]
    layers: Callable[[Sequence[Channels], Precision], list[LayerSpec]]
    module: Callable[[Sequence[LayerSpec], str], Any] | None = None
