"""What is submitted for a genotype: its costs and its attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import Genotype, SearchSpace
from moo_bnas.networks.cost import flops, flops_cost, memory_bits, memory_cost
from moo_bnas.networks.network import Network
from moo_bnas.storage import Candidate


def binary_candidates(
    network: Network, space: SearchSpace, genotypes: Sequence[Genotype], generation: int | None
) -> list[Candidate]:
    """Binary networks; to count the costs of all at once takes as long as those of one."""
    matrix = np.array(genotypes)
    costs = flops_cost(network, space).of(matrix)
    memories = memory_cost(network, space).of(matrix)
    return [
        Candidate(g, "binary", {"flops": float(cost), "memory_bits": int(memory)}, generation)
        for g, cost, memory in zip(genotypes, costs, memories, strict=True)
    ]


def candidate(
    network: Network, space: SearchSpace, genotype: Genotype, precision: Precision
) -> Candidate:
    """One network, at either precision."""
    widths = space.widths_of(genotype, network.base_widths)
    cost, memory = flops(network, widths, precision), memory_bits(network, widths, precision)
    return Candidate(genotype, precision, {"flops": cost, "memory_bits": memory})
