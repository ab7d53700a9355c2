"""The search space: genotypes, and the expansion ratios or other values that they stand for.

Everything is an index computation on numpy arrays; nothing is random.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from moo_bnas.errors import DefinitionError

Genotype = tuple[int, ...]
"""Indices into the list of values, one per gene: the form that pymoo works on."""

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

PAPER_RATIOS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)
"""The six ratios of Shen et al. 2019, Eq. 2."""


@dataclass(frozen=True)
class SearchSpace:
    """All assignments of one value to each gene.

    Attributes:
        genes: Names of the genes, in order.
        ratios: Expansion ratios that every gene of a width chooses from, in ascending order; none
            in a space that is not of widths.
        values: Values that each gene chooses from, in ascending order: the ratios, unless given.
        bit_genes: How many of the genes, the last ones, are bits of activations and not widths.
    """

    genes: tuple[str, ...]
    ratios: tuple[float, ...] = PAPER_RATIOS
    values: tuple[tuple[float, ...], ...] = ()
    bit_genes: int = 0

    @staticmethod
    def with_bits(
        genes: tuple[str, ...], ratios: tuple[float, ...], bit_genes: int, bits: Sequence[int]
    ) -> SearchSpace:
        """The space of widths, and of bits of activations.

        Args:
            genes: Names of the genes of widths, then of those of bits.
            ratios: Expansion ratios of each width.
            bit_genes: How many of the genes are bits.
            bits: Numbers of bits that each of these chooses from, in ascending order.
        """
        if not bit_genes:
            return SearchSpace(genes, ratios)
        of_bits = (tuple(map(float, bits)),) * bit_genes
        values = (ratios,) * (len(genes) - bit_genes) + of_bits
        return SearchSpace(genes, ratios, values, bit_genes)

    @staticmethod
    def of(genes: Mapping[str, Sequence[float]]) -> SearchSpace:
        """The space of genes with values of their own, by name.

        Raises:
            DefinitionError: Where there are no genes, or values do not ascend.
        """
        for gene, values in genes.items():
            if not values or list(values) != sorted(set(values)):
                raise DefinitionError(
                    f"values of gene {gene} must ascend without repeats, got "
                    f"{_listing(values) or 'none'}; sort them"
                )
        return SearchSpace(tuple(genes), (), tuple(tuple(values) for values in genes.values()))

    def __post_init__(self) -> None:
        if self.genes and self.values:
            return
        if not self.genes or not self.ratios:
            raise DefinitionError(
                f"a search space needs genes and ratios, got {len(self.genes)} and "
                f"{len(self.ratios)}; give at least one of each"
            )
        if list(self.ratios) != sorted(set(self.ratios)):
            raise DefinitionError(
                f"ratios must ascend without repeats, got {_listing(self.ratios)}; sort them"
            )
        object.__setattr__(self, "values", (self.ratios,) * len(self.genes))

    @property
    def choices(self) -> list[int]:
        """The number of values of each gene."""
        return [len(values) for values in self.values]

    @property
    def size(self) -> int:
        """The number of genotypes."""
        return prod(self.choices)

    def genotypes(self) -> IntArray:
        """All genotypes, in lexicographic order, as an array of shape (size, genes)."""
        return np.array(list(itertools.product(*map(range, self.choices))), dtype=np.int64)

    @property
    def bits(self) -> tuple[int, ...]:
        """The numbers of bits that its genes of bits choose from; empty where there are none."""
        return tuple(map(int, self.values[-1])) if self.bit_genes else ()

    @property
    def smallest(self) -> Genotype:
        """The genotype of the least value of each gene."""
        return (0,) * len(self.genes)

    @property
    def largest(self) -> Genotype:
        """The genotype of the greatest value of each gene."""
        return tuple(number - 1 for number in self.choices)

    def split(self, values: Sequence[float]) -> tuple[tuple[float, ...], tuple[int, ...]]:
        """The ratios, and the bits, of one value per gene."""
        at = len(self.genes) - self.bit_genes
        return tuple(values[:at]), tuple(map(int, values[at:]))

    def of_ratio(self, ratio: float, bits: int | None = None) -> tuple[float, ...]:
        """The value of each gene where all widths have one ratio, which need not be of the space.

        Args:
            ratio: Ratio of each width.
            bits: Value of each gene of bits; None: the least of the space.
        """
        own = self.bits[0] if bits is None and self.bits else bits
        widths = len(self.genes) - self.bit_genes
        return (ratio,) * widths + (float(own or 1),) * self.bit_genes

    def uniforms(self) -> list[tuple[float, ...]]:
        """The values of all uniform networks, by ratio, then by bits."""
        return [self.of_ratio(r, b) for r in self.ratios for b in self.bits or (None,)]

    def is_uniform(self, values: Sequence[float]) -> bool:
        """Whether all widths have one ratio, and all binarizers one number of bits."""
        ratios, bits = self.split(values)
        return len(set(ratios)) == 1 and len(set(bits)) <= 1

    def uniform(self, ratio: float, bits: int | None = None) -> Genotype:
        """The genotype of the uniform network `of_ratio`."""
        return self.encode(self.of_ratio(ratio, bits))

    def filled(self, given: Sequence[float]) -> Sequence[float]:
        """One value per gene; of a single ratio, those of the uniform network."""
        return self.of_ratio(given[0]) if len(given) == 1 else given

    def encode(self, ratios: Sequence[float]) -> Genotype:
        """The genotype that stands for `ratios`, or for other values of the genes.

        Raises:
            DefinitionError: Where there is not exactly one value per gene, or a value is not in the
                space.
        """
        alike = bool(self.ratios) and not self.bit_genes  # all genes have the same values
        kind = "ratio" if alike else "value"
        if len(ratios) != len(self.genes):
            raise DefinitionError(
                f"got {len(ratios)} {kind}s, expected {len(self.genes)}: one each for "
                f"{', '.join(self.genes)}"
            )
        for gene, value, known in zip(self.genes, ratios, self.values, strict=True):
            if value not in known:
                unknown = sorted({r for r in ratios if r not in known}) if alike else [value]
                of = "" if alike else f" of {gene}"
                raise DefinitionError(
                    f"got {kind} {_listing(unknown)}{of}, expected each to be one of "
                    f"{_listing(known)}; choose from these"
                )
        return tuple(known.index(r) for known, r in zip(self.values, ratios, strict=True))

    def decode(self, genotype: Sequence[int]) -> tuple[float, ...]:
        """The ratios, or other values, that `genotype` stands for.

        Raises:
            DefinitionError: If it is of another space.
        """
        self._check(genotype)
        return tuple(known[i] for known, i in zip(self.values, genotype, strict=True))

    def named(self, genotype: Sequence[int]) -> dict[str, float]:
        """The value of each gene, by its name."""
        return dict(zip(self.genes, self.decode(genotype), strict=True))

    def _check(self, genotype: Sequence[int]) -> None:
        choices = self.choices
        if len(genotype) != len(choices) or not all(
            0 <= i < number for i, number in zip(genotype, choices, strict=True)
        ):
            numbers = sorted(set(choices))
            upto = " or ".join(str(number - 1) for number in numbers)
            raise DefinitionError(
                f"got the genotype {genotype_key(genotype):.100}, expected {len(self.genes)} "
                f"numbers from 0 to {upto}; if a storage holds it, that row is damaged or "
                "forged"
            )

    def widths(self, genotypes: IntArray, base_widths: Sequence[int]) -> IntArray:
        """Widths `int(base * ratio)` of many genotypes, and bits.

        Args:
            genotypes: Genotypes, shape (n, genes).
            base_widths: Width of each gene at ratio 1, and 1 for each gene of bits.

        Returns:
            Width, or bits, of each gene of each genotype, shape (n, genes).
        """
        tables = [
            np.array([int(base * value) for value in values], dtype=np.int64)
            for base, values in zip(base_widths, self.values, strict=True)
        ]
        widths: IntArray = np.stack([t[genotypes[:, i]] for i, t in enumerate(tables)], axis=1)
        return widths

    def widths_of(self, genotype: Sequence[int], base_widths: Sequence[int]) -> tuple[int, ...]:
        """Widths, and bits, of one genotype."""
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
