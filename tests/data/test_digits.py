from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from moo_bnas.data import Digits, ImageData, Purpose, Split
from moo_bnas.data.image_data import content_hash


def _load(seed: int, purpose: Purpose = "search") -> ImageData:
    return Digits().load(Path("/nowhere"), seed, purpose)


def _parts(seed: int = 0) -> tuple[Split, Split, Split]:
    """Train, validation and test."""
    search = _load(seed)
    return search.train, search.scoring, _load(seed, "final").scoring


def test_digits_are_split_60_20_20_by_class_without_overlap() -> None:
    assert [len(s.rows) for s in _parts()] == [1077, 360, 360]
    for split in _parts():
        shares = np.bincount(split.labels[split.rows], minlength=10) / len(split.rows)
        assert np.all(abs(shares - 0.1) < 0.01)
    images = np.concatenate([s.images[s.rows] for s in _parts()])
    original = np.round(load_digits().images * (255 / 16)).astype(np.uint8)[:, None]
    ours, theirs = (sorted(i.tobytes() for i in x) for x in (images, original))
    assert ours == theirs


def test_the_final_training_uses_all_but_the_test_images() -> None:
    train, validation, test = _parts()
    final = _load(0, "final")
    assert set(final.train.rows) == {*train.rows, *validation.rows}
    assert final.test_images == _load(0).test_images == len(test.rows)


def test_the_split_follows_the_seed_and_the_hash_does_not() -> None:
    one, same, other = _load(0), _load(0), _load(1)
    assert np.array_equal(one.scoring.rows, same.scoring.rows)
    assert not np.array_equal(one.scoring.rows, other.scoring.rows)
    assert one.content_hash == other.content_hash


def test_the_hash_depends_on_images_labels_and_shapes() -> None:
    images, labels = np.zeros((2, 1, 2, 2), np.uint8), np.array([0, 1])
    hashes = {
        content_hash(images, labels),
        content_hash(images + np.uint8(1), labels),
        content_hash(images, labels[::-1]),
        content_hash(images.reshape(2, 2, 1, 2), labels),
    }
    assert len(hashes) == 4


def test_the_shape_is_what_loading_gives() -> None:
    data, shape = _load(0), Digits().shape
    assert data.train.images.shape[1:] == (shape.channels, shape.size, shape.size)
    assert set(data.train.labels) == set(range(shape.classes))
    assert len(data.classes) == shape.classes
