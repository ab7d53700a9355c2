from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from moo_bnas.evolution import gaussian_process
from moo_bnas.evolution.gaussian_process import fit, fitted
from moo_bnas.evolution.kernel import Hyperparameters
from moo_bnas.evolution.space import FloatArray, IntArray

CHOICES = [3, 2, 4]
THETA = Hyperparameters(*np.log([0.9, 2.0, 0.7, 0.3, 0.05]).tolist())


def _data(number: int = 14, choices: list[int] = CHOICES) -> tuple[IntArray, FloatArray]:
    rng = np.random.default_rng(1)
    genotypes = rng.integers(0, choices, size=(number, len(choices)))
    return genotypes, 60 + genotypes @ np.arange(1.0, len(choices) + 1) + rng.normal(0, 1, number)


def _covariance(one: IntArray, other: IntArray, theta: Hyperparameters) -> FloatArray:
    """By the formulas of the textbook, one pair of genotypes and one gene at a time."""
    length, main, pairs, rest, _ = np.exp(theta)
    found = np.empty((len(one), len(other)))
    for i, j in itertools.product(range(len(one)), range(len(other))):
        far = np.sqrt(5) * np.abs(np.log1p(one[i]) - np.log1p(other[j])) / length
        kernels = (1 + far + far**2 / 3) * np.exp(-far)
        products = [a * b for a, b in itertools.combinations(kernels, 2)]
        found[i, j] = main * kernels.mean() + rest * kernels.prod() + 1.0
        found[i, j] += pairs * float(np.mean(products)) if products else 0.0
    return found


@pytest.mark.parametrize("choices", [CHOICES, [5]])
def test_the_posterior_is_that_of_the_textbook(choices: list[int]) -> None:
    genotypes, accuracies = _data(choices=choices)
    every = np.indices(choices).reshape(len(choices), -1).T
    process = fit(choices, genotypes, accuracies, THETA)
    scale = accuracies.std()
    noise = np.exp(THETA.noise)
    seen = _covariance(genotypes, genotypes, THETA) + (noise + 1e-8) * np.eye(len(genotypes))
    across = _covariance(every, genotypes, THETA)
    mean = accuracies.mean() + across @ np.linalg.solve(seen, accuracies - accuracies.mean())
    posterior = _covariance(every, every, THETA) - across @ np.linalg.solve(seen, across.T)
    deviation = scale * np.sqrt(np.diag(posterior))
    np.testing.assert_allclose(process.mean(every), mean, rtol=1e-9)
    np.testing.assert_allclose(process.deviation(every), deviation, rtol=1e-6)
    outlook = process.outlook(every)
    np.testing.assert_allclose(outlook.mean, mean, rtol=1e-9)
    assert process.noise == pytest.approx(scale * np.sqrt(noise))
    np.testing.assert_allclose(
        outlook.noisy_deviation, np.sqrt(deviation**2 + process.noise**2), rtol=1e-6
    )


def test_supposed_results_shrink_deviations_as_evaluations_would() -> None:
    genotypes, accuracies = _data()
    every = np.indices(CHOICES).reshape(len(CHOICES), -1).T
    process = fit(CHOICES, genotypes, accuracies, THETA)
    supposed = np.array([3, 11, 20])
    outlook = process.outlook(every)
    for index in supposed:
        outlook.suppose(index)
    # The textbook again: deviations do not depend on the results.
    more = np.concatenate([genotypes, every[supposed]])
    seen = _covariance(more, more, THETA) + (np.exp(THETA.noise) + 1e-8) * np.eye(len(more))
    across = _covariance(every, more, THETA)
    posterior = _covariance(every, every, THETA) - across @ np.linalg.solve(seen, across.T)
    deviation = accuracies.std() * np.sqrt(np.diag(posterior))
    np.testing.assert_allclose(outlook.deviation, deviation, rtol=1e-6)
    together = process.supposing(every[supposed])
    np.testing.assert_allclose(together.deviation(every), deviation, rtol=1e-6)
    np.testing.assert_array_equal(together.mean(every), process.mean(every))


@pytest.mark.parametrize("choices", [CHOICES, [5]])
def test_the_gradient_of_the_loss_is_its_slope(choices: list[int]) -> None:
    genotypes, accuracies = _data(choices=choices)
    kernel, rows = gaussian_process._kernel_of(choices, genotypes)
    _, _, values = gaussian_process._standardised(accuracies)

    def loss(theta: FloatArray) -> float:
        return gaussian_process._loss(kernel, rows, values, theta)[0]

    for theta in (np.array(THETA), np.zeros(5), np.array(THETA) - 1):
        _, gradient = gaussian_process._loss(kernel, rows, values, theta)
        np.testing.assert_allclose(gradient, approx_fprime(theta, loss, 1e-7), atol=1e-4)


def test_the_loss_is_the_likelihood_of_the_textbook_and_the_prior() -> None:
    genotypes, accuracies = _data()
    kernel, rows = gaussian_process._kernel_of(CHOICES, genotypes)
    values = (accuracies - accuracies.mean()) / accuracies.std()
    losses = []
    for theta in (THETA, Hyperparameters(*(np.array(THETA) + 0.3).tolist())):
        seen = _covariance(genotypes, genotypes, theta)
        seen += (np.exp(theta.noise) + 1e-8) * np.eye(len(genotypes))
        likelihood = -0.5 * values @ np.linalg.solve(seen, values)
        likelihood -= 0.5 * np.linalg.slogdet(seen)[1]
        away = np.array(theta) - np.log([1.0, 3.0, 1.0, 0.05, 0.02])
        prior = -0.5 * np.sum((away / np.array([1.0, 1.5, 1.5, 1.5, 2.0])) ** 2)
        losses.append(-likelihood - prior)
        found, _ = gaussian_process._loss(kernel, rows, values, np.array(theta))
        assert found == pytest.approx(losses[-1])
    assert losses[0] != pytest.approx(losses[1])


def test_fitted_noise_is_that_of_the_data() -> None:
    choices = [6, 6, 6]
    every = np.indices(choices).reshape(3, -1).T
    rng = np.random.default_rng(0)
    smooth = 70 + np.log1p(every) @ np.array([4.0, 3.0, 2.0])
    process = fit(choices, every, smooth + rng.normal(0, 0.5, len(every)))
    assert process.noise == pytest.approx(0.5, rel=0.15)
    assert np.abs(process.mean(every) - smooth).mean() < 0.15  # a third of the noise's 0.4


def test_a_mean_function_is_added_to_the_process_of_the_rest() -> None:
    genotypes, accuracies = _data()
    every = np.indices(CHOICES).reshape(3, -1).T

    def slope(genotypes: IntArray) -> FloatArray:
        return np.asarray(genotypes @ np.array([3.0, 0.0, -1.0]))

    process = fit(CHOICES, genotypes, accuracies, THETA, slope)
    rest = fit(CHOICES, genotypes, accuracies - slope(genotypes), THETA)
    np.testing.assert_allclose(process.mean(every), rest.mean(every) + slope(every))
    np.testing.assert_allclose(process.outlook(every).mean, process.mean(every))
    np.testing.assert_allclose(process.deviation(every), rest.deviation(every))
    supposed = process.supposing(every[:2])
    np.testing.assert_allclose(supposed.mean(every), process.mean(every))


def test_many_evaluations_are_fitted_on_some_of_them() -> None:
    choices = [6] * 5
    genotypes, accuracies = _data(1200, choices)
    some = np.linspace(0, 1199, 500).astype(np.int64)
    assert fitted(choices, genotypes, accuracies) == fitted(
        choices, genotypes[some], accuracies[some]
    )


def test_equal_accuracies_and_repeated_genotypes_are_no_obstacle() -> None:
    genotypes = np.array([[0, 0, 0]] * 5 + [[2, 1, 3]] * 5)
    process = fit(CHOICES, genotypes, np.full(10, 80.0))
    np.testing.assert_allclose(process.mean(genotypes), 80.0)
    assert np.isfinite(process.deviation(genotypes)).all()
