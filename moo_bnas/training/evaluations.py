"""Evaluations: what is recorded of a training run, or of scoring inherited weights."""

from __future__ import annotations

import time
from collections.abc import Callable

import safetensors.torch
import torch
from torch import nn

from moo_bnas.evaluation import Evaluation, Keep
from moo_bnas.training.device_data import DeviceData
from moo_bnas.training.loop import Training, score
from moo_bnas.training.recalibration import recalibrate


def scored(
    training: Training,
    seed: int,
    images: int,
    should_stop: Callable[[], bool],
    keep: Keep | None = None,
) -> Evaluation:
    """Trains to the end; the evaluation of a training run that scores after each epoch.

    Args:
        training: Training run.
        seed: Its seed.
        images: Number of images that it scores on.
        should_stop: Asked before every step.
        keep: Called after each epoch.
    """
    seconds, speed = timed(training, should_stop, keep)
    return Evaluation(
        accuracy=training.accuracies[-1],
        epochs=len(training.losses),
        seed=seed,
        train_seconds=seconds,
        images_per_second=speed,
        images=images,
        accuracy_per_epoch=tuple(training.accuracies),
    )


def untrained(network: nn.Module, data: DeviceData, seed: int) -> Evaluation:
    """Recalibrates a network and scores it, without training.

    Args:
        network: Network with the weights that it inherits.
        data: Data to recalibrate and score on.
        seed: Seed of the images that it is recalibrated on.
    """
    started = time.perf_counter()
    network = network.to(data.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = recalibrate(network, data, seed)
    accuracy = score(network, data)
    seconds = time.perf_counter() - started
    return Evaluation(
        accuracy=accuracy,
        epochs=0,
        seed=seed,
        train_seconds=round(seconds, 3),
        images_per_second=round(images / seconds, 1),
        images=len(data.scoring.rows),
    )


def timed(
    training: Training, should_stop: Callable[[], bool], keep: Keep | None
) -> tuple[float, float]:
    """Trains to the end; seconds, and images per second, of the epochs that were trained here."""

    def after_epoch() -> None:
        if keep is not None:
            keep(training.losses, lambda: safetensors.torch.save(training.state()))

    before, started = len(training.losses), time.perf_counter()
    training.run(should_stop, after_epoch)
    seconds = time.perf_counter() - started
    images = (len(training.losses) - before) * training.images
    return round(seconds, 3), round(images / seconds, 1)
