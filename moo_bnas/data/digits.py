"""scikit-learn's digits: 1,797 real 8x8 grey images of handwritten digits, no download.

From the UCI repository (Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, 1998).
"""

from __future__ import annotations

import numpy as np

from moo_bnas.data.image_data import ImageData, Split, content_hash
from moo_bnas.networks.layers import ImageShape

SHAPE = ImageShape(size=8, channels=1, classes=10)


def load(seed: int) -> ImageData:
    """Digits, split 60/20/20, stratified by class.

    Args:
        seed: Of the split.
    """
    # Here and not above: it takes seconds, and the shape alone does not need it.
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
    return ImageData(
        train=Split(images[train], labels[train]),
        validation=Split(images[validation], labels[validation]),
        test=Split(images[test], labels[test]),
        content_hash=content_hash(images, labels),
    )
