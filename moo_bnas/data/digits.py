"""scikit-learn's digits: 1,797 real 8x8 grey images of handwritten digits, no download.

From the UCI repository (Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, 1998).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from moo_bnas.data.image_data import ImageData, Purpose, Split, content_hash
from moo_bnas.networks.layers import ImageShape
from moo_bnas.section import Section


class Digits(Section):
    """Digits, split 60/20/20, stratified by class."""

    name: Literal["digits"] = "digits"

    @property
    def shape(self) -> ImageShape:
        """8x8, grey, 10 classes."""
        return ImageShape(size=8, channels=1, classes=10)

    @property
    def needs(self) -> str:
        """Where the images come from."""
        return "no download, as its images come with scikit-learn"

    def load(self, root: Path, seed: int, purpose: Purpose) -> ImageData:
        """The images for a purpose.

        Args:
            root: Data root; not used.
            seed: Seed of the split.
            purpose: Search or final training.
        """
        # Imported here because scikit-learn takes seconds to import, and `shape` does not need it.
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        pixels, target = load_digits(return_X_y=True)
        images = np.round(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
        labels = target.astype(np.int64)
        everything = np.arange(len(labels))
        rest, test = train_test_split(everything, test_size=0.2, stratify=labels, random_state=seed)
        train, validation = train_test_split(
            rest, test_size=0.25, stratify=labels[rest], random_state=seed
        )
        learning, scoring = (train, validation) if purpose == "search" else (rest, test)
        return ImageData(
            train=Split(images, labels, learning),
            scoring=Split(images, labels, scoring),
            test_images=len(test),
            classes=tuple("0123456789"),
            content_hash=content_hash(images, labels),
        )
