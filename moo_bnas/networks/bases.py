"""Networks whose binary convs are more than one conv of bits with signs.

Some binarizers sum up several bases, take sums of windows, or multiply what a conv gives by means
of its input. What that adds to the steps of a network is added to its specs after they are made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import Precision
from moo_bnas.networks.binarizers import Binarizer
from moo_bnas.networks.layers import Channels, LayerSpec
from moo_bnas.networks.network import Network

MOST_BASES = 6
"""Bases that weights or activations may have; with 7 a ResNet-18 has too many layers to export."""


_ADDED = re.compile(r"_(shift\d|bits\d|part\d_\d|sum\d+|scaled|magnitude)")
"""How the names of added steps end, also of those in exports (see `models.compound`)."""

_LONGEST = 85


def with_needs_of(network: Network, binarizer: Binarizer) -> Network:
    """The network with the steps and the counts that a binarizer adds; often the network itself.

    Raises:
        DefinitionError: If a binary conv does not read a binarizer, which only binary convs read,
            or the names of its steps leave no room for those that are added.
    """
    if binarizer.is_fixed:
        return network
    _check(network, binarizer)

    def layers(widths: Sequence[Channels], precision: Precision) -> list[LayerSpec]:
        specs = network.layers(widths, precision)
        return _scaled(specs) if binarizer.scales_inputs else _counted(specs, binarizer)

    return replace(network, layers=layers)


def _check(network: Network, binarizer: Binarizer) -> None:
    if network.module is not None:
        raise DefinitionError(
            f"{network.name} has a torch module of its own, which does not know that binarizer "
            f"{binarizer.name} adds to its steps; choose another binarizer"
        )
    why = ""
    kinds: dict[str, str] = {}
    for spec in network.layers(network.base_widths, "binary"):
        kinds[spec.name] = spec.kind
        bits = [name for name in spec.inputs if kinds.get(name) == "binarize"]
        if bool(bits) != (spec.precision == "binary"):
            read = ", ".join(spec.inputs)
            why = why or f"the step {spec.name} ({spec.kind}, {spec.precision}) that reads {read}"
    if why:
        raise DefinitionError(
            f"{network.name} has {why}, and with binarizer {binarizer.name} every binary conv must "
            "read a binarizer itself, and nothing else may; choose another binarizer"
        )
    for name in kinds:
        taken = [other for other in kinds if _ADDED.fullmatch(other.removeprefix(name))]
        if len(name) > _LONGEST or taken:
            raise DefinitionError(
                f"{network.name} has the step {(taken or [name])[0]:.120}, and binarizer "
                f"{binarizer.name} adds steps to {name:.120} that need names of their own of up to "
                "100 letters; rename it"
            )


def _counted(specs: Sequence[LayerSpec], binarizer: Binarizer) -> list[LayerSpec]:
    sums = int(binarizer.offset is not None)
    return [
        replace(spec, bases=binarizer.bases, window_sums=sums)
        if spec.precision == "binary"
        else spec
        for spec in specs
    ]


def _scaled(specs: Sequence[LayerSpec]) -> list[LayerSpec]:
    """Each binary conv is followed by a step that multiplies it by means of its input."""
    made: list[LayerSpec] = []
    renamed: dict[str, str] = {}
    for spec in specs:
        inputs = tuple(renamed.get(name, name) for name in spec.inputs)
        made.append(replace(spec, inputs=inputs))
        channels, size = spec.out_channels, spec.out_size
        if spec.kind == "binarize":
            name = f"{spec.name}_magnitude"
            made.append(LayerSpec(name, "mean_magnitude", inputs, channels, 1, size))
        elif spec.precision == "binary":
            renamed[spec.name] = name = f"{spec.name}_scaled"
            read = (spec.name, f"{inputs[0]}_magnitude")
            window = (spec.kernel, spec.stride, spec.padding)
            made.append(
                LayerSpec(name, "scale", read, channels, channels, size, *window, extra_ops=1)
            )
    return made
