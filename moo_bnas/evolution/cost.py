"""Costs of genotypes, and limits on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from moo_bnas.evolution.space import FloatArray, IntArray


@dataclass(frozen=True)
class Cost:
    """One thing that a genotype costs, counted for many genotypes at once.

    Attributes:
        name: Name shown in tables and JSON.
        unit: Unit that the cost is counted in.
        of: Function from genotypes, shape (n, genes), to their costs, shape (n,).
    """

    name: str
    unit: str
    of: Callable[[IntArray], FloatArray]


@dataclass(frozen=True)
class Budget:
    """A limit on a cost: no candidate above it is ever proposed.

    Attributes:
        cost: Cost that is limited.
        limit: Highest cost of a candidate.
    """

    cost: Cost
    limit: float
