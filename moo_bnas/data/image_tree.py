"""Images in folders, `<split>/<class>/...`, as a data set.

All images are listed first, then divided into splits, then decoded into the cache. An error names
the files that caused it; broken images are all reported together.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from moo_bnas.data.cache import Entry, Source, open_entry
from moo_bnas.data.cache_folder import identity
from moo_bnas.data.image_data import Amount, ImageData, Purpose, Split, share_out
from moo_bnas.data.options import StoredAs
from moo_bnas.data.picture_cache import PictureEntry, PictureSource, open_pictures
from moo_bnas.data.pictures import WRITER_VERSION, Encoded, encode
from moo_bnas.data.pixels import READER_VERSION, SUFFIXES, read_image, read_picture
from moo_bnas.errors import DataError
from moo_bnas.processes import count_cores

log = logging.getLogger(__name__)

_BATCH = 256  # images decoded in memory before they are written
# Pillow releases Python's lock while it decodes, but reading a small file is mostly Python code, in
# which threads block each other: two of them read 32x32 JPEGs 25 % slower than one.
_SMALL = 2**14  # bytes per file
_MAX_THREADS = 16

_USUAL = (".jpg", ".png")  # suffixes that errors name

T = TypeVar("T")
Files = dict[str, int]
"""Class index of each image, by its path relative to the folder of the tree."""


@dataclass(frozen=True)
class ImageTree:
    """Where images are stored and how they become a data set.

    Attributes:
        train: Name of the folder of training images.
        validation: Name of the folder of validation images, which need not exist; None: there is
            none.
        test: Name of the folder of test images, which need not exist.
        validation_amount: Images of each class taken from the training images if there is no
            folder of validation images.
        test_amount: Images of each class taken from the training images if there is no folder of
            test images; 0: a final training needs that folder.
        train_per_class: Images of each class that a search trains on; None: all.
        stored_as: Whether images are stored as pixels or as JPEG.
        size: Height and width of the decoded images; of JPEG, the greatest shorter side.
        channels: 1 for grey, 3 for RGB.
        classes: Number of classes expected.
        remedy: What a user can do if there are no images, shown in errors.
    """

    train: str
    validation: str | None
    test: str
    validation_amount: Amount
    test_amount: Amount
    train_per_class: int | None
    stored_as: StoredAs
    size: int
    channels: int
    classes: int
    remedy: str

    def load(self, root: Path, path: str, seed: int, purpose: Purpose) -> ImageData:
        """The images for a purpose.

        Args:
            root: Data root.
            path: Folder of the tree, relative to the data root.
            seed: Seed of the split.
            purpose: Search or final training.

        Raises:
            DataError: If images are missing or broken, or differ from what the definition says.
        """
        folder = root / path
        classes = self._classes(folder)
        train = _list(folder, self.train, classes)
        validation = self._list_if_there(folder, self.validation, classes)
        test = self._list_if_there(folder, self.test, classes)
        rows = share_out(
            np.fromiter(train.values(), np.int64),
            classes,
            [
                0 if test else self.test_amount,
                0 if validation else self.validation_amount,
                self.train_per_class if purpose == "search" else None,
            ],
            seed,
        )
        paths = list(train)
        parts = [{paths[i]: train[paths[i]] for i in part} for part in rows]
        test, validation, train = test or parts[0], validation or parts[1], parts[2]
        # Training and validation images form one entry, which search and final training share.
        seen = self._entry(root, folder, classes, train | validation)
        if purpose == "search":
            return ImageData(
                train=seen.split(train),
                scoring=seen.split(validation),
                test_images=len(test),
                classes=classes,
                content_hash=seen.entry.content_hash,
            )
        if not test:
            raise _nothing(folder / self.test, self.remedy)
        unseen = self._entry(root, folder, classes, test)
        both = seen.entry.content_hash + unseen.entry.content_hash
        return ImageData(
            train=seen.split(train | validation),
            scoring=unseen.split(test),
            test_images=len(test),
            classes=classes,
            content_hash=hashlib.sha256(both.encode()).hexdigest(),
        )

    def _classes(self, folder: Path) -> tuple[str, ...]:
        names = _folders(folder / self.train)
        if not names:
            raise _nothing(folder / self.train, self.remedy)
        if len(names) != self.classes:
            raise DataError(
                f"{folder / self.train} has {len(names)} folders of classes, {_some(names)}, "
                f"expected {self.classes}; change [data] classes or the folders"
            )
        return names

    def _list_if_there(self, folder: Path, part: str | None, classes: tuple[str, ...]) -> Files:
        if part is None or not (folder / part).exists():
            return {}
        names = _folders(folder / part)
        if names != classes:
            missing, extra = set(classes) - set(names), set(names) - set(classes)
            differs = [f"lacks {_some(missing)}"] if missing else []
            differs += [f"also has {_some(extra)}"] if extra else []
            raise DataError(
                f"{folder / part} has other classes than {self.train}/: it "
                f"{' and '.join(differs)}; give both the same folders"
            )
        return _list(folder, part, classes)

    def _entry(self, root: Path, folder: Path, classes: tuple[str, ...], files: Files) -> _Decoded:
        paths = sorted(files)
        settings = {"size": self.size, "channels": self.channels, "reader": READER_VERSION}
        if self.stored_as == "jpeg":
            settings["jpeg"] = WRITER_VERSION
        digest = hashlib.sha256(json.dumps([settings, classes]).encode())
        total = 0
        for path in paths:
            # Sizes and times instead of contents: ImageNet would take many minutes to read.
            try:
                status = os.stat(os.path.join(folder, path))
            except OSError as error:
                raise _unreadable(error) from error
            total += status.st_size
            line = [path, files[path], *identity(status)]
            digest.update(json.dumps(line).encode())

        labels = np.array([files[path] for path in paths], np.int64)
        threads = 1 if total < _SMALL * len(paths) else min(count_cores(), _MAX_THREADS)

        def batches(read: Callable[[Path], T]) -> Iterator[list[T]]:
            return _read_all([os.path.join(folder, path) for path in paths], read, threads)

        size, channels, key = self.size, self.channels, digest.hexdigest()
        if self.stored_as == "jpeg":

            def write(path: Path) -> Encoded:
                return encode(read_picture(path, size, channels))

            pictures = PictureSource(
                what=str(folder),
                key=key,
                classes=classes,
                side=size,
                channels=channels,
                read=lambda: (labels, batches(write)),
            )
            return _Decoded(paths, open_pictures(root, pictures))

        def decode(path: Path) -> NDArray[np.uint8]:
            return read_image(path, size, channels)

        source = Source(
            what=str(folder),
            key=key,
            classes=classes,
            shape=(channels, size, size),
            read=lambda: (labels, map(np.stack, batches(decode))),
        )
        return _Decoded(paths, open_entry(root, source))


def _read_all(paths: list[str], read: Callable[[Path], T], threads: int) -> Iterator[list[T]]:
    """All images, in batches.

    Raises:
        DataError: If images are broken. All are read first, so that the error names every one.
    """
    broken: list[tuple[str, DataError]] = []

    def attempt(path: str) -> T | DataError:
        try:
            return read(Path(path))
        except DataError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), _BATCH):
            # `map` keeps the order of the paths, whichever thread finishes first.
            batch = paths[start : start + _BATCH]
            results = list(pool.map(attempt, batch))
            images = [each for each in results if not isinstance(each, DataError)]
            broken += [
                (path, each)
                for path, each in zip(batch, results, strict=True)
                if isinstance(each, DataError)
            ]
            if not broken:  # otherwise the entry is lost, and only the other errors matter
                yield images
    if broken:
        (_, first), *others = broken
        names = _some([path for path, _ in others])
        more = f"; {len(others)} more cannot be read: {names}" if others else ""
        raise DataError(f"{first}{more}")


@dataclass(frozen=True)
class _Decoded:
    """An entry of the cache, and the file that each of its rows was made from."""

    paths: list[str]
    entry: Entry | PictureEntry

    def split(self, files: Files) -> Split:
        rows = [i for i, path in enumerate(self.paths) if path in files]
        entry = self.entry
        return Split(entry.images, entry.labels, np.array(rows, np.int64), entry.sums)


def _folders(folder: Path) -> tuple[str, ...]:
    try:
        entries = [e for e in folder.iterdir() if e.is_dir() and not e.name.startswith(".")]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _unreadable(error) from error
    return tuple(sorted(entry.name for entry in entries))


def _list(folder: Path, part: str, classes: tuple[str, ...]) -> Files:
    """The images of a split, those in folders inside a class included."""
    found: Files = {}
    others: list[str] = []
    # Strings and `os.walk`, as `Path` objects are slow for the 1.3 million files of ImageNet.
    start = len(os.path.join(folder, ""))
    for label, name in enumerate(classes):
        count, ignored = len(found), len(others)
        for inside, folders, files in os.walk(folder / part / name, onerror=_refuse):
            # In place and sorted: `os.walk` then skips hidden folders, and keeps one order.
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            links = [f for f in folders if os.path.islink(os.path.join(inside, f))]
            if links:
                raise DataError(
                    f"{os.path.join(inside, links[0])} is a link to a folder, expected none "
                    "inside a class, where links may form loops; put the folder itself there"
                )
            for file in sorted(files):
                path = os.path.join(inside, file)
                if file.startswith("."):
                    continue
                if os.path.splitext(file)[1].lower() in SUFFIXES:
                    found[path[start:]] = label
                else:
                    others.append(path)
        if len(found) == count:
            raise DataError(
                f"the class {folder / part / name} has no images, and "
                f"{len(others) - ignored} other files; add some (named *{', *'.join(_USUAL)}, "
                "...), or remove that folder from every split"
            )
    if others:
        log.warning("ignored %d files that are not images, such as %s", len(others), others[0])
    return found


def _refuse(error: OSError) -> None:
    raise _unreadable(error) from error


def _unreadable(error: OSError) -> DataError:
    return DataError(
        f"cannot read {error.filename}: {error.strerror}; check that it exists and is readable"
    )


def _nothing(folder: Path, remedy: str) -> DataError:
    return DataError(f"looked for images in {folder}/<class>/ and found none; {remedy}")


def _some(names: Collection[str]) -> str:
    """The first three names, and the number of the others."""
    listed = sorted(names)
    more = f" and {len(listed) - 3} others" if len(listed) > 3 else ""
    return (", ".join(repr(name) for name in listed[:3]) + more) if listed else "none"
