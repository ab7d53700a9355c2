"""What a data set is, once loaded, and how images are shared out to its parts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moo_bnas.errors import DataError

Purpose = Literal["search", "final"]
Amount = int | float
"""Of images of each class: a number, or a share between 0 and 1."""


@dataclass(frozen=True)
class Split:
    """Some of the images of an array, which other splits may share.

    Attributes:
        images: uint8, shape n x channels x size x size; may be mapped from a file, to be read only.
        labels: int64, shape n, from 0.
        rows: int64, ascending or not; which of the n are in this split.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class ImageData:
    """A data set as one purpose needs it.

    Attributes:
        train: To learn from.
        scoring: To score on: the validation images for a search, the test images in the end.
        test_images: How many test images there are; a search does not read them.
        classes: Their names; labels are indices into them.
        content_hash: SHA-256 of all images and labels that were read, before they were split.
    """

    train: Split
    scoring: Split
    test_images: int
    classes: tuple[str, ...]
    content_hash: str


def content_hash(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
    """SHA-256 over shapes, images and labels: the identity of a data set in fingerprints."""
    digest = hashlib.sha256(repr((images.shape, labels.shape)).encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    digest.update(np.ascontiguousarray(labels, dtype="<i8").tobytes())
    return digest.hexdigest()


def share_out(
    labels: NDArray[np.int64], classes: Sequence[str], parts: Sequence[Amount | None], seed: int
) -> list[NDArray[np.int64]]:
    """Shares images out at random, each class by itself.

    Args:
        labels: Of all images.
        classes: Their names.
        parts: How much of each class goes to each part, served in this order: a number, a share
            of the class (rounded, at least one image), or None for what is left.
        seed: Of the choice.

    Returns:
        For each part the rows of its images, ascending. Parts do not overlap.

    Raises:
        DataError: Where a class has too few images to leave one for each part.
    """
    random = np.random.default_rng(seed)
    chosen: list[list[NDArray[np.int64]]] = [[] for _ in parts]
    for label, name in enumerate(classes):
        rows = random.permutation(np.flatnonzero(labels == label))
        left = rows
        for part, amount in zip(chosen, parts, strict=True):
            count = _count(amount, len(rows), len(left))
            if count > len(left) or (count == 0 and amount != 0):
                asked = ", ".join("the rest" if p is None else f"{p:g}" for p in parts if p != 0)
                raise DataError(
                    f"class {name!r} has {len(rows)} images, too few to take {asked} from (test, "
                    "validation and training images, at least one of each, where they share a "
                    "folder); add images, or lower test, validation or train_per_class in [data]"
                )
            part.append(left[:count])
            left = left[count:]
    return [np.sort(np.concatenate(part)).astype(np.int64) for part in chosen]


def _count(amount: Amount | None, of: int, left: int) -> int:
    if amount is None:
        return left
    if isinstance(amount, float):
        return max(round(amount * of), 1)
    return amount
