"""What is submitted for a genotype: its costs and its attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
        _candidate(definition, g, "binary", {n: c[i] for n, c in costs.items()}, generation)
        for i, g in enumerate(genotypes)
    ]


def candidate(definition: Definition, genotype: Genotype, precision: Precision) -> Candidate:
    """One network, at either precision."""
    network, space = definition.make_network(), definition.make_space()
    widths = space.widths_of(genotype, network.base_widths)
    costs = {n: c.of(network, widths, precision) for n, c in definition.costs().items()}
    return _candidate(definition, genotype, precision, costs, None)


def _candidate(
    definition: Definition,
    genotype: Genotype,
    precision: Precision,
    costs: Mapping[str, float],
    generation: int | None,
) -> Candidate:
    attributes: dict[str, Any] = {"genotype": list(genotype), "precision": precision, **costs}
    if generation is not None:
        attributes["generation"] = generation
    return Candidate(genotype, precision, costs[definition.cost.name], attributes)
