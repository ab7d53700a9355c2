from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from moo_bnas.data import Cifar10, Purpose
from moo_bnas.errors import DataError

OPTIONS = Cifar10(validation=2)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with an archive of torchvision's layout: 100 training and 10 test images."""
    folder = tmp_path / "cifar10" / CIFAR10.base_folder
    folder.mkdir(parents=True)

    def write(name: str, content: object) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]  # noqa: S324 (theirs)

    def batch(i: int, n: int) -> dict[str, object]:
        noise = np.random.default_rng(i).integers(0, 256, (n, 3072), np.uint8)
        return {"data": noise, "labels": [j % 10 for j in range(n)]}

    names = ["airplane", *"bcdefghij"]
    name, md5 = write("batches.meta", {"label_names": names})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": md5})
    batches = [write(f"data_batch_{i}", batch(i, 20)) for i in range(1, 6)]
    monkeypatch.setattr(CIFAR10, "train_list", batches)
    monkeypatch.setattr(CIFAR10, "test_list", [write("test_batch", batch(6, 10))])
    return tmp_path


def _expected(i: int, n: int) -> np.ndarray:
    """Rows of the archive are planes of red, green and blue."""
    noise = np.random.default_rng(i).integers(0, 256, (n, 3072), np.uint8)
    return noise.reshape(n, 3, 32, 32)


def test_the_archive_is_read_and_split(root: Path) -> None:
    search, final = (OPTIONS.load(root, 0, p) for p in ("search", "final"))
    training = np.concatenate([_expected(i, 20) for i in range(1, 6)])
    assert np.array_equal(np.asarray(search.train.images), training)
    assert np.array_equal(np.asarray(final.scoring.images), _expected(6, 10))
    assert search.train.labels.tolist() == list(range(10)) * 10
    for split, count in ((search.train, 8), (search.scoring, 2), (final.train, 10)):
        assert np.bincount(split.labels[split.rows]).tolist() == [count] * 10
    assert sorted([*search.train.rows, *search.scoring.rows]) == list(range(100))
    assert final.scoring.rows.tolist() == list(range(10))


def test_a_warm_cache_needs_no_archive_to_be_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = OPTIONS.load(root, 0, "search")
    monkeypatch.setattr(CIFAR10, "__init__", None)
    after = OPTIONS.load(root, 1, "search")
    assert after.content_hash == before.content_hash
    assert not np.array_equal(after.scoring.rows, before.scoring.rows)


def test_a_search_may_train_on_a_part(root: Path) -> None:
    few = Cifar10(validation=2, train_per_class=3).load(root, 0, "search")
    assert np.bincount(few.train.labels[few.train.rows]).tolist() == [3] * 10


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Path.unlink, "looked for CIFAR-10 in .*cifar-10-batches-py; data_batch_2: No such f"),
        (_cut, "data_batch_2 is missing or damaged: expected a file of MD5"),
    ],
)
def test_a_damaged_archive_is_reported(
    root: Path, change: Callable[[Path], None], message: str
) -> None:
    change(root / "cifar10" / CIFAR10.base_folder / "data_batch_2")
    with pytest.raises(DataError, match=f"{message}.*run `moo-bnas data DEFINITION --download`"):
        OPTIONS.load(root, 0, "search")


@pytest.mark.parametrize("purpose", ["search", "final"])
def test_a_missing_archive_is_reported(tmp_path: Path, purpose: Purpose) -> None:
    with pytest.raises(DataError, match=f"looked for CIFAR-10 in {tmp_path}/cifar10/cifar-10-ba"):
        OPTIONS.load(tmp_path, 0, purpose)


def test_a_download_fetches_what_torchvision_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def init(self: object, root: Path, download: bool) -> None:
        asked.append((root, download))

    monkeypatch.setattr(CIFAR10, "__init__", init)
    OPTIONS.download(tmp_path)
    assert asked == [(tmp_path / "cifar10", True)]


def test_a_download_that_fails_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    with pytest.raises(DataError, match=r"cannot download http://127.* to .*refused.*; try again"):
        OPTIONS.download(tmp_path)
