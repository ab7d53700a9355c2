"""What a data set is, once loaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Split:
    """Images and their classes.

    Attributes:
        images: uint8, shape n x channels x size x size.
        labels: int64, shape n, from 0.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class ImageData:
    """A data set in memory: candidates train on `train`, and score on `validation`.

    Attributes:
        train: To learn from.
        validation: To score a search on.
        test: For one final figure.
        content_hash: SHA-256 of all images and labels before they were split.
    """

    train: Split
    validation: Split
    test: Split
    content_hash: str


def content_hash(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
    """SHA-256 over shapes, images and labels: the identity of a data set in fingerprints."""
    digest = hashlib.sha256(repr((images.shape, labels.shape)).encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    digest.update(np.ascontiguousarray(labels, dtype="<i8").tobytes())
    return digest.hexdigest()
