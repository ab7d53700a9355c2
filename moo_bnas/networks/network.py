"""The record by which the rest of the program knows a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import Precision
from moo_bnas.networks.layers import Channels, ImageShape, LayerSpec


@dataclass(frozen=True)
class Network:
    """A family of networks of one shape, one for each assignment of widths.

    Attributes:
        name: Name in a definition.
        image: Shape of the input images, and the number of classes.
        genes: Names of the widths that a search chooses, and of what `bit_genes` says.
        base_widths: Channel count of each gene at ratio 1; 1 for genes of bits.
        layers: Makes the layer specs from one width per gene (integers, or integer arrays of one
            shape), of the binary network or of its full-precision twin. A "width" of a gene of
            bits is the number of bits.
        module: Makes the torch module from specs and the name of a binarizer, initialised from
            torch's global random state; None: `networks.module.build`. Where candidates inherit
            from a parent, each parameter of a narrower network must correspond to the first
            channels of the same parameter of a wider one.
        bit_genes: How many of the genes, the last ones, are bits of activations (see
            `networks.bits`).
    """

    name: str
    image: ImageShape
    genes: tuple[str, ...]
    base_widths: tuple[int, ...]
    layers: Callable[[Sequence[Channels], Precision], list[LayerSpec]]
    module: Callable[[Sequence[LayerSpec], str], Any] | None = None
    bit_genes: int = 0


def check_choice(network: str, option: str, value: object, choices: Sequence[object]) -> None:
    """Checks the value of an option.

    Raises:
        DefinitionError: If it is none of `choices`.
    """
    if value not in choices:
        raise DefinitionError(
            f"{network} got {option} {value!r:.100}, expected one of "
            f"{', '.join(map(repr, choices))}; correct it"
        )
