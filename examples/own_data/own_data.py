"""An example of a data set of one's own: grey images of bars in noise, drawn by the program.

A class says in which row the bar is. Yours would read files below the data root.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moo_bnas.data import ImageData, OwnDataSet, Purpose, Split
from moo_bnas.data.image_data import content_hash, share_out
from moo_bnas.networks.layers import ImageShape


def bars(size: int = 8, per_class: int = 60, noise: int = 80) -> OwnDataSet:
    """Images of one bar each.

    The options come from a definition: whatever [data] holds beside `name`.

    Args:
        size: Height and width of an image, and the number of classes.
        per_class: Images of each class.
        noise: Greatest brightness of the noise.
    """

    def load(root: Path, seed: int, purpose: Purpose) -> ImageData:
        """The images: three fifths to train on, one to validate and one to test on."""
        random = np.random.default_rng(0)  # the images are always the same; `seed` splits them
        labels = np.repeat(np.arange(size), per_class)
        images = random.integers(0, noise + 1, (len(labels), 1, size, size), dtype=np.uint8)
        images[np.arange(len(labels)), 0, labels] += np.uint8(255 - noise)
        classes = tuple(f"row {row}" for row in range(size))
        test, validation, train = share_out(labels, classes, (0.2, 0.2, None), seed)
        rest = np.sort(np.concatenate([train, validation]))
        learning, scoring = (train, validation) if purpose == "search" else (rest, test)
        return ImageData(
            train=Split(images, labels, learning),
            scoring=Split(images, labels, scoring),
            test_images=len(test),
            classes=classes,
            content_hash=content_hash(images, labels),
        )

    return OwnDataSet(
        shape=ImageShape(size=size, channels=1, classes=size),
        load=load,
        needs="no download, as its package draws the images",
    )
