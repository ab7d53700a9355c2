from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path, PurePath

import numpy as np
import pytest

from moo_bnas.data import Folder, ImageData, ImageNet, Split, image_tree
from moo_bnas.data.pixels import read_image
from moo_bnas.errors import DataError
from tests.data.trees import image, plant

FOLDER = Folder(path="set", image_size=4, classes=2)


def _counts(split: Split) -> list[int]:
    return [int(n) for n in np.bincount(split.labels[split.rows])]


def _pixels(*splits: Split) -> set[bytes]:
    """The images of splits; no two that the tests plant are equal."""
    return {split.images[row].tobytes() for split in splits for row in split.rows}


def _planted(folder: Path, size: int = 4) -> set[bytes]:
    return {read_image(path, size, 3).tobytes() for path in folder.rglob("*.png")}


def _change(folder: Folder, **options: object) -> Folder:
    return Folder.model_validate({**folder.model_dump(), **options})


def _search(root: Path, folder: Folder = FOLDER, seed: int = 0) -> ImageData:
    return folder.load(root, seed, "search")


def _final(root: Path, folder: Folder = FOLDER, seed: int = 0) -> ImageData:
    return folder.load(root, seed, "final")


def test_images_and_labels_are_what_the_files_say(tmp_path: Path) -> None:
    plant(tmp_path / "set" / "train")
    data = _search(tmp_path)
    assert data.classes == ("a", "b")
    assert data.train.images.shape[1:] == (3, 4, 4)
    for row in data.train.rows:
        name = data.classes[data.train.labels[row]]
        own = _planted(tmp_path / "set" / "train" / name)
        assert data.train.images[row].tobytes() in own


def test_without_other_folders_all_parts_are_taken_from_train(tmp_path: Path) -> None:
    plant(tmp_path / "set" / "train", images=20)
    options = _change(FOLDER, test=0.2, validation=3)
    search, final = _search(tmp_path, options), _final(tmp_path, options)
    assert [_counts(s) for s in (search.train, search.scoring)] == [[13, 13], [3, 3]]
    assert [_counts(s) for s in (final.train, final.scoring)] == [[16, 16], [4, 4]]
    assert search.test_images == final.test_images == 8
    assert _pixels(final.train) == _pixels(search.train, search.scoring)
    assert not _pixels(search.train) & _pixels(search.scoring)
    assert not _pixels(final.train) & _pixels(final.scoring)
    everything = _planted(tmp_path / "set")
    assert _pixels(final.train, final.scoring) == everything
    # not even the cache of a search holds a test image
    assert {i.tobytes() for i in np.asarray(search.train.images)} == everything - _pixels(
        final.scoring
    )


def test_other_folders_are_used_whole(tmp_path: Path) -> None:
    for part, images in (("train", 5), ("val", 3), ("test", 2)):
        plant(tmp_path / "set" / part, images=images)
    search, final = _search(tmp_path), _final(tmp_path)
    folder = tmp_path / "set"
    assert _pixels(search.train) == _planted(folder / "train")
    assert _pixels(search.scoring) == _planted(folder / "val")
    assert _pixels(final.train) == _planted(folder / "train") | _planted(folder / "val")
    assert _pixels(final.scoring) == _planted(folder / "test")
    assert search.test_images == 4


def test_a_search_may_train_on_a_part_and_decodes_no_more(tmp_path: Path) -> None:
    plant(tmp_path / "set" / "train")
    plant(tmp_path / "set" / "test", images=1)
    options = _change(FOLDER, train_per_class=3, validation=2)
    search = _search(tmp_path, options)
    assert [_counts(s) for s in (search.train, search.scoring)] == [[3, 3], [2, 2]]
    assert len(search.train.images) == 10
    assert _counts(_final(tmp_path, options).train) == [10, 10]


def test_a_search_reads_no_test_image(tmp_path: Path) -> None:
    plant(tmp_path / "set" / "train")
    plant(tmp_path / "set" / "test", images=1)
    (tmp_path / "set" / "test" / "a" / "000.png").write_bytes(b"broken")
    assert _search(tmp_path).test_images == 2
    with pytest.raises(DataError, match="test/a/000.png"):
        _final(tmp_path)


def test_the_seed_decides_the_split(tmp_path: Path) -> None:
    plant(tmp_path / "set" / "train")
    plant(tmp_path / "set" / "test", images=1)
    one, same, other = (_search(tmp_path, seed=seed) for seed in (0, 0, 1))
    assert _pixels(one.scoring) == _pixels(same.scoring) != _pixels(other.scoring)
    assert one.content_hash == other.content_hash  # the same images were read


def test_equal_images_have_equal_hashes_whatever_their_times(tmp_path: Path) -> None:
    plant(tmp_path / "here" / "set" / "train")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    for path in (tmp_path / "there").rglob("*.png"):
        os.utime(path, (1, 1))
    here, there = (_search(tmp_path / name) for name in ("here", "there"))
    assert here.content_hash == there.content_hash
    assert _final(tmp_path / "here").content_hash == _final(tmp_path / "there").content_hash
    changed = next((tmp_path / "there").rglob("*.png"))
    image(-1 % 77, 4).save(changed)
    changed_hash = _final(tmp_path / "there").content_hash
    assert changed_hash != _final(tmp_path / "here").content_hash


def test_an_image_replaced_by_another_of_equal_size_and_time_is_noticed(tmp_path: Path) -> None:
    plant(tmp_path / "set" / "train")
    changed = tmp_path / "set" / "train" / "a" / "000.png"
    image(500).save(changed, "BMP")  # by its content, not its name
    os.utime(changed, (1, 1))
    before, size = _search(tmp_path).content_hash, changed.stat().st_size
    image(501).save(changed, "BMP")
    os.utime(changed, (1, 1))
    assert changed.stat().st_size == size
    assert _search(tmp_path).content_hash != before


def test_class_names_are_part_of_the_hash(tmp_path: Path) -> None:
    plant(tmp_path / "set" / "train")
    before = _search(tmp_path).content_hash
    (tmp_path / "set" / "train" / "b").rename(tmp_path / "set" / "train" / "c")
    assert _search(tmp_path).content_hash != before


def test_images_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path / "set" / "train")
    plant(tmp_path / "set" / "test", images=2)
    read: list[str] = []

    def count(path: Path, size: int, channels: int) -> np.ndarray:
        read.append(path.relative_to(tmp_path / "set").as_posix())
        return read_image(path, size, channels)

    monkeypatch.setattr(image_tree, "read_image", count)
    first, second = _search(tmp_path), _search(tmp_path, seed=1)
    assert len(read) == 20
    assert first.content_hash == second.content_hash
    _final(tmp_path)  # shares the training images
    assert sorted(read[20:]) == [f"test/{n}/00{i}.png" for n in "ab" for i in (0, 1)]
    image(99).save(tmp_path / "set" / "train" / "a" / "new.png")
    assert _counts(_search(tmp_path).train)[0] + _counts(_search(tmp_path).scoring)[0] == 11
    assert len(read) == 24 + 21


def test_sizes_and_depths_may_differ_from_file_to_file(tmp_path: Path) -> None:
    plant(tmp_path / "set" / "train", images=4, size=(9, 7))
    plant(tmp_path / "set" / "test", images=1, size=3)
    image(1, 30).convert("L").save(tmp_path / "set" / "train" / "a" / "grey.JPG")
    image(2, (5, 50)).convert("RGBA").save(tmp_path / "set" / "train" / "b" / "clear.webp")
    options = _change(FOLDER, stored_size=6, channels=1, validation=1)
    data = _search(tmp_path, options)
    assert data.train.images.shape == (10, 1, 6, 6)
    assert options.shape.size == 4


def test_folders_in_folders_are_walked_and_other_files_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plant(tmp_path / "set" / "train", images=4)
    deep = tmp_path / "set" / "train" / "a" / "monday" / "morning"
    deep.mkdir(parents=True)
    image(5).save(deep / "0.png")
    for name in ("notes.txt", "list.csv", ".DS_Store", "._000.png"):
        (tmp_path / "set" / "train" / "b" / name).write_text("")
    (tmp_path / "set" / "train" / ".hidden").mkdir()
    final = _final(tmp_path)
    assert np.add(_counts(final.train), _counts(final.scoring)).tolist() == [5, 4]
    (warning, *_) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warning.startswith("ignored 2 files that are not images, such as ")
    assert warning.endswith("train/b/list.csv")


def test_the_key_of_a_cache_is_a_hash_of_names_sizes_and_times(tmp_path: Path) -> None:
    """It must not change: a cache of ImageNet takes hours to write."""
    train = tmp_path / "set" / "train"
    plant(train)
    (train / "b" / "000.png").rename(train / "b" / 'an "odd" n\u00e4me\n.PNG')
    (train / "b" / "png").write_text("not an image: it has no suffix")
    plant(tmp_path / "set" / "test", images=1)  # of these there is another cache
    _final(tmp_path)
    lines: list[object] = [[{"size": 4, "channels": 3, "reader": 1}, ["a", "b"]]]
    for path in sorted(str(p.relative_to(train.parent)) for p in train.rglob("*.[pP][nN][gG]")):
        status = (train.parent / path).stat()
        times = [status.st_mtime_ns, status.st_ctime_ns]
        lines.append([path, "ab".index(path.split("/")[1]), status.st_size, *times])
    key = hashlib.sha256("".join(map(json.dumps, lines)).encode()).hexdigest()
    assert (tmp_path / "cache" / key / "about.json").is_file()


def test_missing_images_are_reported_with_where_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        _search(tmp_path)
    assert str(caught.value) == (
        f"looked for images in {tmp_path}/set/train/<class>/ and found none; put a folder of "
        "images for each class there, or give another --data-root"
    )


@pytest.mark.parametrize("classes", ["a", "abc"])
def test_another_number_of_classes_is_reported(tmp_path: Path, classes: str) -> None:
    plant(tmp_path / "set" / "train", classes)
    names = ", ".join(repr(c) for c in classes)
    message = rf"has {len(classes)} folders of classes, {names}, expected 2; change"
    with pytest.raises(DataError, match=message):
        _search(tmp_path)


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    plant(tmp_path / "set" / "train")
    for path in (tmp_path / "set" / "train" / "b").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="train/b has no images, and 0 other files; add some"):
        _search(tmp_path)
    (tmp_path / "set" / "train" / "b" / "picture").touch()
    with pytest.raises(DataError, match=r"and 1 other files; add some \(named \*.jpg, \*.png"):
        _search(tmp_path)


@pytest.mark.parametrize("part", ["val", "test"])
def test_classes_that_differ_between_folders_are_named(tmp_path: Path, part: str) -> None:
    plant(tmp_path / "set" / "train")
    plant(tmp_path / "set" / part, "ac")
    message = f"set/{part} has other classes than train/: it lacks 'b' and also has 'c'"
    with pytest.raises(DataError, match=message):
        _search(tmp_path)


def test_all_broken_images_are_reported_at_once_by_their_whole_names(tmp_path: Path) -> None:
    train = tmp_path / "set" / "train"
    plant(train)
    plant(tmp_path / "set" / "test", images=1)
    for name in ("001", "a b", "c: d", "it's, e"):
        (train / "a" / f"{name}.png").write_bytes(b"broken")
    with pytest.raises(DataError) as caught:
        _final(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"cannot read the image {train}/a/001.png: ")
    assert message.endswith(
        f"; 3 more cannot be read: '{train}/a/a b.png', '{train}/a/c: d.png', "
        f'"{train}/a/it\'s, e.png"'
    )


def test_broken_images_are_named_in_order_and_those_past_the_fourth_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = tmp_path / "set" / "train"
    plant(train, images=6)
    plant(tmp_path / "set" / "test", images=1)
    for path in train.glob("b/*.png"):
        path.write_bytes(b"broken")
    monkeypatch.setattr(image_tree, "_SMALL", 0)  # several threads
    monkeypatch.setattr(image_tree, "_BATCH", 5)  # the broken ones are spread over two batches
    with pytest.raises(DataError) as caught:
        _final(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"cannot read the image {train}/b/000.png: ")
    named = ", ".join(f"'{train}/b/00{i}.png'" for i in (1, 2, 3))
    assert message.endswith(f"; 5 more cannot be read: {named} and 2 others")


def test_a_broken_image_is_named_and_leaves_no_cache(tmp_path: Path) -> None:
    plant(tmp_path / "set" / "train")
    broken = tmp_path / "set" / "train" / "a" / "004.png"
    broken.write_bytes(broken.read_bytes()[:60])
    plant(tmp_path / "set" / "test", images=1)
    with pytest.raises(DataError, match=r"cannot read the image .*train/a/004.png: .*; replace"):
        _search(tmp_path)
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]


def test_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    plant(tmp_path / "set" / "train")
    plant(tmp_path / "set" / "test", images=1)
    (tmp_path / "set" / "train" / "a" / "link.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"cannot read .*a/link.png: No such file"):
        _search(tmp_path)


def test_the_folder_of_a_class_may_be_a_link_but_none_inside_it(tmp_path: Path) -> None:
    plant(tmp_path / "elsewhere", "b")
    plant(tmp_path / "set" / "train", "a")
    (tmp_path / "set" / "train" / "b").symlink_to(tmp_path / "elsewhere" / "b")
    assert _counts(_search(tmp_path).train) == [8, 8]
    (tmp_path / "set" / "train" / "a" / "round").symlink_to("..")
    with pytest.raises(DataError, match="a/round is a link to a folder, expected none inside a c"):
        _search(tmp_path)


def test_imagenet_searches_on_a_part_of_train_and_ends_on_val(tmp_path: Path) -> None:
    plant(tmp_path / "imagenet" / "train", images=8, size=(40, 36))
    plant(tmp_path / "imagenet" / "val", images=2, size=40)
    net = ImageNet(classes=2, image_size=16, stored_size=20, train_per_class=3, validation=2)
    search, final = (net.load(tmp_path, 0, p) for p in ("search", "final"))
    assert [_counts(s) for s in (search.train, search.scoring)] == [[3, 3], [2, 2]]
    assert [_counts(s) for s in (final.train, final.scoring)] == [[8, 8], [2, 2]]
    assert len(search.train.images) == 10
    assert _pixels(search.train, search.scoring) <= _pixels(final.train)
    assert _pixels(final.scoring) == _planted(tmp_path / "imagenet" / "val", 20)
    assert search.test_images == final.test_images == 4
    shutil.rmtree(tmp_path / "imagenet" / "val")
    assert net.load(tmp_path, 0, "search").content_hash == search.content_hash
    with pytest.raises(DataError, match=r"looked for images in .*/imagenet/val/<class>/ and"):
        net.load(tmp_path, 0, "final")


def test_imagenet_follows_the_paper_by_default() -> None:
    net = ImageNet()
    assert (net.shape.size, net.shape.channels, net.shape.classes) == (224, 3, 1000)
    assert (net.train_per_class, net.validation) == (50, 10)


def test_imagenet_says_how_to_get_it(tmp_path: Path) -> None:
    message = r"imagenet/train/<class>/ and found none; get ILSVRC 2012 from image-net.org"
    with pytest.raises(DataError, match=message):
        ImageNet().load(tmp_path, 0, "search")


@pytest.mark.slow
def test_the_jpeg_copy_of_cifar10(tmp_path: Path) -> None:
    archive = Path(__file__).parents[3] / "shared" / "data" / "cifar10-jpeg.tar.xz"
    if not archive.exists():
        pytest.skip(f"needs {archive}, the JPEG copy of CIFAR-10")
    with tarfile.open(archive) as tar:
        few = [m for m in tar if m.isdir() or int(PurePath(m.name).stem) < 50]
        tar.extractall(tmp_path / "cifar10-jpeg", few, filter="data")
    cifar = Folder(path="cifar10-jpeg", image_size=32, classes=10, validation=20)
    data = cifar.load(tmp_path, 0, "search")
    assert _counts(data.train) == [30] * 10
    assert _counts(data.scoring) == [20] * 10
    assert data.test_images == 500
    assert data.classes[0] == "airplane"
