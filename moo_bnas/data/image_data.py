"""Data sets in memory, and how images are divided among their parts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moo_bnas.data.pictures import Pictures
from moo_bnas.errors import DataError

Purpose = Literal["search", "final"]
Amount = int | float
"""How many images of each class: a number (int), or a share between 0 and 1 (float)."""


@dataclass(frozen=True)
class Split:
    """Some of the images of an array, which other splits may share.

    Attributes:
        images: Pixels, uint8, n x channels x size x size, read-only where mapped from a file; or
            pictures, which are indexed by rows as that array is.
        labels: Class of each image, counted from 0, int64, n.
        rows: Which of the n images are in this split, int64, in any order.
        sums: Sums of the pixels of each image, and of their squares, int64, n x channels x 2; None:
            they are counted when they are needed.
    """

    images: NDArray[np.uint8] | Pictures
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    sums: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class ImageData:
    """A data set as one purpose needs it.

    Attributes:
        train: Images to train on.
        scoring: Images to score on: validation images in a search, test images in final training.
        test_images: Number of test images; a search does not read them.
        classes: Names of the classes; labels are indices into them.
        content_hash: SHA-256 of all images and labels that were read, before they were split.
    """

    train: Split
    scoring: Split
    test_images: int
    classes: tuple[str, ...]
    content_hash: str


def content_hash(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
    """SHA-256 of shapes, images and labels, which identifies a data set in fingerprints."""
    digest = hashlib.sha256(repr((images.shape, labels.shape)).encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    digest.update(np.ascontiguousarray(labels, dtype="<i8").tobytes())
    return digest.hexdigest()


def share_out(
    labels: NDArray[np.int64], classes: Sequence[str], parts: Sequence[Amount | None], seed: int
) -> list[NDArray[np.int64]]:
    """Divides images among parts at random, class by class.

    Args:
        labels: Class of each image.
        classes: Names of the classes.
        parts: How many images of each class each part takes, in this order, of which the last ones
            are test, validation and training images: a number, a share of the class (rounded, at
            least one image), or None for all that are left.
        seed: Seed of the random choice.

    Returns:
        The rows of the images of each part, ascending. Parts do not overlap.

    Raises:
        DataError: If a class has too few images to leave one for each part.
    """
    random = np.random.default_rng(seed)
    chosen: list[list[NDArray[np.int64]]] = [[] for _ in parts]
    for label, name in enumerate(classes):
        # One permutation per class, cut from its start: later parts never move earlier ones.
        rows = random.permutation(np.flatnonzero(labels == label))
        left = rows
        for part, amount in zip(chosen, parts, strict=True):
            count = _count(amount, len(rows), len(left))
            if count > len(left) or (count == 0 and amount != 0):
                raise DataError(
                    f"class {name!r} has {len(rows)} images, too few to take {_asked(parts)} from "
                    "that folder, at least one of each; add images, or lower test, validation or "
                    "train_per_class in [data]"
                )
            part.append(left[:count])
            left = left[count:]
    return [np.sort(np.concatenate(part)).astype(np.int64) for part in chosen]


def _asked(parts: Sequence[Amount | None]) -> str:
    """What is taken, in words such as `10 validation and 50 training images`."""
    names = ("test", "validation", "training")[-len(parts) :]
    taken = [
        f"{'the rest as' if amount is None else f'{amount:g}'} {name}"
        for amount, name in zip(parts, names, strict=False)
        if amount != 0
    ]
    return " and ".join(taken) + " images"


def _count(amount: Amount | None, of: int, left: int) -> int:
    if amount is None:
        return left
    if isinstance(amount, float):
        return max(round(amount * of), 1)
    return amount
