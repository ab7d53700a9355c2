"""Every shipped binarizer: training resumes bit for bit, and learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from moo_bnas.data import Digits
from moo_bnas.networks import make_network
from moo_bnas.networks.bases import with_needs_of
from moo_bnas.networks.binarizers import BINARIZERS
from moo_bnas.networks.module import SpecModule, build
from moo_bnas.recipe import Recipe
from moo_bnas.training.device_data import DeviceData, to_device
from moo_bnas.training.loop import Training
from tests.binarizers import SHIPPED


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _data(images: int) -> DeviceData:
    """So many digits; the network is scored on those that it learns."""
    loaded = Digits().load(Path(), 0, "search")
    data = to_device(loaded, 8, torch.device("cpu"))
    some = replace(data.train, rows=data.train.rows[:images])
    return replace(data, train=some, scoring=some)


def _network(binarizer: str, base_width: int, seed: int = 0) -> SpecModule:
    torch.manual_seed(seed)
    network = make_network("vgg_small", Digits().shape, base_width=base_width)
    method = BINARIZERS[binarizer]
    network = with_needs_of(network, method.of_bases((2, 3)) if method.has_bases else method)
    return build(network.layers(network.base_widths, "binary"), binarizer)


@pytest.mark.parametrize("binarizer", SHIPPED)
def test_it_resumes_bit_for_bit(binarizer: str) -> None:
    recipe, data = Recipe(epochs=4, batch_size=64, learning_rate=0.1, shift=1), _data(images=192)
    whole = Training(_network(binarizer, 4), data, recipe, seed=3)
    for _ in range(2):
        whole.run_epoch()
    kept = {k: v.clone() for k, v in whole.state().items()}
    resumed = Training(_network(binarizer, 4, seed=99), data, recipe, seed=7)
    resumed.restore(kept)
    for training in (whole, resumed):
        training.run()
    assert resumed.accuracies == whole.accuracies
    after = resumed.state()
    assert all(torch.equal(v, after[k]) for k, v in whole.state().items())


@pytest.mark.slow
@pytest.mark.parametrize("binarizer", SHIPPED)
def test_it_learns_64_digits_by_heart(binarizer: str) -> None:
    data = _data(images=64)
    recipe = Recipe(epochs=150, batch_size=64, optimizer="adam", learning_rate=0.01)
    training = Training(_network(binarizer, 16), data, recipe, seed=0)
    assert max(training.run()) == 100
