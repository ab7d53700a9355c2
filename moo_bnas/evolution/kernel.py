"""The covariance of genotypes that a Gaussian process is made of.

It is a sum of three parts, each built from one Matern 5/2 kernel per gene on the logarithm of its
choice: the mean over the genes (main effects), the mean over all pairs of genes (two-way
interactions), and the product of all genes (what is left).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from moo_bnas.evolution.space import FloatArray, IntArray

WIDEST = 2000
"""Choices of all genes together that a process takes: time and memory grow with their square."""

MEAN_VARIANCE = 1.0  # of the unknown mean, in units of the variance of the accuracies


class Hyperparameters(NamedTuple):
    """Logarithms of what a process is fitted by; variances in units of the accuracies' variance."""

    length: float
    main: float
    pairs: float
    rest: float
    noise: float


class Kernel:
    """Covariances of one-hot rows of genotypes."""

    def __init__(self, choices: Sequence[int]) -> None:
        ends = np.concatenate([[0], np.cumsum(choices)])
        self._offsets, self._width = ends[:-1], int(ends[-1])
        self.genes = len(choices)
        self.pairs = max(self.genes * (self.genes - 1), 1)  # ordered ones
        positions = np.concatenate([np.log1p(np.arange(c)) for c in choices])
        gene = np.repeat(np.arange(len(choices)), choices)
        self.same_gene = gene[:, None] == gene[None, :]
        self._distances = np.abs(positions[:, None] - positions[None, :])

    def one_hot(self, genotypes: IntArray) -> FloatArray:
        """One-hot rows of genotypes of shape (n, genes)."""
        rows = np.zeros((len(genotypes), self._width))
        rows[np.arange(len(genotypes))[:, None], genotypes + self._offsets] = 1.0
        return rows

    def tables(self, length: float) -> Tables:
        """Kernels of single genes for a length scale."""
        far = np.sqrt(5.0) / length * self._distances
        polynomial = 1 + far + far**2 / 3
        slope = far**2 * (1 + far) / 3
        tables = (
            polynomial * np.exp(-far),
            np.log(polynomial) - far,
            slope * np.exp(-far),
            slope / polynomial,
        )
        return Tables(*(np.where(self.same_gene, table, 0.0) for table in tables))

    def parts(
        self, one: FloatArray, other: FloatArray, tables: Tables
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Main effects, pairs and the product of all genes; 1 for equal genotypes.

        A space of one gene has no pairs: there they are 0.
        """
        # Sums over genes are products of one-hot rows with tables, which takes three matrix
        # products instead of a loop over genes. In place, as memory is slower than arithmetic.
        main = one @ (tables.matern @ other.T)
        rest = one @ (tables.logs @ other.T)
        np.exp(rest, out=rest)
        # The sum over pairs, from the square of the sum and the sum of the squares.
        pairs = main * main
        pairs -= one @ (tables.matern**2 @ other.T)
        pairs /= self.pairs
        main /= self.genes
        return main, pairs, rest

    def covariance(self, one: FloatArray, other: FloatArray, theta: Hyperparameters) -> FloatArray:
        """Covariances of all pairs of rows, shape (len(one), len(other))."""
        parts = self.parts(one, other, self.tables(float(np.exp(theta.length))))
        return weighed(parts, np.exp([theta.main, theta.pairs, theta.rest]))

    def variance(self, theta: Hyperparameters) -> float:
        """Covariance of a genotype with itself."""
        logs = [theta.main, theta.rest] + [theta.pairs] * (self.genes > 1)
        return float(np.exp(logs).sum()) + MEAN_VARIANCE


class Tables(NamedTuple):
    """Kernels of one gene for all pairs of its choices; blocks of zeros between the genes."""

    matern: FloatArray
    logs: FloatArray
    matern_slope: FloatArray  # derivative by the logarithm of the length scale
    logs_slope: FloatArray


class Expected:
    """Sums of weighted covariances with the evaluated genotypes, without all the covariances.

    Main effects are linear in a one-hot row and pairs are quadratic, so the sums over the
    evaluated genotypes are taken once; only the product of all genes takes them one by one.
    """

    def __init__(
        self, kernel: Kernel, seen: FloatArray, weights: FloatArray, theta: Hyperparameters
    ) -> None:
        tables = kernel.tables(float(np.exp(theta.length)))
        of_main, of_pairs, of_rest = np.exp([theta.main, theta.pairs, theta.rest])
        towards = tables.matern @ seen.T
        self._mean = MEAN_VARIANCE * float(weights.sum())
        self._main = of_main / kernel.genes * (towards @ weights)
        pairs = of_pairs / kernel.pairs * ((towards * weights) @ towards.T)
        self._pairs = np.where(kernel.same_gene, 0.0, pairs)
        self._logs = tables.logs @ seen.T
        self._rest = of_rest * weights

    def of(self, rows: FloatArray) -> FloatArray:
        """The sum for each of some one-hot rows, shape (m,)."""
        product = rows @ self._logs
        np.exp(product, out=product)
        smooth = np.einsum("ij,ij->i", rows @ self._pairs + self._main, rows)
        found: FloatArray = self._mean + smooth + product @ self._rest
        return found


def weighed(parts: Sequence[FloatArray], variances: FloatArray) -> FloatArray:
    """The covariance that parts make up; overwrites them."""
    main, pairs, rest = parts
    main *= variances[0]
    pairs *= variances[1]
    rest *= variances[2]
    main += pairs
    main += rest
    main += MEAN_VARIANCE
    return main
