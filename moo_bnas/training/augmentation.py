"""Augmentation of whole batches at once, on whatever device they are."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

_AREA = (0.08, 1.0)  # of a random resized crop, as a share of the image (Szegedy et al. 2015)
_ASPECT = (3 / 4, 4 / 3)
_TRIES = 10
_FEW = 2**16  # images whose boxes are drawn at once


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
        moves = self.draw_after_crop(n, random, device)
        if self.random_resized_crop:
            moves = replace(moves, boxes=_boxes(n, random).to(device))
        return moves

    def draw_after_crop(self, n: int, random: torch.Generator, device: torch.device) -> Moves:
        """Draws moves of n images that are cut out already, as `draw` does."""
        shifts = flips = None
        if self.shift:
            shifts = torch.randint(0, 2 * self.shift + 1, (n, 2), generator=random).to(device)
        if self.flip:
            flips = (torch.rand(n, generator=random) < 0.5).to(device)
        return Moves(shifts, flips, None)

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


def draw_boxes(sizes: Tensor, random: torch.Generator) -> Tensor:
    """Parts of images of any sizes, as torchvision's RandomResizedCrop draws them.

    Area and aspect are drawn ten times, and the first part that fits is taken; where none does, it
    is the middle of the image, with the nearest aspect in the range.

    Args:
        sizes: int64, n x 2 (height, width).
        random: Generator on the CPU.

    Returns:
        int32, n x 4 (left, top, width, height), in pixels.
    """
    parts = [_some_boxes(few, random) for few in torch.split(sizes, _FEW)]
    return torch.cat(parts)


def _some_boxes(sizes: Tensor, random: torch.Generator) -> Tensor:
    n = len(sizes)
    whole_height, whole_width = sizes[:, :1].double(), sizes[:, 1:].double()
    area = torch.empty(n, _TRIES, dtype=torch.float64).uniform_(*_AREA, generator=random)
    area *= whole_height * whole_width
    low, high = (math.log(aspect) for aspect in _ASPECT)
    aspect = torch.empty(n, _TRIES, dtype=torch.float64).uniform_(low, high, generator=random).exp()
    width, height = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (width > 0) & (height > 0) & (width <= whole_width) & (height <= whole_height)
    first = fits.int().argmax(dim=1, keepdim=True)
    none = ~fits.any(dim=1, keepdim=True)
    # The middle: one side whole, the other as long as the nearest aspect allows.
    middle_width = torch.minimum(whole_width, (whole_height * _ASPECT[1]).round())
    middle_height = torch.minimum(whole_height, (whole_width / _ASPECT[0]).round())
    width = torch.where(none, middle_width, width.gather(1, first))
    height = torch.where(none, middle_height, height.gather(1, first))
    x, y = torch.rand(2, n, 1, dtype=torch.float64, generator=random)
    beside, above = whole_width - width, whole_height - height
    left = torch.where(none, beside // 2, x * (beside + 1))
    top = torch.where(none, above // 2, y * (above + 1))
    return torch.cat([left, top, width, height], dim=1).int()


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
