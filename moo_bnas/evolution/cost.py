"""What genotypes cost, and limits on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from moo_bnas.evolution.space import FloatArray, IntArray


@dataclass(frozen=True)
class Cost:
    """One thing that a genotype costs, counted for many genotypes at once.

    Attributes:
        name: As in tables and JSON.
        unit: What one of it is.
        of: Maps genotypes of shape (n, genes) to costs of shape (n,).
    """

    name: str
    unit: str
    of: Callable[[IntArray], FloatArray]


@dataclass(frozen=True)
class Budget:
    """A limit on a cost: no candidate above it is ever proposed."""

    cost: Cost
    limit: float
