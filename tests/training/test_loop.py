from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from moo_bnas.data import Digits, ImageData, Split
from moo_bnas.data.statistics import channel_sums
from moo_bnas.definition import load_definition
from moo_bnas.errors import DivergenceError, Interrupted
from moo_bnas.evaluation import Precision
from moo_bnas.networks import make_network
from moo_bnas.networks.binary_layers import Activation
from moo_bnas.networks.module import build
from moo_bnas.recipe import Recipe
from moo_bnas.training.device_data import DeviceData, DeviceSplit, to_device
from moo_bnas.training.loop import Training, rate, score

CPU = torch.device("cpu")
RECIPE = Recipe(epochs=2, batch_size=128, learning_rate=0.2)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _digits() -> ImageData:
    return Digits().load(Path(), 0, "search")


def _data() -> DeviceData:
    return to_device(_digits(), 8, CPU)


def _builder(base_width: int = 4) -> Callable[[], nn.Module]:
    network = make_network("vgg_small", Digits().shape, base_width=base_width)
    specs = network.layers(network.base_widths, "binary")
    return lambda: build(specs)


def _train(
    data: DeviceData,
    recipe: Recipe,
    seed: int,
    build: Callable[[], nn.Module] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[float]:
    torch.manual_seed(seed)
    return Training((build or _builder())(), data, recipe, seed).run(should_stop)


_CODE = """
import torch; torch.set_num_threads(1)
from tests.training.test_loop import *
from tests.training.test_loop import _data, _train
print(repr(_train(_data(), RECIPE, 5)))
"""


@pytest.mark.slow
def test_any_process_gives_bitwise_the_same_accuracies() -> None:
    data = _data()
    _train(data, RECIPE, 1, _builder(8))  # what came before must not matter
    here = _train(data, RECIPE, 5)
    there = subprocess.run(
        [sys.executable, "-c", _CODE], capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == repr(here)
    assert len(here) == RECIPE.epochs
    assert _train(data, RECIPE, 6) != here


def test_a_training_goes_on_from_its_state_as_if_it_had_not_stopped() -> None:
    recipe = Recipe(epochs=4, batch_size=64, learning_rate=0.2, shift=1, flip=True)
    data = _data()
    torch.manual_seed(0)
    whole = Training(_builder()(), data, recipe, seed=3)
    for _ in range(2):
        whole.run_epoch()
    kept = {k: v.clone() for k, v in whole.state().items()}
    torch.manual_seed(99)  # of other weights: all must come from what was kept
    resumed = Training(_builder()(), data, recipe, seed=7)
    resumed.restore(kept)
    for training in (whole, resumed):
        training.run()
    assert resumed.accuracies == whole.accuracies
    assert len(whole.accuracies) == 4
    after = resumed.state()
    assert all(torch.equal(v, after[k]) for k, v in whole.state().items())


@pytest.mark.parametrize(
    "changes", [{"optimizer": "adam", "learning_rate": 0.01}, {"dtype": "bf16"}]
)
def test_every_recipe_learns_and_resumes(changes: dict[str, Any]) -> None:
    recipe = Recipe(**{"epochs": 4, "batch_size": 64, "learning_rate": 0.2, **changes})
    data = _data()
    torch.manual_seed(0)
    whole, resumed = (Training(_builder(8)(), data, recipe, seed=0) for _ in range(2))
    whole.run_epoch()
    resumed.restore({k: v.clone() for k, v in whole.state().items()})
    for training in (whole, resumed):
        training.run()
    assert resumed.accuracies == whole.accuracies
    assert whole.accuracies[-1] > 60


def test_digits_are_learned_and_full_precision_learns_better() -> None:
    data = _data()
    recipe = Recipe(epochs=5, batch_size=64, learning_rate=0.2)
    network = make_network("vgg_small", Digits().shape, base_width=8)
    accuracy = {}
    precisions: tuple[Precision, ...] = ("binary", "full")
    for precision in precisions:
        specs = network.layers(network.base_widths, precision)
        accuracy[precision] = _train(data, recipe, 0, partial(build, specs))[-1]
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
        _train(_data(), RECIPE, 0, Broken)


def test_a_training_stops_when_told() -> None:
    asked = iter([False, False, True])
    with pytest.raises(Interrupted):
        _train(_data(), RECIPE, 0, should_stop=lambda: next(asked))


def test_the_score_is_the_share_of_right_classes() -> None:
    images = np.arange(4, dtype=np.uint8).repeat(64).reshape(4, 1, 8, 8)
    split = Split(images, np.array([0, 1, 0, 0]), np.arange(4))
    data = to_device(ImageData(split, split, 0, ("a", "b"), "hash"), 8, CPU)

    class AboveMean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.one_hot((x.mean(dim=(1, 2, 3)) > 0).long(), 2).float()

    # images 0, 1 | 2, 3 are below | above the mean: classes 0 0 1 1 against 0 1 0 0
    assert score(AboveMean(), data) == 25.0


def test_pixels_are_normalised_by_the_images_trained_on_alone() -> None:
    images = np.zeros((200, 2, 1, 2), np.uint8)
    images[1:101, 0] = [[1, 3]]  # mean 2, deviations 1; the other channel is constant
    images[101:] = 255  # scored on
    split = Split(images, np.zeros(200, np.int64), np.arange(1, 101))
    scoring = replace(split, rows=np.arange(101, 200))
    data = to_device(ImageData(split, scoring, 0, (), "h"), 2, CPU)
    assert data.mean.flatten().tolist() == [2, 0]
    assert data.std.flatten().tolist() == [1, 1]
    assert isinstance(data.train, DeviceSplit)
    assert data.train.images.data_ptr() == images.ctypes.data  # nothing is copied


def test_statistics_of_the_cache_are_those_of_the_images_themselves() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (300, 3, 9, 9), dtype=np.uint8)
    rows = random.permutation(300)[:200]
    split = Split(images, np.zeros(300, np.int64), rows)
    whole = torch.from_numpy(images[rows]).double()
    squares, count = whole.square().sum(dim=(0, 2, 3)), 200 * 81
    mean = whole.sum(dim=(0, 2, 3)) / count
    for each in (split, replace(split, sums=channel_sums(images))):
        data = to_device(ImageData(each, each, 0, (), "h"), 9, CPU)
        assert torch.equal(data.mean.flatten(), mean.float())
        assert torch.equal(data.std.flatten(), (squares / count - mean.square()).sqrt().float())


def test_images_that_are_only_mapped_are_read_without_a_warning(
    recwarn: pytest.WarningsRecorder,
) -> None:
    data = _digits()
    assert isinstance(data.train.images, np.ndarray)
    data.train.images.setflags(write=False)
    to_device(data, 8, CPU)
    assert not recwarn.list


def test_the_learning_rate_rises_to_its_peak_and_falls_towards_zero() -> None:
    def rates(epochs: int, steps: int, warmup: float) -> list[float]:
        recipe = RECIPE.model_copy(update={"epochs": epochs, "warmup": warmup})
        return [rate(recipe, step, steps) for step in range(epochs * steps)]

    of_100 = rates(10, 10, 0.2)
    assert of_100[0] == pytest.approx(1 / 21)
    assert of_100[20] == max(of_100) == 1
    assert of_100[60] == pytest.approx(0.5)  # half-way down
    assert 0 < of_100[99] < 0.001
    assert all(0 < r <= 1 for n in (1, 2, 5) for w in (0, 0.2, 1) for r in rates(n, 1, w))


def test_the_learning_rate_falls_to_a_tenth_at_each_milestone() -> None:
    recipe = Recipe(epochs=4, batch_size=2, learning_rate=0.1, schedule="steps", milestones=(1, 3))
    rates = [rate(recipe, step, 2) for step in range(8)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_the_learning_rate_falls_as_a_line() -> None:
    recipe = Recipe(epochs=2, batch_size=2, learning_rate=0.1, schedule="linear")
    assert [rate(recipe, step, 2) for step in range(4)] == pytest.approx([1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize(
    ("name", "epochs", "warmup_epochs"),
    [("reste", 1000, 5), ("recu", 600, 5), ("reste_fast", 300, 5)],
)
def test_shipped_recipes_of_binarizers_rise_for_as_long_as_their_papers(
    name: str, epochs: int, warmup_epochs: int
) -> None:
    recipe = load_definition(f"vgg_small_cifar10_{name}").final_recipe()
    assert recipe.epochs == epochs
    rates = [rate(recipe, epoch, 1) for epoch in range(epochs)]
    assert rates.index(max(rates)) == warmup_epochs
    assert max(rates) == pytest.approx(1, abs=1e-3)
    assert rates[epochs // 2] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("batch_size", [2, 128, 5000])
def test_no_batch_is_too_small_for_batch_norm(batch_size: int) -> None:
    data = _digits()
    few = replace(data, train=replace(data.train, rows=data.train.rows[:201]))
    recipe = Recipe(epochs=1, batch_size=batch_size, learning_rate=0.1)
    assert len(_train(to_device(few, 8, CPU), recipe, 0)) == 1


def test_a_training_may_warm_up_to_its_end() -> None:
    recipe = Recipe(epochs=1, batch_size=512, learning_rate=0.1, warmup=1)
    assert len(_train(_data(), recipe, 0)) == 1


def test_networks_know_the_share_of_epochs_that_are_done() -> None:
    data, recipe = _data(), Recipe(epochs=4, batch_size=128, learning_rate=0.2)
    stopped, resumed = (Training(_builder()(), data, recipe, seed=0) for _ in range(2))
    seen = []

    def look(training: Training) -> None:
        act = next(m for m in training.network.modules() if isinstance(m, Activation))
        seen.append(act.progress.item())

    for _ in range(2):
        stopped.run_epoch()
        look(stopped)
    resumed.restore(stopped.state())
    resumed.run(after_epoch=lambda: look(resumed))
    assert seen == [0.0, 0.25, 0.5, 0.75]
