"""An example of a data set of one's own: grey images of stripes in noise, drawn by the program.

A class says in which direction the stripes run. Yours would read files below the data root.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moo_bnas.data import ImageData, OwnDataSet, Purpose, Split
from moo_bnas.data.image_data import content_hash, share_out
from moo_bnas.networks.layers import ImageShape

CLASSES = ("across", "down", "diagonal", "board")


def stripes(size: int = 8, per_class: int = 100, noise: int = 80) -> OwnDataSet:
    """Images of stripes.

    The options come from a definition: whatever [data] holds beside `name`.

    Args:
        size: Height and width of an image.
        per_class: Images of each class.
        noise: Greatest brightness of the noise.
    """

    def load(root: Path, seed: int, purpose: Purpose) -> ImageData:
        """The images: three fifths to train on, one to validate and one to test on."""
        random = np.random.default_rng(0)  # the images are always the same; `seed` splits them
        labels = np.repeat(np.arange(len(CLASSES)), per_class)
        images = random.integers(0, noise + 1, (len(labels), 1, size, size), dtype=np.uint8)
        row, column = np.indices((size, size))
        phases = np.array([row, column, row + column, row // 2 + column // 2])[labels]
        begins = random.integers(0, 4, (len(labels), 1, 1))
        lit = (phases + begins) % 4 < 2
        images[:, 0] += (lit * (255 - noise)).astype(np.uint8)
        test, validation, train = share_out(labels, CLASSES, (0.2, 0.2, None), seed)
        rest = np.sort(np.concatenate([train, validation]))
        learning, scoring = (train, validation) if purpose == "search" else (rest, test)
        return ImageData(
            train=Split(images, labels, learning),
            scoring=Split(images, labels, scoring),
            test_images=len(test),
            classes=CLASSES,
            content_hash=content_hash(images, labels),
        )

    return OwnDataSet(
        shape=ImageShape(size=size, channels=1, classes=len(CLASSES)),
        load=load,
        needs="no download, as its package draws the images",
    )
