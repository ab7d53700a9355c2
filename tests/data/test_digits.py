from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from moo_bnas.data import DATA_SETS, digits
from moo_bnas.data.image_data import content_hash


def test_digits_are_split_60_20_20_by_class_without_overlap() -> None:
    data = digits.load(0)
    sizes = [len(s.labels) for s in (data.train, data.validation, data.test)]
    assert sizes == [1077, 360, 360]
    for split in (data.train, data.validation, data.test):
        shares = np.bincount(split.labels, minlength=10) / len(split.labels)
        assert np.all(abs(shares - 0.1) < 0.01)
    images = np.concatenate([s.images for s in (data.train, data.validation, data.test)])
    original = np.round(load_digits().images * (255 / 16)).astype(np.uint8)[:, None]
    ours, theirs = (sorted(i.tobytes() for i in x) for x in (images, original))
    assert ours == theirs


def test_the_split_follows_the_seed_and_the_hash_does_not() -> None:
    one, same, other = digits.load(0), digits.load(0), digits.load(1)
    assert np.array_equal(one.validation.images, same.validation.images)
    assert not np.array_equal(one.validation.labels, other.validation.labels)
    assert one.content_hash == other.content_hash


def test_the_hash_tells_images_labels_and_shapes_apart() -> None:
    images, labels = np.zeros((2, 1, 2, 2), np.uint8), np.array([0, 1])
    hashes = {
        content_hash(images, labels),
        content_hash(images + np.uint8(1), labels),
        content_hash(images, labels[::-1]),
        content_hash(images.reshape(2, 2, 1, 2), labels),
    }
    assert len(hashes) == 4


def test_every_shape_is_what_loading_gives() -> None:
    for module in DATA_SETS.values():
        data, shape = module.load(0), module.SHAPE
        assert data.train.images.shape[1:] == (shape.channels, shape.size, shape.size)
        assert set(data.train.labels) == set(range(shape.classes))
