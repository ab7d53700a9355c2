"""What is submitted for a genotype: its costs and its attributes."""

from __future__ import annotations

from collections.abc import Sequence

from moo_bnas.definition import Definition
from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import Genotype
from moo_bnas.storage import Candidate


def binary_candidates(
    definition: Definition, genotypes: Sequence[Genotype], generation: int | None
) -> list[Candidate]:
    """Binary networks. Counting the costs of all at once takes as long as counting one network."""
    network, space = definition.make_network(), definition.make_space()
    costs = {n: c.each(network, space, genotypes) for n, c in definition.costs().items()}
    return [
        Candidate(
            g, "binary", {n: c[i] for n, c in costs.items()}, generation, definition.cost.name
        )
        for i, g in enumerate(genotypes)
    ]


def candidate(definition: Definition, genotype: Genotype, precision: Precision) -> Candidate:
    """One network, at either precision."""
    network, space = definition.make_network(), definition.make_space()
    widths = space.widths_of(genotype, network.base_widths)
    costs = {n: c.of(network, widths, precision) for n, c in definition.costs().items()}
    return Candidate(genotype, precision, costs, ordered_by=definition.cost.name)
