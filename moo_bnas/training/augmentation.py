"""Augmentation of whole batches at once, on whatever device they are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_AREA = (0.08, 1.0)  # of a random resized crop, as a share of the image (Szegedy et al. 2015)
_ASPECT = (3 / 4, 4 / 3)
_TRIES = 10


@dataclass(frozen=True)
class Moves:
    """How each of n images is moved; drawn for an epoch, used in slices.

    Attributes:
        shifts: n x 2 (rows, columns), from 0 to twice the greatest shift; None: none is shifted.
        flips: n, whether the image is mirrored left to right; None: none is.
        boxes: n x 4 (middle x, middle y, width, height) as shares of the image; None: none is
            cropped.
    """

    shifts: Tensor | None
    flips: Tensor | None
    boxes: Tensor | None

    def __getitem__(self, here: slice) -> Moves:
        """The moves of some of the images."""
        return Moves(
            None if self.shifts is None else self.shifts[here],
            None if self.flips is None else self.flips[here],
            None if self.boxes is None else self.boxes[here],
        )


@dataclass(frozen=True)
class Augmentation:
    """Random crops and flips.

    Attributes:
        size: Side of the images that come out.
        shift: Greatest number of pixels that an image is shifted each way; the border becomes 0.
        flip: Whether each image is mirrored with probability 1/2.
        random_resized_crop: Whether a random part of each image, of 8% to 100% of its area and with
            an aspect of 3:4 to 4:3, is resized to the whole.
    """

    size: int
    shift: int
    flip: bool
    random_resized_crop: bool

    def draw(self, n: int, random: torch.Generator, device: torch.device) -> Moves:
        """Draws moves of n images from a generator on the CPU; they are returned on a device."""
        shifts = flips = boxes = None
        if self.shift:
            shifts = torch.randint(0, 2 * self.shift + 1, (n, 2), generator=random).to(device)
        if self.flip:
            flips = (torch.rand(n, generator=random) < 0.5).to(device)
        if self.random_resized_crop:
            boxes = _boxes(n, random).to(device)
        return Moves(shifts, flips, boxes)

    def apply(self, images: Tensor, moves: Moves) -> Tensor:
        """Moves images (uint8, n x c x h x w); returns n x c x size x size in 0..255."""
        if moves.boxes is None:
            images = centre(images, self.size)
        else:
            images = _resized(images, moves.boxes, self.size)
        if moves.shifts is not None:
            images = _shifted(images, moves.shifts, self.shift)
        if moves.flips is not None:
            images = torch.where(moves.flips[:, None, None, None], images.flip(3), images)
        return images


def centre(images: Tensor, size: int) -> Tensor:
    """The middle of images that are stored larger than `size`."""
    top, left = (images.shape[2] - size) // 2, (images.shape[3] - size) // 2
    return images[:, :, top : top + size, left : left + size]


def _shifted(images: Tensor, shifts: Tensor, most: int) -> Tensor:
    n, _, height, width = images.shape
    padded = functional.pad(images, (most, most, most, most))
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: n x c x y x x x h x w
    index = torch.arange(n, device=images.device)
    return windows[index, :, shifts[:, 0], shifts[:, 1]]


def _resized(images: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Cuts boxes out and resizes them, bilinearly."""
    x, y, width, height = boxes.T
    theta = torch.zeros(len(boxes), 2, 3, device=boxes.device)
    theta[:, 0, 0], theta[:, 0, 2] = width, 2 * x - 1
    theta[:, 1, 1], theta[:, 1, 2] = height, 2 * y - 1
    shape = [len(boxes), images.shape[1], size, size]
    grid = functional.affine_grid(theta, shape, align_corners=False)
    return functional.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)


def _boxes(n: int, random: torch.Generator) -> Tensor:
    """Boxes as torchvision's RandomResizedCrop draws them: the first of ten that fits, else all."""
    area = torch.empty(n, _TRIES).uniform_(*_AREA, generator=random)
    low, high = torch.tensor(_ASPECT).log().tolist()
    aspect = torch.empty(n, _TRIES).uniform_(low, high, generator=random).exp()
    width, height = (area * aspect).sqrt(), (area / aspect).sqrt()
    fits = (width <= 1) & (height <= 1)
    first = fits.int().argmax(dim=1, keepdim=True)
    none = ~fits.any(dim=1)
    width = width.gather(1, first).squeeze(1).masked_fill(none, 1.0)
    height = height.gather(1, first).squeeze(1).masked_fill(none, 1.0)
    place = torch.rand(2, n, generator=random)
    x, y = width / 2 + place[0] * (1 - width), height / 2 + place[1] * (1 - height)
    return torch.stack([x, y, width, height], dim=1)
