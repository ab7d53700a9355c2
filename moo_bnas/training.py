"""Trains one candidate and scores it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from moo_bnas.data.image_data import ImageData, Split
from moo_bnas.definition import Recipe
from moo_bnas.errors import DivergenceError, Interrupted

_SCORING_BATCH = 512


@dataclass(frozen=True)
class DeviceData:
    """A data set on a device.

    Attributes:
        train: Images (uint8, n x c x h x w), labels (int64, n), and which of the n are meant.
        scoring: Likewise.
        mean: Of the training images' channels, in 0..255, shape 1 x c x 1 x 1.
        std: Likewise.
    """

    train: tuple[Tensor, Tensor, Tensor]
    scoring: tuple[Tensor, Tensor, Tensor]
    mean: Tensor
    std: Tensor


def to_device(data: ImageData, device: torch.device) -> DeviceData:
    """Puts a data set on a device, where it stays for all candidates.

    On a CPU nothing is copied: workers share images that are mapped from a file.
    """

    def tensors(split: Split) -> tuple[Tensor, Tensor, Tensor]:
        images, labels, rows = split.images, split.labels, split.rows
        if device.type != "cpu":
            images, labels, rows = images[rows], labels[rows], np.arange(len(rows))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            images_there = torch.from_numpy(images).to(device)
        return images_there, torch.from_numpy(labels).to(device), torch.from_numpy(rows).to(device)

    train = tensors(data.train)
    mean, std = _mean_and_std(train[0], train[2])
    return DeviceData(train=train, scoring=tensors(data.scoring), mean=mean, std=std)


def _mean_and_std(images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Of each channel, summed up exactly; shape 1 x c x 1 x 1."""
    sums = torch.zeros(2, images.shape[1], dtype=torch.int64, device=images.device)
    for chunk in torch.split(rows, 64):
        pixels = images[chunk].int()
        for i, values in enumerate((pixels, pixels * pixels)):
            sums[i] += values.sum(dim=(0, 2, 3), dtype=torch.int64)
    n = len(rows) * images.shape[2] * images.shape[3]
    means = [total / n for total in sums[0].tolist()]
    deviations = [
        math.sqrt((n * squares - total * total) / (n * (n - 1)))
        for total, squares in zip(*sums.tolist(), strict=True)
    ]
    mean, std = (torch.tensor(x, device=images.device) for x in (means, deviations))
    return mean.reshape(1, -1, 1, 1), std.reshape(1, -1, 1, 1)


def train_and_score(
    build: Callable[[], nn.Module],
    data: DeviceData,
    recipe: Recipe,
    seed: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[float]:
    """Trains a fresh network and scores it after every epoch.

    On a CPU with one thread, equal arguments give bitwise equal results in any process.

    Args:
        build: Makes the network, from torch's global random state.
        data: To train and score on; the network goes to its device.
        recipe: How to train.
        seed: Of the weights and of the order of images.
        should_stop: Asked before every step.

    Returns:
        Top-1 accuracy on the scoring images, percent, after each epoch.

    Raises:
        DivergenceError: Once the loss is not finite.
        Interrupted: Once `should_stop` says so.
    """
    torch.manual_seed(seed)
    device = data.mean.device
    network = build().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    order = torch.Generator().manual_seed(seed)
    images, labels, rows = data.train
    steps = max(len(rows) // recipe.batch_size, 1)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: one_cycle(step, recipe.epochs * steps, recipe.warmup)
    )
    accuracies = []
    for epoch in range(recipe.epochs):
        network.train()
        losses = torch.zeros((), device=device)
        shuffled = rows[torch.randperm(len(rows), generator=order).to(device)]
        for batch in shuffled.tensor_split(steps):
            if should_stop():
                raise Interrupted
            inputs = _normalise(_shift(images[batch], recipe.shift, order), data)
            loss = functional.cross_entropy(
                network(inputs), labels[batch], label_smoothing=recipe.label_smoothing
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            losses += loss.detach()
        if not math.isfinite(losses.item()):
            raise DivergenceError(
                f"the loss was {losses.item()} in epoch {epoch + 1} of {recipe.epochs}; lower "
                "[recipe] learning_rate"
            )
        accuracies.append(score(network, data))
    return accuracies


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """The learning rate of a step, counted from 0, as a share of its peak.

    It rises linearly over the first `warmup` of the steps, then falls as half a cosine towards 0
    (Smith and Topin 2018, with a cosine).
    """
    rise = warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1)))


def score(network: nn.Module, data: DeviceData) -> float:
    """Top-1 accuracy on the scoring images, percent."""
    network.eval()
    images, labels, rows = data.scoring
    right = torch.zeros((), dtype=torch.int64, device=labels.device)
    with torch.inference_mode():
        for x, y in _batches(images, labels, rows):
            right += (network(_normalise(x, data)).argmax(dim=1) == y).sum()
    return 100.0 * right.item() / len(rows)


def _batches(images: Tensor, labels: Tensor, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for batch in torch.split(rows, _SCORING_BATCH):
        yield images[batch], labels[batch]


def _normalise(images: Tensor, data: DeviceData) -> Tensor:
    scaled = (images.float() - data.mean) / data.std
    return scaled.contiguous(memory_format=torch.channels_last)


def _shift(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Moves each image by up to `most` pixels each way; what comes in is 0."""
    if not most:
        return images
    n, _, height, width = images.shape
    dy, dx = torch.randint(0, 2 * most + 1, (2, n), generator=generator).to(images.device)
    padded = functional.pad(images, (most, most, most, most))
    rows = (dy[:, None] + torch.arange(height, device=images.device))[:, None, :, None]
    columns = (dx[:, None] + torch.arange(width, device=images.device))[:, None, None, :]
    index = torch.arange(n, device=images.device)[:, None, None, None]
    channels = torch.arange(images.shape[1], device=images.device)[None, :, None, None]
    return padded[index, channels, rows, columns]
