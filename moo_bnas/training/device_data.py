"""Data sets where a device trains on them: whole, as bytes, for all candidates; or streamed."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moo_bnas.data import ImageData, Split
from moo_bnas.data.pictures import Pictures
from moo_bnas.data.statistics import channel_sums, mean_and_deviation
from moo_bnas.training.augmentation import Augmentation, centre
from moo_bnas.training.streamed_data import StreamedSplit

_CHUNK = 4096  # images at a time, when all are copied
_FEW = 128  # images at a time, when their pixels are summed
_ROOM_FOR_DATA = 0.5  # share of a GPU's free memory that data may take


@dataclass(frozen=True)
class DeviceSplit:
    """Images of one split, at the place where they stay during training runs.

    Attributes:
        images: uint8, n x c x h x w, on the device; on the host where the device is too small.
        labels: int64, n, beside the images.
        rows: int64, indices of the images that belong to the split.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor

    def augmented(
        self,
        augmentation: Augmentation,
        random: torch.Generator,
        parts: Sequence[slice],
        device: torch.device,
    ) -> Generator[tuple[Tensor, Tensor]]:
        """The images of an epoch, in random order, augmented.

        Args:
            augmentation: How images are moved.
            random: Generator from which all random numbers of the epoch are drawn, at once.
            parts: Which places of the order make each batch.
            device: Device that the batches are for.

        Returns:
            Batches of images (n x c x size x size in 0..255) and labels.
        """
        # All random numbers are drawn and sent at once: no step waits for the host.
        drawn = torch.randperm(len(self.rows), generator=random)
        order = self.rows[drawn.to(self.rows.device)]
        moves = augmentation.draw(len(order), random, device)

        def batches() -> Generator[tuple[Tensor, Tensor]]:
            for part in parts:
                images, labels = self._batch(order[part], device)
                yield augmentation.apply(images, moves[part]), labels

        return batches()

    def plain(
        self, parts: Sequence[Tensor], size: int, device: torch.device
    ) -> Generator[tuple[Tensor, Tensor]]:
        """The middles of images.

        Args:
            parts: Rows of the images of each batch.
            size: Height and width of the middles.
            device: Device that the batches are for.

        Yields:
            Batches of images (uint8, n x c x size x size) and labels.
        """
        for rows in parts:
            images, labels = self._batch(rows, device)
            yield centre(images, size), labels

    def _batch(self, rows: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Images and labels of these rows, on the device."""
        found = self.images[rows], self.labels[rows]
        return found[0].to(device, non_blocking=True), found[1].to(device, non_blocking=True)


@dataclass(frozen=True)
class DeviceData:
    """A data set for one device.

    Attributes:
        train: Images to learn from.
        scoring: Images to score on.
        size: Side of the images that a network gets; they are stored at this size or larger.
        mean: Mean of each channel of the training images, in 0..255, shape 1 x c x 1 x 1.
        std: Standard deviation of each channel, in the same form.
    """

    train: DeviceSplit | StreamedSplit
    scoring: DeviceSplit | StreamedSplit
    size: int
    mean: Tensor
    std: Tensor

    @property
    def device(self) -> torch.device:
        """The device that the training runs on."""
        return self.mean.device

    def normalise(self, images: Tensor) -> Tensor:
        """Images in 0..255 as floats of mean 0 and standard deviation 1 per channel."""
        scaled = (images.float() - self.mean) / self.std
        return scaled.contiguous(memory_format=torch.channels_last)


def to_device(data: ImageData, size: int, device: torch.device) -> DeviceData:
    """Puts a data set on a device, where it stays for all candidates.

    Args:
        data: The data set as loaded.
        size: Side of the images that the network gets.
        device: Device to train on. For a CPU the images stay where they are, which may be a file.
            Pictures stay on disk, and are decoded when they are needed.
    """
    mean, std = _channel_statistics(data.train)
    return DeviceData(
        train=_place(data.train, device),
        scoring=_place(data.scoring, device),
        size=size,
        mean=mean.to(device),
        std=std.to(device),
    )


def _place(split: Split, device: torch.device) -> DeviceSplit | StreamedSplit:
    """A split on a device: copied to a GPU if it has room, else left on the host."""
    if isinstance(split.images, Pictures):
        return StreamedSplit.of(split, split.images, device)
    images = _read_only(split.images)
    labels, rows = torch.from_numpy(split.labels), torch.from_numpy(split.rows)
    if device.type == "cpu":
        return DeviceSplit(images, labels, rows)
    needed = len(rows) * images[0].nbytes
    if needed > _ROOM_FOR_DATA * torch.cuda.mem_get_info(device)[0]:
        return DeviceSplit(images, labels, rows)
    # In chunks: the images may be mapped from a file that is larger than the host's memory.
    chosen = torch.empty((len(rows), *images.shape[1:]), dtype=torch.uint8, device=device)
    for here, of_split in zip(torch.split(chosen, _CHUNK), torch.split(rows, _CHUNK), strict=True):
        here.copy_(images[of_split])
    return DeviceSplit(chosen, labels[rows].to(device), torch.arange(len(rows), device=device))


def _read_only(images: NDArray[np.uint8]) -> Tensor:
    with warnings.catch_warnings():  # they are only read
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(images)


def _channel_statistics(split: Split) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over the images of a split, exactly summed."""
    images, rows = split.images, split.rows
    total = np.zeros((images.shape[1], 2), np.int64)
    for start in range(0, len(rows), _FEW):
        here = rows[start : start + _FEW]
        total += (channel_sums(images[here]) if split.sums is None else split.sums[here]).sum(0)
    pixels = len(rows) * images.shape[2] * images.shape[3]
    if isinstance(images, Pictures):  # all of each picture counts
        pixels = int(images.sizes[rows].astype(np.int64).prod(axis=1).sum())
    mean, deviation = map(torch.from_numpy, mean_and_deviation(total, pixels))
    shape = (1, images.shape[1], 1, 1)
    return mean.float().reshape(shape), deviation.float().reshape(shape)
