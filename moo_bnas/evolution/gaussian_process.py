"""A Gaussian process over genotypes: accuracies of networks that were not trained yet.

The covariance of two genotypes is a sum of three parts, each built from one Matern 5/2 kernel per
gene on the logarithm of its choice: the mean over the genes (main effects), the mean over all pairs
of genes (two-way interactions), and the product of all genes (what is left). Their variances, one
length scale and the noise of a single training run are those that make the data most likely, under
weak priors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from moo_bnas.evolution.space import FloatArray, IntArray

_STEPS = 15  # of the optimizer, each time hyperparameters are fitted
_FIT_AT_MOST = 500  # evaluations that hyperparameters are fitted to: five numbers need no more
_GROWTH = 1.25  # hyperparameters are fitted again once there are this many times the evaluations
_FEWEST = 8
_JITTER = 1e-8
_MEAN_VARIANCE = 1.0  # of the unknown mean, in units of the variance of the accuracies


class Hyperparameters(NamedTuple):
    """Logarithms of what a process is fitted by; variances in units of the accuracies' variance."""

    length: float
    main: float
    pairs: float
    rest: float
    noise: float


_START = Hyperparameters(*np.log([1.0, 3.0, 1.0, 0.05, 0.02]).tolist())
_SPREAD = np.array([1.0, 1.5, 1.5, 1.5, 2.0])  # standard deviations of the priors around `_START`
_LOWEST = np.log([0.2, 1e-2, 1e-3, 1e-4, 1e-4])
_HIGHEST = np.log([6.0, 300.0, 100.0, 10.0, 1.0])


@dataclass(frozen=True)
class GaussianProcess:
    """A process conditioned on evaluations.

    Use `fit` to make one. All accuracies and deviations are in percent.

    Attributes:
        hyperparameters: Fitted hyperparameters.
        noise: Standard deviation of a single training run around the mean of many.
    """

    hyperparameters: Hyperparameters
    noise: float
    _kernel: _Kernel
    _seen: FloatArray  # one-hot rows of the evaluated genotypes
    _factor: FloatArray  # lower Cholesky factor of their covariance
    _weights: FloatArray
    _centre: float
    _scale: float

    def mean(self, genotypes: IntArray) -> FloatArray:
        """Expected accuracy of genotypes of shape (m, genes); shape (m,)."""
        covariance = self._covariance(self._kernel.one_hot(genotypes), self._seen)
        return self._centre + self._scale * (covariance @ self._weights)

    def deviation(self, genotypes: IntArray) -> FloatArray:
        """Standard deviation of the expected accuracy, without noise; shape (m,)."""
        return self.outlook(genotypes).deviation

    def outlook(self, genotypes: IntArray) -> Outlook:
        """What is expected of genotypes of shape (m, genes), open to suppositions."""
        rows = self._kernel.one_hot(genotypes)
        covariance = self._covariance(self._seen, rows)
        return Outlook(
            self,
            rows,
            self._centre + self._scale * (covariance.T @ self._weights),
            solve_triangular(self._factor, covariance, lower=True, check_finite=False),
        )

    def leave_one_out(self) -> float:
        """Mean log density of each accuracy, as expected from all others; greater is better."""
        inverse = solve_triangular(
            self._factor, np.eye(len(self._weights)), lower=True, check_finite=False
        )
        precisions = np.einsum("ij,ij->j", inverse, inverse)  # diagonal of the inverse covariance
        # Rasmussen and Williams 2006, equations 5.10 to 5.12.
        densities = 0.5 * (np.log(precisions / (2 * np.pi)) - self._weights**2 / precisions)
        return float(densities.mean() - np.log(self._scale))

    def _covariance(self, one: FloatArray, other: FloatArray) -> FloatArray:
        return self._kernel.covariance(one, other, self.hyperparameters)


class Outlook:
    """What a process expects of some genotypes, and would expect after further evaluations.

    Attributes:
        mean: Expected accuracies, shape (m,).
    """

    def __init__(
        self, process: GaussianProcess, rows: FloatArray, mean: FloatArray, solved: FloatArray
    ) -> None:
        self.mean = mean
        self._process = process
        self._rows = rows
        self._solved = solved
        prior = process._kernel.variance(process.hyperparameters)
        self._variance = prior - np.einsum("ij,ij->j", solved, solved)

    @property
    def deviation(self) -> FloatArray:
        """Standard deviation of the expected accuracies, without noise; shape (m,)."""
        found: FloatArray = self._process._scale * np.sqrt(np.maximum(self._variance, 1e-12))
        return found

    @property
    def noisy_deviation(self) -> FloatArray:
        """Standard deviation of what single training runs would measure; shape (m,)."""
        return np.hypot(self.deviation, self._process.noise)

    def of(self, indices: IntArray) -> Outlook:
        """The outlook on some of the genotypes, by index."""
        solved = np.ascontiguousarray(self._solved[:, indices])
        return Outlook(self._process, self._rows[indices], self.mean[indices], solved)

    def suppose(self, index: int) -> None:
        """Supposes that one of the genotypes was evaluated, with its mean as the result."""
        process = self._process
        row = process._covariance(self._rows[index : index + 1], self._rows)[0]
        row = row - self._solved[:, index] @ self._solved
        noise = (process.noise / process._scale) ** 2
        row = row / np.sqrt(max(self._variance[index], 0.0) + noise + _JITTER)
        self._solved = np.vstack([self._solved, row])
        self._variance = self._variance - row * row


def fit(
    choices: Sequence[int],
    genotypes: IntArray,
    accuracies: FloatArray,
    hyperparameters: Hyperparameters | None = None,
) -> GaussianProcess:
    """Conditions a process on evaluations.

    Args:
        choices: The number of choices of each gene.
        genotypes: Evaluated genotypes, shape (n, genes). One that was evaluated with several seeds
            may be repeated.
        accuracies: Their accuracies in percent, shape (n,), all finite.
        hyperparameters: Hyperparameters to use; None: fit them (see `fitted`).
    """
    kernel, rows = _kernel_of(choices, genotypes)
    if hyperparameters is None:
        hyperparameters = fitted(choices, genotypes, accuracies)
    centre, scale, values = _standardised(accuracies)
    covariance = kernel.covariance(rows, rows, hyperparameters)
    covariance[np.diag_indices(len(rows))] += np.exp(hyperparameters.noise) + _JITTER
    factor = cholesky(covariance, lower=True, check_finite=False)
    return GaussianProcess(
        hyperparameters=hyperparameters,
        noise=scale * float(np.exp(hyperparameters.noise / 2)),
        _kernel=kernel,
        _seen=rows,
        _factor=factor,
        _weights=cho_solve((factor, True), values, check_finite=False),
        _centre=centre,
        _scale=scale,
    )


def fitted(
    choices: Sequence[int],
    genotypes: IntArray,
    accuracies: FloatArray,
    start: Hyperparameters = _START,
) -> Hyperparameters:
    """The most likely hyperparameters, by gradient steps from `start`.

    Args:
        choices: The number of choices of each gene.
        genotypes: Evaluated genotypes, shape (n, genes).
        accuracies: Their accuracies in percent, shape (n,), all finite.
        start: Where to begin.
    """
    if len(genotypes) > _FIT_AT_MOST:  # evenly from the first to the last
        some = np.linspace(0, len(genotypes) - 1, _FIT_AT_MOST).astype(np.int64)
        genotypes, accuracies = genotypes[some], accuracies[some]
    kernel, rows = _kernel_of(choices, genotypes)
    _, _, values = _standardised(accuracies)
    found = minimize(
        lambda theta: _loss(kernel, rows, values, theta),
        np.clip(start, _LOWEST, _HIGHEST),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(_LOWEST, _HIGHEST, strict=True)),
        options={"maxiter": _STEPS},
    )
    return Hyperparameters(*found.x.tolist())


class Fits:
    """Hyperparameters of a growing list of evaluations, fitted now and then.

    They are fitted at sizes that depend on nothing but the size, each time from those of the size
    before; so they are a function of the evaluations alone, whatever was asked for earlier.

    Args:
        choices: The number of choices of each gene.
    """

    def __init__(self, choices: Sequence[int]) -> None:
        self._choices = choices
        self._known: dict[int, tuple[bytes, Hyperparameters]] = {}

    def of(self, genotypes: IntArray, accuracies: FloatArray) -> Hyperparameters:
        """The hyperparameters for evaluations, in their order; see `fitted`."""
        current, size = _START, _FEWEST
        while size <= len(genotypes):
            key = genotypes[:size].tobytes() + accuracies[:size].tobytes()
            known = self._known.get(size)
            if known is None or known[0] != key:
                current = fitted(self._choices, genotypes[:size], accuracies[:size], current)
                self._known[size] = key, current
            else:
                current = known[1]
            size = int(size * _GROWTH) + 1
        return current


class _Kernel:
    """Covariances of one-hot rows of genotypes."""

    def __init__(self, choices: Sequence[int]) -> None:
        ends = np.concatenate([[0], np.cumsum(choices)])
        self._offsets, self._width = ends[:-1], int(ends[-1])
        self._genes = len(choices)
        positions = np.concatenate([np.log1p(np.arange(c)) for c in choices])
        gene = np.repeat(np.arange(len(choices)), choices)
        self._same_gene = gene[:, None] == gene[None, :]
        self._distances = np.abs(positions[:, None] - positions[None, :])

    def one_hot(self, genotypes: IntArray) -> FloatArray:
        rows = np.zeros((len(genotypes), self._width))
        rows[np.arange(len(genotypes))[:, None], genotypes + self._offsets] = 1.0
        return rows

    def parts(
        self, one: FloatArray, other: FloatArray, length: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Main effects, pairs and the product of all genes; 1 for equal genotypes."""
        scaled = np.sqrt(5.0) / length * self._distances
        matern = np.where(self._same_gene, (1 + scaled + scaled**2 / 3) * np.exp(-scaled), 0.0)
        logs = np.where(self._same_gene, np.log1p(scaled + scaled**2 / 3) - scaled, 0.0)
        # Sums over genes are products of one-hot rows with tables, which takes three matrix
        # products instead of a loop over genes.
        total = one @ matern @ other.T
        product = np.exp(one @ logs @ other.T)
        if self._genes == 1:
            return total, total, product
        # The sum over pairs, from the square of the sum and the sum of the squares.
        squares = one @ matern**2 @ other.T
        pairs = (total**2 - squares) / (self._genes * (self._genes - 1))
        return total / self._genes, pairs, product

    def covariance(self, one: FloatArray, other: FloatArray, theta: Hyperparameters) -> FloatArray:
        main, pairs, rest = self.parts(one, other, float(np.exp(theta.length)))
        of_main, of_pairs, of_rest = np.exp([theta.main, theta.pairs, theta.rest])
        found: FloatArray = of_main * main + of_pairs * pairs + of_rest * rest + _MEAN_VARIANCE
        return found

    def variance(self, theta: Hyperparameters) -> float:
        return float(np.exp([theta.main, theta.pairs, theta.rest]).sum()) + _MEAN_VARIANCE


def _loss(
    kernel: _Kernel, rows: FloatArray, values: FloatArray, theta: FloatArray
) -> tuple[float, FloatArray]:
    """Negative log posterior of hyperparameters, up to a constant, and its gradient."""
    length, *variances, noise = np.exp(theta)
    parts = kernel.parts(rows, rows, length)
    nudge = 1e-4
    nudged = kernel.parts(rows, rows, length * (1 + nudge))
    covariance = sum(v * part for v, part in zip(variances, parts, strict=True)) + _MEAN_VARIANCE
    covariance[np.diag_indices(len(rows))] += noise + _JITTER
    factor = cholesky(covariance, lower=True, check_finite=False)
    weights = cho_solve((factor, True), values, check_finite=False)
    inverse = cho_solve((factor, True), np.eye(len(rows)), check_finite=False)
    slope = inverse - np.outer(weights, weights)
    by_length = sum(v * (b - a) for v, a, b in zip(variances, parts, nudged, strict=True)) / nudge
    gradient = 0.5 * np.array(
        [
            np.vdot(slope, by_length),
            *(v * np.vdot(slope, part) for v, part in zip(variances, parts, strict=True)),
            noise * np.trace(slope),
        ]
    )
    away = (theta - np.array(_START)) / _SPREAD
    loss = 0.5 * values @ weights + np.log(np.diag(factor)).sum() + 0.5 * away @ away
    return float(loss), gradient + away / _SPREAD


def _kernel_of(choices: Sequence[int], genotypes: IntArray) -> tuple[_Kernel, FloatArray]:
    kernel = _Kernel(choices)
    return kernel, kernel.one_hot(genotypes)


def _standardised(accuracies: FloatArray) -> tuple[float, float, FloatArray]:
    centre, scale = float(accuracies.mean()), float(accuracies.std()) or 1.0
    return centre, scale, (accuracies - centre) / scale
