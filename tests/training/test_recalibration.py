from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from moo_bnas.data import ImageData, Split
from moo_bnas.training.device_data import DeviceData, DeviceSplit, to_device
from moo_bnas.training.recalibration import recalibrate


def _data(images: int) -> DeviceData:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (images + 5, 1, 4, 4), dtype=np.uint8)
    labels = np.zeros(images + 5, dtype=np.int64)
    rows = np.arange(images + 5)
    train, scoring = (Split(pixels, labels, part) for part in (rows[:images], rows[images:]))
    data = ImageData(train, scoring, 0, ("one", "other"), "hash")
    return to_device(data, 2, torch.device("cpu"))


def test_statistics_become_those_of_the_training_images() -> None:
    data = _data(1024)  # two batches of 512
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5), nn.BatchNorm2d(1))
    network[0].running_mean.fill_(7.0)  # type: ignore[operator]
    assert recalibrate(network, data, seed=0) == 1024
    assert isinstance(data.train, DeviceSplit)
    middle = data.normalise(data.train.images[:1024, :, 1:3, 1:3])
    torch.testing.assert_close(network[0].running_mean, middle.mean()[None])
    # Each batch has its own mean, and n / (n - 1) of its variance counts: equal within a percent.
    torch.testing.assert_close(network[0].running_var, middle.var()[None], rtol=0.01, atol=0)
    # What the first one gives has mean 0, and no image was dropped out.
    torch.testing.assert_close(network[2].running_mean, torch.zeros(1), rtol=0, atol=1e-5)
    torch.testing.assert_close(network[2].running_var, torch.ones(1), rtol=0.01, atol=0)
    assert not any(module.training for module in network.modules())
    assert [network[i].momentum for i in (0, 2)] == [0.1, 0.1]


def test_no_more_images_than_needed_are_used_and_the_seed_chooses_them() -> None:
    data, found = _data(3000), []
    for seed in (0, 0, 1):
        network = nn.Sequential(nn.BatchNorm2d(1))
        assert recalibrate(network, data, seed) == 2048
        found.append(float(network[0].running_mean))  # type: ignore[arg-type]
    assert found[0] == found[1] != found[2]
    assert found[2] == pytest.approx(found[0], abs=0.1)
