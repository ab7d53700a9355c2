from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from moo_bnas.data import Digits, ImageData, Split
from moo_bnas.definition import Recipe
from moo_bnas.errors import DivergenceError, Interrupted
from moo_bnas.networks import make_network
from moo_bnas.networks.layers import Precision
from moo_bnas.networks.module import build
from moo_bnas.training import (
    DeviceData,
    _shift,
    one_cycle,
    score,
    to_device,
    train_and_score,
)

CPU = torch.device("cpu")
RECIPE = Recipe(epochs=2, batch_size=128, learning_rate=0.2)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _digits() -> ImageData:
    return Digits().load(Path(), 0, "search")


def _data() -> DeviceData:
    return to_device(_digits(), CPU)


def _builder(base_width: int = 4) -> Callable[[], nn.Module]:
    network = make_network("vgg_small", Digits().shape, base_width=base_width)
    specs = network.layers(network.base_widths, "binary")
    return lambda: build(specs)


_CODE = """
import torch; torch.set_num_threads(1)
from tests.test_training import *
from tests.test_training import _builder, _data
print(repr(train_and_score(_builder(), _data(), RECIPE, seed=5)))
"""


def test_any_process_gives_bitwise_the_same_accuracies() -> None:
    data = _data()
    train_and_score(_builder(8), data, RECIPE, seed=1)  # what came before must not matter
    here = train_and_score(_builder(), data, RECIPE, seed=5)
    there = subprocess.run(
        [sys.executable, "-c", _CODE], capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == repr(here)
    assert len(here) == RECIPE.epochs
    assert train_and_score(_builder(), data, RECIPE, seed=6) != here


def test_digits_are_learned_and_full_precision_learns_better() -> None:
    data = _data()
    recipe = Recipe(epochs=5, batch_size=64, learning_rate=0.2)
    network = make_network("vgg_small", Digits().shape, base_width=8)
    accuracy = {}
    precisions: tuple[Precision, ...] = ("binary", "full")
    for precision in precisions:
        specs = network.layers(network.base_widths, precision)
        accuracy[precision] = train_and_score(partial(build, specs), data, recipe, seed=0)[-1]
    assert accuracy["binary"] > 75
    assert accuracy["full"] > max(accuracy["binary"], 95)


def test_divergence_is_told() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x.flatten(1)) * float("inf")  # type: ignore[no-any-return]

    with pytest.raises(DivergenceError, match="epoch 1 of 2; lower .* learning_rate"):
        train_and_score(Broken, _data(), RECIPE, seed=0)


def test_a_training_stops_when_told() -> None:
    asked = iter([False, False, True])
    with pytest.raises(Interrupted):
        train_and_score(
            _builder(),
            _data(),
            RECIPE,
            0,
            lambda: next(asked),
        )


def test_the_score_is_the_share_of_right_classes() -> None:
    images = np.arange(4, dtype=np.uint8).repeat(64).reshape(4, 1, 8, 8)
    split = Split(images, np.array([0, 1, 0, 0]), np.arange(4))
    data = to_device(ImageData(split, split, 0, ("a", "b"), "hash"), CPU)

    class AboveMean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.one_hot((x.mean(dim=(1, 2, 3)) > 0).long(), 2).float()

    # images 0, 1 | 2, 3 are below | above the mean: classes 0 0 1 1 against 0 1 0 0
    assert score(AboveMean(), data) == 25.0


def test_pixels_are_normalised_by_the_images_trained_on_alone() -> None:
    images = np.zeros((200, 2, 1, 2), np.uint8)
    images[1:101, 0] = [[1, 3]]  # mean 2, squared deviations 200 over 199
    images[101:] = 255  # scored on
    split = Split(images, np.zeros(200, np.int64), np.arange(1, 101))
    data = to_device(ImageData(split, replace(split, rows=np.arange(101, 200)), 0, (), "h"), CPU)
    assert data.mean.flatten().tolist() == [2, 0]
    assert data.std.flatten().tolist() == [pytest.approx((200 / 199) ** 0.5), 0]
    assert data.train[0].data_ptr() == images.ctypes.data  # nothing is copied


def test_shifting_moves_images_and_fills_with_zeros() -> None:
    images = torch.arange(1, 10, dtype=torch.uint8).reshape(1, 1, 3, 3).repeat(64, 1, 1, 1)
    shifted = _shift(images, 1, torch.Generator().manual_seed(0))
    padded = nn.functional.pad(images[0, 0], (1, 1, 1, 1))
    windows = [padded[y : y + 3, x : x + 3] for y in range(3) for x in range(3)]
    seen = {i for image in shifted[:, 0] for i, w in enumerate(windows) if torch.equal(image, w)}
    assert all(any(torch.equal(image, w) for w in windows) for image in shifted[:, 0])
    assert len(seen) == 9
    assert _shift(images, 0, torch.Generator()) is images


def test_the_learning_rate_rises_to_its_peak_and_falls_towards_zero() -> None:
    rates = [one_cycle(step, 100, 0.2) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 21)
    assert rates[20] == max(rates) == 1
    assert rates[60] == pytest.approx(0.5)  # half-way down
    assert 0 < rates[99] < 0.001
    assert all(
        0 < one_cycle(s, n, w) <= 1 for n in (1, 2, 5) for w in (0, 0.2, 1) for s in range(n)
    )


@pytest.mark.parametrize("batch_size", [2, 128, 5000])
def test_no_batch_is_too_small_for_batch_norm(batch_size: int) -> None:
    data = _digits()
    few = replace(data, train=replace(data.train, rows=data.train.rows[:201]))
    recipe = Recipe(epochs=1, batch_size=batch_size, learning_rate=0.1)
    assert len(train_and_score(_builder(), to_device(few, CPU), recipe, seed=0)) == 1


def test_a_training_may_warm_up_to_its_end() -> None:
    recipe = Recipe(epochs=1, batch_size=512, learning_rate=0.1, warmup=1)
    assert len(train_and_score(_builder(), _data(), recipe, seed=0)) == 1
