"""The cost model: what a network costs, added up over its layer specs.

FLOPs are multiply-accumulates plus the counted extras, and those of a binary layer count 1/64
(Liu et al., Bi-Real Net, ECCV 2018; Shen et al. 2019, section 2). With k bits per activation a
binary layer counts k times: it is k such layers, one per bit, with the same weights (Zhou et al.,
DoReFa-Net, 2016, Eq. 3). With M bases of weights and N of activations it counts M N times (Lin et
al., ABC-Net, 2017). Memory is 32 bits per full-precision weight of a conv or linear and 1 bit per
binary one and base; biases and batch norm are left out. Both reproduce the paper's Tables 1 and 2
to the last printed digit.

A further cost is one more `LayerCost` in `COSTS`: candidates, storage, reports and commands take
every cost from there. One that a run brings, such as `latency`, is added by `Definition.costs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moo_bnas.evaluation import Precision
from moo_bnas.evolution.cost import Cost
from moo_bnas.evolution.space import FloatArray, IntArray, SearchSpace
from moo_bnas.networks.layers import Channels, LayerSpec
from moo_bnas.networks.network import Network
from moo_bnas.units import quantity

BINARY_SPEEDUP = 64

_WITH_PREFIX = ("ms",)  # no other prefix stands before these units


@dataclass(frozen=True)
class LayerCost:
    """One thing that a network costs: a sum over its layers, of which less is better.

    Attributes:
        name: Key in JSON, in the attributes of a trial, and of the study's metric.
        title: What people read in tables and on axes.
        unit: What stands behind a quantity, as in `7.3 Mbit`; empty for counts.
        note: What a reader must know of how it is counted; may be empty.
        of_layers: Costs of the layers of one network: of each a number, or an array of shape (n,)
            where its channel counts are such arrays. What a layer costs may depend on the others,
            as where a runtime computes several at once.
    """

    name: str
    title: str
    unit: str
    note: str
    of_layers: Callable[[Sequence[LayerSpec]], Sequence[Any]]

    def total(self, layers: Sequence[LayerSpec]) -> Any:
        """Cost of a network, of the type that `of_layers` returns for a layer."""
        # One after the other: since Python 3.12, sum() rounds floats otherwise than arrays.
        return reduce(add, self.of_layers(layers), 0)

    def of(self, network: Network, widths: Sequence[int], precision: Precision = "binary") -> float:
        """Cost of one network; an integer where the cost of every layer is one."""
        total = self.total(network.layers(widths, precision))
        number: float = total.item() if isinstance(total, np.generic) else total
        return number

    def over(self, network: Network, space: SearchSpace) -> Cost:
        """Cost of the binary networks of a space, for many genotypes at once."""

        def of(genotypes: IntArray) -> FloatArray:
            return np.asarray(self.total(_layers(network, space, genotypes)), dtype=np.float64)

        return Cost(self.name, self.unit or self.title, of)

    def each(
        self, network: Network, space: SearchSpace, genotypes: Sequence[Sequence[int]]
    ) -> list[float]:
        """Costs of binary networks, each as `of` returns it, as fast as the cost of one."""
        numbers: list[float] = self.total(_layers(network, space, np.array(genotypes))).tolist()
        return numbers

    def amount(self, value: float) -> str:
        """A quantity of it for people: `13.19 M`, `7.30 Mbit`, `0.0123 ms`."""
        if self.unit in _WITH_PREFIX:
            return f"{value:.3g} {self.unit}" if value < 1000 else f"{value:.0f} {self.unit}"
        return f"{quantity(value)}{self.unit}".strip()

    def ends(self, network: Network, space: SearchSpace) -> tuple[float, float]:
        """Costs of the cheapest and of the most expensive binary network of a space."""
        least, most = self.over(network, space).of(np.array([space.smallest, space.largest]))
        return float(least), float(most)


def macs(layer: LayerSpec) -> Channels:
    """Multiply-accumulates of a layer as they are, at any precision, and additions of means."""
    match layer.kind:
        case "conv":
            outputs = layer.out_channels + layer.window_sums
            return layer.kernel**2 * layer.in_channels * outputs * layer.out_size**2
        case "linear":
            return layer.in_channels * layer.out_channels
        case "mean_magnitude":
            return layer.in_channels * layer.out_size**2
        case "scale":
            return layer.kernel**2 * layer.out_size**2
        case _:
            return 0


def layer_flops(layer: LayerSpec) -> float | NDArray[np.floating[Any]]:
    """FLOPs of a layer: products and extras, a 64th of them per bit where it is binary."""
    total = macs(layer) + layer.extra_ops * layer.out_channels * layer.out_size**2
    if layer.precision != "binary":
        return total * 1.0
    of_weights, of_activations = layer.bases
    return layer.bits * of_weights * of_activations * total / BINARY_SPEEDUP


def layer_memory(layer: LayerSpec) -> Channels:
    """Bits that the weights of a layer take."""
    if layer.kind not in ("conv", "linear"):
        return 0
    weights = layer.kernel**2 * layer.in_channels * layer.out_channels
    return layer.bases[0] * weights if layer.precision == "binary" else 32 * weights


def one_by_one(
    of_layer: Callable[[LayerSpec], Any],
) -> Callable[[Sequence[LayerSpec]], Sequence[Any]]:
    """Costs of layers that do not depend on each other, from the cost of one layer."""
    return lambda layers: [of_layer(layer) for layer in layers]


FLOPS = LayerCost("flops", "FLOPs", "", "binary ones count 1/64", one_by_one(layer_flops))
MEMORY = LayerCost("memory_bits", "memory", "bit", "", one_by_one(layer_memory))
COSTS = {cost.name: cost for cost in (FLOPS, MEMORY)}


def flops(network: Network, widths: Sequence[int], precision: Precision = "binary") -> float:
    """FLOPs of one network."""
    return FLOPS.of(network, widths, precision)


def memory_bits(network: Network, widths: Sequence[int], precision: Precision = "binary") -> int:
    """Bits that the weights of one network take."""
    return int(MEMORY.of(network, widths, precision))


def flops_cost(network: Network, space: SearchSpace) -> Cost:
    """FLOPs of the binary networks of a space."""
    return FLOPS.over(network, space)


def _layers(network: Network, space: SearchSpace, genotypes: IntArray) -> list[LayerSpec]:
    widths = space.widths(np.asarray(genotypes, dtype=np.int64), network.base_widths)
    return network.layers(list(widths.T), "binary")
