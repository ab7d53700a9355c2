"""Networks whose activations have more bits than 1, all the same number or one per gene.

A binarizer with k bits has 2^k equally spaced levels. A binary conv of them is k binary convs, one
per bit, whose sums are added up with shifts: k times the operations, and the same weights. So bits
are a property of the steps of any network, and are set on its specs after they are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import Precision
from moo_bnas.networks.layers import Channels, LayerSpec
from moo_bnas.networks.network import Network

MOST_BITS = 4
"""Bits that an activation may have."""


def with_bits(network: Network, bits: int) -> Network:
    """The network with this number of bits at each binarizer.

    Raises:
        DefinitionError: If its activations cannot have more bits than 1.
    """
    count = len(_readers(network))

    def layers(widths: Sequence[Channels], precision: Precision) -> list[LayerSpec]:
        return _set(network.layers(widths, precision), [bits] * count)

    return replace(network, layers=layers)


def with_bit_genes(network: Network, *, shared: bool) -> Network:
    """The network with genes for the bits of its activations, after those for its widths.

    There is one per binarizer, named after the binary conv that reads it (the first, where there
    are several), such as `conv2_bits`.

    Args:
        network: Network whose genes are widths.
        shared: Whether there is only one, `bits`, for all binarizers.

    Raises:
        DefinitionError: If its activations cannot have more bits than 1.
    """
    readers, own = _readers(network), len(network.genes)
    genes = ("bits",) if shared else tuple(f"{reader}_bits" for reader in readers)

    def layers(widths: Sequence[Channels], precision: Precision) -> list[LayerSpec]:
        bits = list(widths[own:])
        return _set(
            network.layers(widths[:own], precision), bits * len(readers) if shared else bits
        )

    return replace(
        network,
        genes=network.genes + genes,
        base_widths=network.base_widths + (1,) * len(genes),
        layers=layers,
        bit_genes=len(genes),
    )


def _readers(network: Network) -> list[str]:
    """Of each binarizer the first binary conv that reads it, directly or through a max-pool."""
    sources: dict[str, str] = {}
    readers: dict[str, str] = {}
    for spec in network.layers(network.base_widths, "binary"):
        read = sources.get(spec.inputs[0])
        if spec.kind == "binarize":
            sources[spec.name] = readers[spec.name] = spec.name
        elif spec.kind == "max_pool" and read is not None:
            sources[spec.name] = read
        elif spec.precision == "binary" and read is not None:
            if readers[read] == read:
                readers[read] = spec.name
        elif any(name in sources for name in spec.inputs):
            raise _refused(network, f"the step {spec.name} ({spec.kind}) that reads binary values")
    if network.module is not None:
        raise _refused(network, "a torch module of its own")
    if not readers:
        raise _refused(network, "no binarizer")
    return list(readers.values())


def _set(specs: list[LayerSpec], bits: Sequence[Channels]) -> list[LayerSpec]:
    """The specs with the bits of each binarizer, in order; the full-precision twin has none."""
    left = iter(bits)
    known: dict[str, Channels] = {}
    found = []
    for spec in specs:
        own = next(left) if spec.kind == "binarize" else known.get(spec.inputs[0], 1)
        if spec.kind in ("binarize", "max_pool"):
            known[spec.name] = own
        found.append(spec if spec.kind == "max_pool" else replace(spec, bits=own))
    return found


def _refused(network: Network, why: str) -> DefinitionError:
    return DefinitionError(
        f"{network.name} has {why}, so its activations have 1 bit; leave activation_bits out"
    )
