"""The cost model: FLOPs and memory from layer specs.

FLOPs are multiply-accumulates plus the counted extras, and those of a binary layer count 1/64
(Liu et al., Bi-Real Net, ECCV 2018; Shen et al. 2019, section 2). Memory is 32 bits per
full-precision weight of a conv or linear and 1 bit per binary one; biases and batch norm are left
out. Both reproduce the paper's Tables 1 and 2 to the last printed digit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moo_bnas.evaluation import Precision
from moo_bnas.evolution.cost import Cost
from moo_bnas.evolution.space import FloatArray, IntArray, SearchSpace
from moo_bnas.networks.layers import Channels, LayerSpec
from moo_bnas.networks.network import Network

BINARY_SPEEDUP = 64


def macs(layer: LayerSpec) -> Channels:
    """Multiply-accumulates of a layer as they are, at any precision."""
    if layer.kind not in ("conv", "linear"):
        return 0
    return layer.kernel**2 * layer.in_channels * layer.out_channels * layer.out_size**2


def layer_flops(layer: LayerSpec) -> float | NDArray[np.floating[Any]]:
    """FLOPs of a layer: products and extras, a 64th of them where it is binary."""
    total = macs(layer) + layer.extra_ops * layer.out_channels * layer.out_size**2
    return total / BINARY_SPEEDUP if layer.precision == "binary" else total * 1.0


def layer_memory(layer: LayerSpec) -> Channels:
    """Bits that the weights of a layer take."""
    if layer.kind not in ("conv", "linear"):
        return 0
    weights = layer.kernel**2 * layer.in_channels * layer.out_channels
    return weights if layer.precision == "binary" else 32 * weights


def flops(network: Network, widths: Sequence[int], precision: Precision = "binary") -> float:
    """FLOPs of one network."""
    return float(sum(layer_flops(layer) for layer in network.layers(widths, precision)))


def memory_bits(network: Network, widths: Sequence[int], precision: Precision = "binary") -> int:
    """Bits that the weights of one network take."""
    return int(sum(layer_memory(layer) for layer in network.layers(widths, precision)))


def flops_cost(network: Network, space: SearchSpace) -> Cost:
    """FLOPs of the binary networks of a space."""
    return _cost(network, space, "flops", "multiply-accumulates", layer_flops)


def flops_range(network: Network, space: SearchSpace) -> tuple[float, float]:
    """FLOPs of the cheapest and of the dearest binary network of a space."""
    ends = np.array([[0], [len(space.ratios) - 1]]).repeat(len(space.genes), axis=1)
    cheapest, dearest = flops_cost(network, space).of(ends)
    return float(cheapest), float(dearest)


def memory_cost(network: Network, space: SearchSpace) -> Cost:
    """Memory of the binary networks of a space."""
    return _cost(network, space, "memory_bits", "bits", layer_memory)


def _cost(
    network: Network,
    space: SearchSpace,
    name: str,
    unit: str,
    of_layer: Callable[[LayerSpec], Any],
) -> Cost:
    def of(genotypes: IntArray) -> FloatArray:
        widths = space.widths(np.asarray(genotypes, dtype=np.int64), network.base_widths)
        layers = network.layers(list(widths.T), "binary")
        return np.asarray(sum(of_layer(layer) for layer in layers), dtype=np.float64)

    return Cost(name, unit, of)
