"""Latency as a cost: a table of how long each layer takes at the widths of a space.

`moo-bnas latency` measures it on one machine (`models.fast.latency`); a run that has it holds it in
its definition. The latency of a network is the sum of its layers'. A runtime computes some layers
together with the one before them (a batch norm, a binarizer), so the binary network and its
full-precision twin have tables of their own, in which such layers have no times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import PRECISIONS, Precision
from moo_bnas.evolution.space import FloatArray, IntArray, SearchSpace
from moo_bnas.networks.binarizers import BINARIZERS, check_binarizer
from moo_bnas.networks.cost import COSTS, LayerCost
from moo_bnas.networks.layers import LayerSpec
from moo_bnas.networks.network import Network
from moo_bnas.section import Section

LATENCY = "latency_ms"
"""Name of the cost."""

NO_TABLE = (
    "got a search by latency, or a limit on it, without a latency table; give --latency-table "
    'FILE, or latency = "FILE" at the top of the definition, with a file of `moo-bnas latency`'
)
"""What is wrong with a definition that asks for latency without a table."""

_Text = Annotated[str, Field(max_length=200)]
_Channels = Annotated[int, Field(ge=1, le=2**25)]
_Axis = Annotated[tuple[_Channels, ...], Field(strict=False, max_length=1000)]
_Milliseconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
_Row = Annotated[tuple[_Milliseconds | None, ...], Field(strict=False)]


class LayerTimes(Section):
    """How long one layer takes, by its channels.

    Attributes:
        shape: All else that the time depends on, see `shape_of`.
        in_channels: Numbers of input channels that were measured, ascending.
        out_channels: Numbers of output channels that were measured, ascending.
        ms: Milliseconds, a row per number of input channels and a column per number of output
            channels; None for pairs that no network of the space has. All three are empty for a
            layer that is computed together with another one.
    """

    shape: _Text
    in_channels: _Axis
    out_channels: _Axis
    ms: Annotated[tuple[_Row, ...], Field(strict=False)]

    @model_validator(mode="after")
    def _is_a_table(self) -> LayerTimes:
        rows, columns = len(self.in_channels), len(self.out_channels)
        if len(self.ms) != rows or any(len(row) != columns for row in self.ms):
            raise ValueError(f"ms is not a table of {rows} x {columns} numbers")
        for axis in (self.in_channels, self.out_channels):
            if list(axis) != sorted(set(axis)):
                raise ValueError("channels do not ascend without repeats")
        if not np.array_equal(monotone(self._matrix), self._matrix, equal_nan=True):
            raise ValueError("ms falls with a rising number of channels")
        return self

    @property
    def _matrix(self) -> FloatArray:
        return np.array(self.ms, dtype=np.float64).reshape(
            len(self.in_channels), len(self.out_channels)
        )

    def of(self, layer: LayerSpec) -> Any:
        """Milliseconds of a layer: a number, or an array where its channel counts are arrays.

        Raises:
            DefinitionError: If it is a layer of another shape, or of channels that were not
                measured.
        """
        if (shape := shape_of(layer)) != self.shape:
            raise DefinitionError(
                f"the latency table has {layer.name} as {self.shape}, and the network as {shape}: "
                "it was measured for another network; measure this one with moo-bnas latency"
            )
        if not self.ms:
            return 0.0
        pairs = np.broadcast_arrays(np.asarray(layer.in_channels), np.asarray(layer.out_channels))
        at, known = [], np.ones(pairs[0].shape, np.bool_)
        for given, axis in zip(
            pairs, map(np.array, (self.in_channels, self.out_channels)), strict=True
        ):
            at.append(np.minimum(np.searchsorted(axis, given), len(axis) - 1))
            known &= axis[at[-1]] == given
        found = self._matrix[at[0], at[1]]
        known &= ~np.isnan(found)
        if not known.all():
            missing = tuple(int(p[~known].flat[0]) for p in pairs)
            raise DefinitionError(
                f"the latency table lacks {layer.name} from {missing[0]} to {missing[1]} channels; "
                "measure the definition that you search with moo-bnas latency"
            )
        return found if found.ndim else float(found)

    def at_least(self, other: LayerTimes) -> LayerTimes:
        """The same, but nowhere less than another table of the same channels."""
        rows = tuple(
            tuple(a if a is None or b is None else max(a, b) for a, b in zip(*pair, strict=True))
            for pair in zip(self.ms, other.ms, strict=True)
        )
        return self.model_copy(update={"ms": rows})


_Layers = Annotated[dict[_Text, LayerTimes], Field(min_length=1, max_length=2000)]


class LatencyTable(Section):
    """Milliseconds of the layers of a network, on one thread of one machine.

    Attributes:
        kind: Kind of file.
        version: Version of this format.
        network: Name of the network.
        processor: Name of the processor.
        runtime: What ran the network, with its kernels.
        versions: Versions of what ran it.
        binary: Layers of the binary networks, by name; where a space has genes for the bits of
            activations, of those with 1 bit.
        bits: Layers of those whose activations all have more bits, by that number.
        full: Layers of the full-precision twin of the uniform 1x network, by name.
    """

    kind: Literal["latency table"] = "latency table"
    version: Literal[1] = 1
    network: _Text
    processor: _Text
    runtime: _Text
    versions: Annotated[dict[_Text, _Text], Field(max_length=20)]
    binary: _Layers
    bits: dict[Annotated[str, Field(pattern="^[2-4]$")], _Layers] = Field(default_factory=dict)
    full: _Layers

    @property
    def digest(self) -> str:
        """SHA-256 of its content."""
        return hashlib.sha256(self.content().encode()).hexdigest()

    def content(self) -> str:
        """Its JSON; without bits that of 0.1."""
        return self.model_dump_json(exclude=None if self.bits else {"bits"})

    def named(self) -> str:
        """A line that says which table it is, without its numbers."""
        return f"{self.processor}, {self.runtime}, {self.digest[:12]}"

    def check_network(self, name: str, binarizer: str) -> None:
        """Refuses the name of another network, whose layers may have the same shapes.

        Raises:
            DefinitionError: If it is not the network that was measured, or its binarizer adds steps
                to what runs.
        """
        check_timed(binarizer)
        if name != self.network:
            raise DefinitionError(
                f"got a latency table of {self.network} for {name}; measure {name} with "
                "moo-bnas latency"
            )

    def of_layers(self, layers: Sequence[LayerSpec]) -> list[Any]:
        """Milliseconds of the layers of one network (or of many, see `LayerSpec`).

        Raises:
            DefinitionError: If a layer was not measured; the message names it.
        """
        binary = any(layer.precision == "binary" for layer in layers)
        precision: Precision = "binary" if binary else "full"
        for layer in layers:
            if layer.name not in (self.binary if binary else self.full):
                raise DefinitionError(
                    f"the latency table lacks {layer.name} (the {precision} network); measure the "
                    "definition that you search with moo-bnas latency"
                )
        return [
            self._of_binary(layer) if binary else self.full[layer.name].of(layer)
            for layer in layers
        ]

    def _of_binary(self, layer: LayerSpec) -> Any:
        """Milliseconds of a layer of a binary network, whose bits may be an array, too."""

        def of(bits: int) -> Any:
            times = self.bits.get(str(bits), self.binary)[layer.name]
            return times.of(replace(layer, bits=bits))

        first, *more = np.unique(layer.bits).tolist()
        found = of(first)
        for bits in more:
            found = np.where(np.equal(layer.bits, bits), of(bits), found)
        return found

    def cost(self) -> LayerCost:
        """The latency of networks, as a cost."""
        note = f"{self.processor}, {self.runtime}"
        return LayerCost(LATENCY, "latency", "ms", note, self.of_layers)


def costs_with(table: LatencyTable | None, *, first: bool) -> Mapping[str, LayerCost]:
    """All costs of networks, by name.

    Args:
        table: Latency table; None: latency is not among them.
        first: Whether latency is the first of them, which a search weighs.
    """
    if table is None:
        return COSTS
    latency = {LATENCY: table.cost()}
    return latency | COSTS if first else COSTS | latency


def check_timed(binarizer: str) -> None:
    """Refuses a binarizer with which the layers that run are others than those of the network.

    Raises:
        DefinitionError: If it is such a one.
    """
    if not BINARIZERS[check_binarizer(binarizer)].is_fixed:
        fixed = (each.name for each in BINARIZERS.values() if each.is_fixed)
        raise DefinitionError(
            f"got binarizer {binarizer}, whose exports have other layers than the network, so that "
            f"they cannot be timed layer by layer; choose one of {', '.join(fixed)}, or search by "
            "FLOPs"
        )


def check_known(latency: LayerCost, network: Network, space: SearchSpace) -> None:
    """Checks that the latency of every network of a space is known, and of both uniform 1x ones.

    Raises:
        DefinitionError: If it is not; the message names a layer.
    """
    latency.over(network, space).of(np.concatenate(by_bits(space)))
    for precision in PRECISIONS:
        if latency.of(network, network.base_widths, precision) <= 0:
            raise DefinitionError(
                "the latency table has networks that take no time at all; measure again"
            )


def shape_of(layer: LayerSpec) -> str:
    """What the time of a layer depends on beside its channels, in words."""
    window = "" if layer.kind in _WITHOUT_WINDOW else f" {layer.kernel}x{layer.kernel}"
    stride = f"/{layer.stride}" if window else ""
    padding = f" pad {layer.padding}" if layer.padding else ""
    size = f" to {layer.out_size}x{layer.out_size}"
    weights = f" {layer.precision}" if layer.kind in ("conv", "linear") else ""
    bits = "" if layer.bits == 1 else f" {layer.bits} bits"
    return f"{layer.kind}{window}{stride}{padding}{size}{weights}{bits}"


_WITHOUT_WINDOW = (
    *("linear", "batch_norm", "binarize", "relu", "global_average_pool", "flatten", "add"),
    *("hardtanh", "prelu", "bias"),
)


def monotone(matrix: FloatArray) -> FloatArray:
    """The closest matrix that falls neither along rows nor along columns; NaN stays NaN.

    Wider layers are not faster, but noise may say so, and searches rely on it that narrower
    networks cost no more. This is the middle between the smallest such matrix above the given one
    and the largest one below, which has the least possible greatest deviation.
    """
    if not matrix.size:
        return matrix
    above, below = matrix, matrix[::-1, ::-1]
    for axis in (0, 1):
        above = np.fmax.accumulate(above, axis=axis)
        below = np.fmin.accumulate(below, axis=axis)
    middle: FloatArray = np.where(np.isnan(matrix), np.nan, (above + below[::-1, ::-1]) / 2)
    return middle


def table_of(
    times: Mapping[tuple[int, int], float], layer: LayerSpec, digits: int = 4
) -> LayerTimes:
    """The times of a layer.

    Args:
        times: Milliseconds by numbers of input and output channels; empty for a layer that is
            computed together with another one.
        layer: Any spec of the layer.
        digits: Significant digits that are kept.
    """
    axes = [sorted({pair[i] for pair in times}) for i in (0, 1)]
    matrix = np.full((len(axes[0]), len(axes[1])), np.nan)
    for pair, ms in times.items():
        matrix[axes[0].index(pair[0]), axes[1].index(pair[1])] = ms
    # Rounding keeps the order.
    rows = tuple(
        tuple(None if np.isnan(ms) else float(f"{ms:.{digits}g}") for ms in row)
        for row in monotone(matrix)
    )
    in_channels, out_channels = map(tuple, axes)
    return LayerTimes(
        shape=shape_of(layer), in_channels=in_channels, out_channels=out_channels, ms=rows
    )


def covering(genes: int, choices: int) -> IntArray:
    """Genotypes in which each two genes take each pair of choices, shape (n, genes).

    Each gene has one of two choices, by a bit of its number; two genes differ in a bit. The layers
    of these genotypes have every pair of widths that a network of the space has, if each layer's
    widths depend on one gene each.
    """
    found = {
        tuple(pair[gene >> bit & 1] for gene in range(genes))
        for bit in range(max(1, (genes - 1).bit_length()))
        for pair in np.ndindex(choices, choices)
    }
    return np.array(sorted(found), dtype=np.int64)


def by_bits(space: SearchSpace) -> list[IntArray]:
    """For each number of bits of a space the genotypes that are `covering` its widths."""
    genotypes = covering(len(space.genes) - space.bit_genes, len(space.ratios))
    return [
        np.hstack([genotypes, np.full((len(genotypes), space.bit_genes), choice)])
        for choice in range(max(len(space.bits), 1))
    ]
