"""Data sets that no memory holds: pictures that are decoded ahead of the training step.

What comes out depends on the random numbers alone: not on the number of threads, nor on which
process of a group decodes which part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from moo_bnas.data.image_data import Split
from moo_bnas.data.pictures import Pictures
from moo_bnas.processes import count_cores
from moo_bnas.training.augmentation import Augmentation, Moves, draw_boxes

_AHEAD = 3  # batches that are begun before they are needed
_TASK = 8  # pictures that a thread decodes before it takes others
_MOST_THREADS = 16

_Cut = Callable[[int], NDArray[np.uint8]]
"""Function from a place in the order of images to pixels, size x size x channels."""


@dataclass(frozen=True, eq=False)
class StreamedSplit:
    """Images of one split, which stay on disk.

    Attributes:
        pictures: Pictures that splits share.
        labels: int64, n, on the host.
        rows: int64, indices of the pictures that belong to the split, on the host.
        sizes: int64, n x 2 (height, width), in pixels.
        threads: Number of threads that decode.
    """

    pictures: Pictures
    labels: Tensor
    rows: Tensor
    sizes: Tensor
    threads: int

    @classmethod
    def of(cls, split: Split, pictures: Pictures, device: torch.device) -> StreamedSplit:
        """A split of pictures, for training on a device."""
        return cls(
            pictures,
            torch.from_numpy(split.labels),
            torch.from_numpy(split.rows),
            torch.from_numpy(pictures.sizes.astype(np.int64)),
            count_threads(device),
        )

    def augmented(
        self,
        augmentation: Augmentation,
        random: torch.Generator,
        parts: Sequence[slice],
        device: torch.device,
    ) -> Generator[tuple[Tensor, Tensor]]:
        """The images of an epoch; see `DeviceSplit.augmented`."""
        order = self.rows[torch.randperm(len(self.rows), generator=random)]
        boxes = None
        if augmentation.random_resized_crop:
            boxes = draw_boxes(self.sizes[order], random)
        drawn = augmentation.draw_after_crop(len(order), random, torch.device("cpu"))
        shifts = None if drawn.shifts is None else drawn.shifts.to(device)
        moves = Moves(shifts, flips=None, boxes=None)

        def cut(place: int) -> NDArray[np.uint8]:
            row = int(order[place])
            if boxes is None:
                pixels = self.pictures.middle(row, augmentation.size)
            else:
                left, top, width, height = boxes[place].tolist()
                pixels = self.pictures.part(row, (left, top, width, height), augmentation.size)
            found = pixels if boxes is None else _resized(pixels, augmentation.size)
            if drawn.flips is None or not drawn.flips[place]:
                return found
            return torch.from_numpy(found.copy()).flip(1).numpy()  # a seventh of numpy's time

        def batches() -> Generator[tuple[Tensor, Tensor]]:
            places = (range(part.start, part.stop) for part in parts)
            with closing(self._decoded(places, cut, augmentation.size, device)) as decoded:
                for part, images in zip(parts, decoded, strict=True):
                    labels = self.labels[order[part]].to(device, non_blocking=True)
                    yield augmentation.apply(images, moves[part]), labels

        return batches()

    def plain(
        self, parts: Sequence[Tensor], size: int, device: torch.device
    ) -> Generator[tuple[Tensor, Tensor]]:
        """The middles of images; see `DeviceSplit.plain`."""
        rows = torch.cat(list(parts))
        ends = np.cumsum([len(part) for part in parts]).tolist()
        places = (range(end - len(part), end) for end, part in zip(ends, parts, strict=True))

        def cut(place: int) -> NDArray[np.uint8]:
            return self.pictures.middle(int(rows[place]), size)

        with closing(self._decoded(places, cut, size, device)) as decoded:
            for part, images in zip(parts, decoded, strict=True):
                yield images, self.labels[part].to(device, non_blocking=True)

    def _decoded(
        self, parts: Iterable[range], cut: _Cut, size: int, device: torch.device
    ) -> Generator[Tensor]:
        """Batches of images, decoded ahead; uint8, n x channels x size x size, on the device."""
        shape = (size, size, self.pictures.channels)
        pool = ThreadPoolExecutor(self.threads, "decode")

        def begin(places: range) -> tuple[Tensor, list[Future[None]]]:
            # Pinned memory is copied while the GPU computes; torch keeps it for later batches.
            batch = torch.empty(
                (len(places), *shape), dtype=torch.uint8, pin_memory=device.type == "cuda"
            )
            pixels = batch.numpy()

            def fill(start: int) -> None:
                for i in range(start, min(start + _TASK, len(places))):
                    pixels[i] = cut(places[i])

            return batch, [pool.submit(fill, i) for i in range(0, len(places), _TASK)]

        left = iter(parts)
        try:
            begun = deque(begin(places) for places in islice(left, _AHEAD))
            while begun:
                batch, tasks = begun.popleft()
                for task in tasks:
                    task.result()
                begun.extend(begin(places) for places in islice(left, 1))
                # Channels stay last in memory, as training wants them.
                yield batch.to(device, non_blocking=True).permute(0, 3, 1, 2)
        finally:
            pool.shutdown(cancel_futures=True)


def _resized(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Pixels (uint8, height x width x c) at another size, bilinear and antialiased.

    That is how torchvision resizes; torch takes a quarter of the time that Pillow does.
    """
    # With strides of channels_last, in which the result then is, too, and is copied fast.
    image = torch.from_numpy(pixels.copy())[None].permute(0, 3, 1, 2)
    found = functional.interpolate(image, (size, size), mode="bilinear", antialias=True)
    return found.permute(0, 2, 3, 1)[0].numpy()


def count_threads(device: torch.device) -> int:
    """Number of threads that decode for one process.

    A CPU is shared by one worker per core; GPUs share the cores of a machine.
    """
    if device.type == "cpu":
        return 1
    return max(min(count_cores() // max(torch.cuda.device_count(), 1), _MOST_THREADS), 1)
