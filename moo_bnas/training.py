"""Trains one candidate and scores it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
        train: Images (uint8, n x c x h x w) and labels (int64, n).
        validation: Likewise.
        mean: Of the training images' channels, in 0..255, shape 1 x c x 1 x 1.
        std: Likewise.
    """

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    mean: Tensor
    std: Tensor


def to_device(data: ImageData, device: torch.device) -> DeviceData:
    """Puts a data set on a device, where it stays for all candidates."""

    def tensors(split: Split) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(split.images).to(device), torch.from_numpy(split.labels).to(device)

    train = tensors(data.train)
    pixels = train[0].double()
    return DeviceData(
        train=train,
        validation=tensors(data.validation),
        mean=pixels.mean(dim=(0, 2, 3), keepdim=True).float(),
        std=pixels.std(dim=(0, 2, 3), keepdim=True).float(),
    )


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
        Top-1 validation accuracy, percent, after each epoch.

    Raises:
        DivergenceError: Once the loss is not finite.
        Interrupted: Once `should_stop` says so.
    """
    torch.manual_seed(seed)
    device = data.mean.device
    network = build().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    order = torch.Generator().manual_seed(seed)
    images, labels = data.train
    steps = max(len(labels) // recipe.batch_size, 1)
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
        for batch in torch.randperm(len(labels), generator=order).to(device).tensor_split(steps):
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
    """Top-1 accuracy on the validation split, percent."""
    network.eval()
    images, labels = data.validation
    right = torch.zeros((), dtype=torch.int64, device=labels.device)
    with torch.inference_mode():
        for x, y in _batches(images, labels):
            right += (network(_normalise(x, data)).argmax(dim=1) == y).sum()
    return 100.0 * right.item() / len(labels)


def _batches(images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(labels), _SCORING_BATCH):
        end = start + _SCORING_BATCH
        yield images[start:end], labels[start:end]


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
