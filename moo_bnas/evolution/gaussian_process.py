"""A Gaussian process over genotypes: accuracies of networks that were not trained yet.

The covariance of two genotypes is the one of `kernel.py`. The variances of its parts, its length
scale and the noise of a single training run are those that make the data most likely, under weak
priors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from moo_bnas.evolution.kernel import Expected, Hyperparameters, Kernel, weighed
from moo_bnas.evolution.space import FloatArray, IntArray

_STEPS = 15  # of the optimizer, each time hyperparameters are fitted
_CLOSE_ENOUGH = 1e-4  # relative change of the loss below which the optimizer stops
_FIT_AT_MOST = 500  # evaluations that hyperparameters are fitted to: five numbers need no more
_JITTER = 1e-8

START = Hyperparameters(*np.log([1.0, 3.0, 1.0, 0.05, 0.02]).tolist())
"""Hyperparameters before any evaluation."""

_SPREAD = np.array([1.0, 1.5, 1.5, 1.5, 2.0])  # standard deviations of the priors around `START`
_LOWEST = np.log([0.2, 1e-2, 1e-3, 1e-4, 1e-4])
_HIGHEST = np.log([6.0, 300.0, 100.0, 10.0, 1.0])


MeanFunction = Callable[[IntArray], FloatArray]
"""Accuracies in percent that genotypes of shape (n, genes) are expected to have; shape (n,)."""


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
    _kernel: Kernel
    _seen: FloatArray  # one-hot rows of the evaluated genotypes
    _factor: FloatArray  # lower Cholesky factor of their covariance
    _expected: Expected  # makes means
    _weights: FloatArray  # inverse covariance times standardised accuracies
    _centre: float
    _scale: float
    _mean_function: MeanFunction | None

    def mean(self, genotypes: IntArray) -> FloatArray:
        """Expected accuracy of genotypes of shape (m, genes); shape (m,)."""
        above = self._centre + self._scale * self._expected.of(self._kernel.one_hot(genotypes))
        return above if self._mean_function is None else above + self._mean_function(genotypes)

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
            self.mean(genotypes),
            solve_triangular(self._factor, covariance, lower=True, check_finite=False),
        )

    def supposing(self, genotypes: IntArray) -> GaussianProcess:
        """The process after genotypes of shape (m, genes) came out at their means.

        No mean changes; deviations shrink.
        """
        rows = self._kernel.one_hot(genotypes)
        across = self._covariance(self._seen, rows)
        below = solve_triangular(self._factor, across, lower=True, check_finite=False)
        rest = self._covariance(rows, rows) - below.T @ below
        rest[np.diag_indices(len(rows))] += (self.noise / self._scale) ** 2 + _JITTER
        corner = cholesky(rest, lower=True, check_finite=False)
        return replace(
            self,
            _seen=np.concatenate([self._seen, rows]),
            _factor=np.block([[self._factor, np.zeros_like(below)], [below.T, corner]]),
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
        self._supposed = np.empty((0, len(mean)))  # more rows of `_solved`
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

    def suppose(self, index: int) -> None:
        """Supposes that one of the genotypes was evaluated, with its mean as the result."""
        process = self._process
        row = process._covariance(self._rows[index : index + 1], self._rows)[0]
        row -= self._solved[:, index] @ self._solved
        row -= self._supposed[:, index] @ self._supposed
        noise = (process.noise / process._scale) ** 2
        row /= np.sqrt(max(self._variance[index], 0.0) + noise + _JITTER)
        self._supposed = np.vstack([self._supposed, row])
        self._variance = self._variance - row * row


def fit(
    choices: Sequence[int],
    genotypes: IntArray,
    accuracies: FloatArray,
    hyperparameters: Hyperparameters | None = None,
    mean_function: MeanFunction | None = None,
) -> GaussianProcess:
    """Conditions a process on evaluations.

    Args:
        choices: The number of choices of each gene.
        genotypes: Evaluated genotypes, shape (n, genes). One that was evaluated with several seeds
            may be repeated.
        accuracies: Their accuracies in percent, shape (n,), all finite.
        hyperparameters: Hyperparameters to use; None: fit them (see `fitted`).
        mean_function: What is expected before any evaluation: the process is of the rest. None:
            the mean of the accuracies.
    """
    kernel, rows = _kernel_of(choices, genotypes)
    if mean_function is not None:
        accuracies = accuracies - mean_function(genotypes)
    if hyperparameters is None:
        hyperparameters = fitted(choices, genotypes, accuracies)
    centre, scale, values = _standardised(accuracies)
    covariance = kernel.covariance(rows, rows, hyperparameters)
    covariance[np.diag_indices(len(rows))] += np.exp(hyperparameters.noise) + _JITTER
    factor = cholesky(covariance, lower=True, check_finite=False)
    weights = cho_solve((factor, True), values, check_finite=False)
    return GaussianProcess(
        hyperparameters=hyperparameters,
        noise=scale * float(np.exp(hyperparameters.noise / 2)),
        _kernel=kernel,
        _seen=rows,
        _factor=factor,
        _expected=Expected(kernel, rows, weights, hyperparameters),
        _weights=weights,
        _centre=centre,
        _scale=scale,
        _mean_function=mean_function,
    )


def fitted(
    choices: Sequence[int],
    genotypes: IntArray,
    accuracies: FloatArray,
    start: Hyperparameters = START,
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
        options={"maxiter": _STEPS, "ftol": _CLOSE_ENOUGH},
    )
    return Hyperparameters(*found.x.tolist())


def _loss(
    kernel: Kernel, rows: FloatArray, values: FloatArray, theta: FloatArray
) -> tuple[float, FloatArray]:
    """Negative log posterior of hyperparameters, up to a constant, and its gradient."""
    length, *variances, noise = np.exp(theta)
    tables = kernel.tables(length)
    main, pairs, rest = kernel.parts(rows, rows, tables)
    covariance = weighed([main.copy(), pairs.copy(), rest.copy()], np.array(variances))
    covariance[np.diag_indices(len(rows))] += noise + _JITTER
    factor = cholesky(covariance, lower=True, check_finite=False)
    weights = cho_solve((factor, True), values, check_finite=False)
    # The gradient needs sums of products of the inverse with symmetric matrices, for which twice
    # its lower triangle does; LAPACK leaves the upper one empty.
    inverse, _ = dpotri(factor, lower=True)
    trace = np.trace(inverse)
    inverse *= 2
    inverse[np.diag_indices(len(rows))] /= 2
    slope = inverse - np.outer(weights, weights)
    # By the length scale: through the tables of single genes, whose derivatives are known.
    by_rest = slope * rest
    of_main, of_pairs, of_rest = variances
    along = rows.T @ slope @ rows
    by_length = of_rest * np.vdot(rows.T @ by_rest @ rows, tables.logs_slope)
    across = kernel.genes * (rows.T @ (slope * main) @ rows) - along * tables.matern
    by_table = of_main / kernel.genes * along + 2 * of_pairs / kernel.pairs * across
    by_length += np.vdot(by_table, tables.matern_slope)
    gradient = 0.5 * np.array(
        [
            by_length,
            of_main * np.vdot(slope, main),
            of_pairs * np.vdot(slope, pairs),
            of_rest * by_rest.sum(),
            noise * (trace - weights @ weights),
        ]
    )
    away = (theta - np.array(START)) / _SPREAD
    loss = 0.5 * values @ weights + np.log(np.diag(factor)).sum() + 0.5 * away @ away
    return float(loss), gradient + away / _SPREAD


def _kernel_of(choices: Sequence[int], genotypes: IntArray) -> tuple[Kernel, FloatArray]:
    kernel = Kernel(choices)
    return kernel, kernel.one_hot(genotypes)


def _standardised(accuracies: FloatArray) -> tuple[float, float, FloatArray]:
    centre, scale = float(accuracies.mean()), float(accuracies.std()) or 1.0
    return centre, scale, (accuracies - centre) / scale
