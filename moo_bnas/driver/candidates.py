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
    costs = definition.subject().each(genotypes)
    return [
        Candidate(
            g, "binary", {n: c[i] for n, c in costs.items()}, generation, definition.cost.name
        )
        for i, g in enumerate(genotypes)
    ]


def candidate(definition: Definition, genotype: Genotype, precision: Precision) -> Candidate:
    """One network, at either precision."""
    subject = definition.subject()
    costs = subject.costs_of(subject.space.decode(genotype), precision)
    return Candidate(genotype, precision, costs, ordered_by=definition.cost.name)
