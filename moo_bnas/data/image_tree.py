"""Images in folders: `<split>/<class>/...`."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moo_bnas.data.cache import Entry, Source, identity, open_entry
from moo_bnas.data.image_data import Amount, ImageData, Purpose, Split, share_out
from moo_bnas.data.pixels import READER_VERSION, SUFFIXES, read_image
from moo_bnas.errors import DataError
from moo_bnas.processes import count_cores

log = logging.getLogger(__name__)

_BATCH = 256  # images that are decoded before they are written
# Pillow decodes without Python's lock, but reading a small file is mostly Python, where threads are
# in each other's way: two of them read 32x32 JPEGs 25 % slower than one.
_SMALL = 2**14
_MAX_THREADS = 16

_USUAL = (".jpg", ".png")  # suffixes that are told

Files = dict[str, int]
"""Images, by path below the folder of the tree, and their classes."""


@dataclass(frozen=True)
class ImageTree:
    """Where images lie and how they become a data set.

    Attributes:
        train: Name of the folder of training images.
        validation: Likewise, if it exists.
        test: Likewise.
        validation_amount: Taken from the training images where there is no such folder.
        test_amount: Likewise; 0: the folder must exist for a final training.
        train_per_class: A search trains on so many images of each class; None: on all.
        size: Height and width of the images once decoded.
        channels: 1 or 3.
        classes: How many.
        remedy: What to do where there is nothing.
    """

    train: str
    validation: str | None
    test: str
    validation_amount: Amount
    test_amount: Amount
    train_per_class: int | None
    size: int
    channels: int
    classes: int
    remedy: str

    def load(self, root: Path, path: str, seed: int, purpose: Purpose) -> ImageData:
        """The images for a purpose.

        Args:
            root: The data root.
            path: Of the tree, below it.
            seed: Of what is chosen at random.
            purpose: A search, or the training that ends it.

        Raises:
            DataError: Where images are missing or broken, or are not what the definition says.
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
        # Training and validation images are one entry, which search and final training share.
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
                f"expected {self.classes}; mend [data] classes or the folders"
            )
        return names

    def _list_if_there(self, folder: Path, part: str | None, classes: tuple[str, ...]) -> Files:
        if part is None or not (folder / part).exists():
            return {}
        names = _folders(folder / part)
        if names != classes:
            lacks, more = set(classes) - set(names), set(names) - set(classes)
            differs = [f"lacks {_some(lacks)}"] if lacks else []
            differs += [f"has {_some(more)} more"] if more else []
            raise DataError(
                f"{folder / part} has other classes than {self.train}/: it "
                f"{' and '.join(differs)}; give both the same folders"
            )
        return _list(folder, part, classes)

    def _entry(self, root: Path, folder: Path, classes: tuple[str, ...], files: Files) -> _Decoded:
        paths = sorted(files)
        settings = {"size": self.size, "channels": self.channels, "reader": READER_VERSION}
        digest = hashlib.sha256(json.dumps([settings, classes]).encode())
        total = 0
        for path in paths:
            try:
                status = (folder / path).stat()
            except OSError as error:
                raise _unreadable(error) from error
            total += status.st_size
            line = [path, files[path], *identity(status)]
            digest.update(json.dumps(line).encode())

        def read() -> tuple[NDArray[np.int64], Iterator[NDArray[np.uint8]]]:
            labels = np.array([files[path] for path in paths], np.int64)
            threads = 1 if total < _SMALL * len(paths) else min(count_cores(), _MAX_THREADS)
            return labels, self._decode([folder / path for path in paths], threads)

        source = Source(
            what=str(folder),
            key=digest.hexdigest(),
            classes=classes,
            shape=(self.channels, self.size, self.size),
            read=read,
        )
        return _Decoded(paths, open_entry(root, source))

    def _decode(self, paths: list[Path], threads: int) -> Iterator[NDArray[np.uint8]]:
        """All images, in batches; where some are broken it reads on, to tell of all at once."""
        broken: list[DataError] = []

        def read(path: Path) -> NDArray[np.uint8] | None:
            try:
                return read_image(path, self.size, self.channels)
            except DataError as error:
                broken.append(error)
                return None

        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(paths), _BATCH):
                images = list(pool.map(read, paths[start : start + _BATCH]))
                if not broken:
                    yield np.stack([image for image in images if image is not None])
        if broken:
            more = "" if len(broken) == 1 else f"; so are {len(broken) - 1} more, such as "
            others = ", ".join(str(e).split(": ")[0].rpartition(" ")[2] for e in broken[1:4])
            raise DataError(f"{broken[0]}{more}{others}")


@dataclass(frozen=True)
class _Decoded:
    """An entry of the cache, and which file each of its rows was."""

    paths: list[str]
    entry: Entry

    def split(self, files: Files) -> Split:
        rows = [i for i, path in enumerate(self.paths) if path in files]
        return Split(self.entry.images, self.entry.labels, np.array(rows, np.int64))


def _folders(folder: Path) -> tuple[str, ...]:
    try:
        entries = [e for e in folder.iterdir() if e.is_dir() and not e.name.startswith(".")]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _unreadable(error) from error
    return tuple(sorted(entry.name for entry in entries))


def _list(folder: Path, part: str, classes: tuple[str, ...]) -> Files:
    """All images of a part, by path; also those in folders inside the folders of classes."""
    found: Files = {}
    others: list[str] = []
    start = len(os.path.join(folder, ""))
    for label, name in enumerate(classes):
        count, ignored = len(found), len(others)
        for inside, folders, files in os.walk(folder / part / name, onerror=_refuse):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            links = [f for f in folders if os.path.islink(os.path.join(inside, f))]
            if links:
                raise DataError(
                    f"{os.path.join(inside, links[0])} is a link to a folder, expected none "
                    "inside a class, where links may lead in circles; put the folder itself there"
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
        log.warning("%d files are no images, such as %s; ignored", len(others), others[0])
    return found


def _refuse(error: OSError) -> None:
    raise _unreadable(error) from error


def _unreadable(error: OSError) -> DataError:
    return DataError(f"cannot read {error.filename}: {error.strerror}; mend that")


def _nothing(folder: Path, remedy: str) -> DataError:
    return DataError(f"looked for images in {folder}/<class>/ and found none; {remedy}")


def _some(names: tuple[str, ...] | set[str]) -> str:
    """A few names, and how many more."""
    listed = sorted(names)
    more = f" and {len(listed) - 3} others" if len(listed) > 3 else ""
    return (", ".join(repr(name) for name in listed[:3]) + more) if listed else "none"
