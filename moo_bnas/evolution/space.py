"""The search space: genotypes, and the expansion ratios that they stand for.

Everything is an index computation on numpy arrays; nothing is random.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from moo_bnas.errors import DefinitionError

Genotype = tuple[int, ...]
"""Indices into the list of ratios, one per gene: the form that pymoo works on."""

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

PAPER_RATIOS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)
"""The six ratios of Shen et al. 2019, Eq. 2."""


@dataclass(frozen=True)
class SearchSpace:
    """All assignments of one ratio to each gene.

    Attributes:
        genes: Names of the genes, in order.
        ratios: Expansion ratios that each gene chooses from, in ascending order.
    """

    genes: tuple[str, ...]
    ratios: tuple[float, ...] = PAPER_RATIOS

    def __post_init__(self) -> None:
        if not self.genes or not self.ratios:
            raise DefinitionError(
                f"a search space needs genes and ratios, got {len(self.genes)} and "
                f"{len(self.ratios)}; give at least one of each"
            )
        if list(self.ratios) != sorted(set(self.ratios)):
            raise DefinitionError(
                f"ratios must ascend without repeats, got {_listing(self.ratios)}; sort them"
            )

    @property
    def size(self) -> int:
        """The number of genotypes."""
        return prod(len(self.ratios) for _ in self.genes)

    def genotypes(self) -> IntArray:
        """All genotypes, in lexicographic order, as an array of shape (size, genes)."""
        choices = range(len(self.ratios))
        return np.array(list(itertools.product(choices, repeat=len(self.genes))), dtype=np.int64)

    def uniform(self, ratio: float) -> Genotype:
        """The genotype that gives `ratio` to every gene."""
        return self.encode([ratio] * len(self.genes))

    def encode(self, ratios: Sequence[float]) -> Genotype:
        """The genotype that stands for `ratios`.

        Raises:
            DefinitionError: Where there is not exactly one ratio per gene, or a ratio is not in the
                space.
        """
        if len(ratios) != len(self.genes):
            raise DefinitionError(
                f"got {len(ratios)} ratios, expected {len(self.genes)}: one each for "
                f"{', '.join(self.genes)}"
            )
        unknown = sorted({r for r in ratios if r not in self.ratios})
        if unknown:
            raise DefinitionError(
                f"got ratio {_listing(unknown)}, expected each to be one of "
                f"{_listing(self.ratios)}; choose from these"
            )
        return tuple(self.ratios.index(r) for r in ratios)

    def decode(self, genotype: Sequence[int]) -> tuple[float, ...]:
        """The ratios that `genotype` stands for.

        Raises:
            DefinitionError: If it is of another space.
        """
        self._check(genotype)
        return tuple(self.ratios[i] for i in genotype)

    def _check(self, genotype: Sequence[int]) -> None:
        choices = len(self.ratios)
        if len(genotype) != len(self.genes) or not all(0 <= i < choices for i in genotype):
            raise DefinitionError(
                f"got the genotype {genotype_key(genotype):.100}, expected {len(self.genes)} "
                f"numbers from 0 to {choices - 1}; if a storage holds it, that row is damaged or "
                "forged"
            )

    def widths(self, genotypes: IntArray, base_widths: Sequence[int]) -> IntArray:
        """Widths `int(base * ratio)` of many genotypes.

        Args:
            genotypes: Genotypes, shape (n, genes).
            base_widths: Width of each gene at ratio 1.

        Returns:
            Width of each gene of each genotype, shape (n, genes).
        """
        table = np.array(
            [[int(base * r) for r in self.ratios] for base in base_widths], dtype=np.int64
        )
        widths: IntArray = table[np.arange(len(base_widths)), genotypes]
        return widths

    def widths_of(self, genotype: Sequence[int], base_widths: Sequence[int]) -> tuple[int, ...]:
        """Widths of one genotype."""
        self._check(genotype)
        return tuple(int(w) for w in self.widths(np.array([genotype]), base_widths)[0])


def genotype_key(genotype: Sequence[int]) -> str:
    """The text that stands for a genotype in keys and hashes, such as `0,3,2`."""
    return ",".join(str(int(i)) for i in genotype)


def parse_genotype_key(key: str) -> Genotype:
    """The genotype that a key of `genotype_key` stands for."""
    return tuple(int(i) for i in key.split(","))


def _listing(ratios: Sequence[float]) -> str:
    return ", ".join(f"{r:g}" for r in ratios)
