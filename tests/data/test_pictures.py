"""Pictures: whole images as JPEG in one file, checked, and decoded by parts."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moo_bnas.data import Folder, ImageData, ImageNet, image_tree
from moo_bnas.data.pictures import Pictures
from moo_bnas.data.pixels import read_image, read_picture
from moo_bnas.data.statistics import channel_sums
from moo_bnas.errors import DataError
from tests.data.trees import image, plant

SIZE = (30, 20)  # width and height of the planted images
FOLDER = Folder(
    path="set", image_size=8, classes=2, stored_size=10, stored_as="jpeg", validation=2, test=2
)


def smooth(seed: int, size: tuple[int, int]) -> Image.Image:
    """An image without the noise that JPEG cannot keep."""
    return image(seed, 4).resize(size, Image.Resampling.BICUBIC)


def _load(root: Path, options: Folder | ImageNet = FOLDER) -> ImageData:
    return options.load(root, 0, "search")


def _pictures(data: ImageData) -> Pictures:
    assert isinstance(data.train.images, Pictures)
    return data.train.images


def _planted(root: Path) -> list[Path]:
    plant(root / "set" / "train", images=6, size=SIZE)
    plant(root / "set" / "test", images=1, size=SIZE)
    return sorted((root / "set" / "train").rglob("*.png"))


def _planted_smooth(root: Path, size: tuple[int, int]) -> None:
    for name in "ab":
        (root / "set" / "train" / name).mkdir(parents=True)
        for i in range(5):
            smooth(i, size).save(root / "set" / "train" / name / f"{i}.png")


def test_pictures_keep_their_aspect_and_their_shorter_side_is_bounded(tmp_path: Path) -> None:
    train = tmp_path / "set" / "train"
    _planted(tmp_path)
    image(1, (9, 50)).save(train / "a" / "tall.png")
    image(2, (7, 8)).save(train / "a" / "tiny.png")
    image(3, 16).convert("L").save(train / "b" / "grey.png")
    data = _load(tmp_path)
    pictures = _pictures(data)
    # In the order of paths: six of a, tall and tiny; six of b, and the grey one.
    assert pictures.sizes.tolist() == [
        *[[10, 15]] * 6,
        [50, 9],
        [8, 7],
        *[[10, 15]] * 6,
        [10, 10],
    ]
    assert pictures.shape == (15, 3, 10, 10)
    assert pictures[np.arange(15)].shape == (15, 3, 10, 10)


def test_squares_are_nearly_those_of_stored_pixels(tmp_path: Path) -> None:
    _planted_smooth(tmp_path, (60, 40))
    options = FOLDER.model_copy(update={"stored_size": 32, "image_size": 24})
    jpeg = _pictures(_load(tmp_path, options))
    pixels = _load(tmp_path, options.model_copy(update={"stored_as": "pixels"})).train.images
    rows = np.arange(6)  # without the four test images
    assert np.abs(jpeg[rows].astype(int) - pixels[rows]).mean() < 3  # JPEG, and chroma at half
    middle = jpeg.middle(4, 24)
    assert np.array_equal(middle, jpeg.middle(4, 32)[4:28, 4:28])  # not resampled


def test_parts_are_cut_at_whole_pixels(tmp_path: Path) -> None:
    _planted(tmp_path)
    pictures = _pictures(_load(tmp_path, FOLDER.model_copy(update={"stored_size": 20})))
    whole = pictures.part(3, (0, 0, 30, 20), 20)
    assert whole.shape == (20, 30, 3)
    for left, top, width, height in ((3, 2, 11, 7), (29, 0, 1, 20)):
        part = pictures.part(3, (left, top, width, height), 16)
        assert np.array_equal(part, whole[top : top + height, left : left + width])


def test_large_parts_are_made_smaller_by_the_decoder(tmp_path: Path) -> None:
    _planted_smooth(tmp_path, (300, 200))
    pictures = _pictures(_load(tmp_path, FOLDER.model_copy(update={"stored_size": 200})))
    box = (100, 20, 160, 120)
    found = pictures.part(0, box, 16)  # at a quarter: an eighth would leave 20 x 15
    assert found.shape == (30, 40, 3)
    exact = Image.fromarray(pictures.part(0, box, 160)).resize((40, 30), Image.Resampling.BOX)
    assert np.abs(found.astype(int) - np.asarray(exact)).mean() < 2


def test_sums_are_of_all_pixels_before_they_are_encoded(tmp_path: Path) -> None:
    paths = _planted(tmp_path)
    data = _load(tmp_path)
    assert data.train.sums is not None
    picture = np.asarray(read_picture(paths[5], 10, 3)).transpose(2, 0, 1)
    assert np.array_equal(data.train.sums[5], channel_sums(picture[None])[0])


def test_grey_pictures(tmp_path: Path) -> None:
    _planted(tmp_path)
    pictures = _pictures(_load(tmp_path, FOLDER.model_copy(update={"channels": 1})))
    assert pictures[np.array([1])].shape == (1, 1, 10, 10)
    assert pictures.part(1, (1, 1, 5, 5), 8).shape == (5, 5, 1)


def test_search_and_final_training_see_the_same_pictures(tmp_path: Path) -> None:
    plant(tmp_path / "imagenet" / "train", images=8, size=SIZE)
    plant(tmp_path / "imagenet" / "val", images=2, size=SIZE)
    net = ImageNet(
        classes=2, image_size=8, stored_size=10, stored_as="jpeg", train_per_class=3, validation=2
    )
    search, final = (net.load(tmp_path, 0, p) for p in ("search", "final"))
    assert [len(s.rows) for s in (search.train, search.scoring)] == [6, 4]
    assert [len(s.rows) for s in (final.train, final.scoring)] == [16, 4]
    everything = {i.tobytes() for i in final.train.images[final.train.rows]}
    assert {i.tobytes() for i in search.train.images[search.train.rows]} <= everything


def test_an_extremely_long_image_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (20_000, 1)).save(tmp_path / "long.png")
    with pytest.raises(DataError, match=r"long.png: it has 20000 x 1 pixels .* at most 16,384"):
        read_picture(tmp_path / "long.png", 10, 3)
    assert read_image(tmp_path / "long.png", 10, 3).shape == (3, 10, 10)


# Damage of an entry.


def _folder(root: Path) -> Path:
    (folder,) = [p for p in (root / "cache").iterdir() if p.is_dir()]
    return folder


def _never(*_: object) -> None:
    raise AssertionError("read again")


def _content(data: ImageData) -> list[bytes]:
    split = data.train
    assert split.sums is not None
    arrays = (split.images[np.arange(12)], split.labels, split.sums)
    return [data.content_hash.encode(), *(array.tobytes() for array in arrays)]


def test_an_entry_is_made_and_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _planted(tmp_path)
    expected = _content(_load(tmp_path))
    assert "verifying the cache" in caplog.text  # what was just written
    monkeypatch.setattr(image_tree, "read_picture", _never)
    monkeypatch.setattr(Pictures, "check_all", _never)
    assert _content(_load(tmp_path)) == expected


def test_a_copied_entry_is_verified_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _planted(tmp_path)
    expected = _content(_load(tmp_path))
    folder = _folder(tmp_path)
    shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(folder)
    (tmp_path / "copy").rename(folder)
    caplog.clear()
    monkeypatch.setattr(image_tree, "read_picture", _never)
    assert _content(_load(tmp_path)) == expected
    assert "verifying the cache" in caplog.text
    caplog.clear()
    assert _content(_load(tmp_path)) == expected
    assert not caplog.text


@pytest.mark.parametrize("name", ["index.bin", "about.json"])
def test_whichever_bit_flips_it_is_right_or_made_again(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    _planted(tmp_path)
    expected = _content(_load(tmp_path))
    path = _folder(tmp_path) / name
    whole = path.read_bytes()
    for bit in range(3, 8 * len(whole), 53):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert _content(_load(tmp_path)) == expected


def _cut(path: Path) -> None:
    os.truncate(path, 150)


def _lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _flip(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])


def _lose(path: Path) -> None:
    path.unlink()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["images.bin", "index.bin", "about.json"])
@pytest.mark.parametrize("damage", [_cut, _lengthen, _flip, _lose, _pipe])
def test_a_damaged_entry_is_noticed_and_made_again(
    tmp_path: Path, name: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    _planted(tmp_path)
    expected = _content(_load(tmp_path))
    damage(_folder(tmp_path) / name)
    assert _content(_load(tmp_path)) == expected
    assert f"the cache {_folder(tmp_path)} is damaged (" in caplog.text


def test_a_picture_that_decays_under_an_open_entry_is_named(tmp_path: Path) -> None:
    _planted(tmp_path)
    pictures = _pictures(_load(tmp_path))
    pictures.verify()
    _flip(_folder(tmp_path) / "images.bin")  # a file of its own, as `write_bytes` truncates
    with pytest.raises(
        DataError, match=r"pictures in the cache .* damaged: the content of picture 11"
    ):
        pictures.middle(11, 8)
    with pytest.raises(DataError, match=r"the pictures in .* the hash of all differs .*; remove"):
        pictures.verify()


def test_a_full_disk(small_disk: Path) -> None:
    for name in "ab":
        (small_disk / "set" / "train" / name).mkdir(parents=True)
        for i in range(5):
            image(i, 8).resize((160, 160)).save(small_disk / "set" / "train" / name / f"{i}.jpg")
    free = shutil.disk_usage(small_disk).free
    (small_disk / "full").write_bytes(bytes(max(free - 3 * 4096, 0)))
    options = FOLDER.model_copy(update={"stored_size": 160})
    with pytest.raises(DataError, match=r"needs about .* bytes in .*No space left|cannot use the"):
        _load(small_disk, options)
    assert not [p for p in (small_disk / "cache").iterdir() if p.is_dir()]
