"""Images in folders, `<split>/<class>/...`, as a data set.

All images are listed first, then divided into splits, then decoded into the cache. An error names
the files that caused it; broken images are all reported together.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from moo_bnas.data.cache import Entry, Source, open_entry
from moo_bnas.data.cache_folder import identity
from moo_bnas.data.image_data import Amount, ImageData, Purpose, Split, share_out
from moo_bnas.data.listing import Files, folders_in, list_images, nothing, some, unreadable
from moo_bnas.data.needs import Need, Needs, free_bytes
from moo_bnas.data.options import StoredAs
from moo_bnas.data.picture_cache import PictureEntry, PictureSource, open_pictures
from moo_bnas.data.pictures import WRITER_VERSION, Encoded, encode
from moo_bnas.data.pixels import READER_VERSION, read_image, read_picture
from moo_bnas.errors import DataError
from moo_bnas.processes import count_cores

_BATCH = 256  # images decoded in memory before they are written
# Pillow releases Python's lock while it decodes, but reading a small file is mostly Python code, in
# which threads block each other: two of them read 32x32 JPEGs 25 % slower than one.
_SMALL = 2**14  # bytes per file
_MAX_THREADS = 16
_SAMPLE = 24  # images by which needs are estimated

T = TypeVar("T")


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
        classes, train, validation, test = self._parts(folder, seed, purpose)
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
            raise nothing(folder / self.test, self.remedy)
        unseen = self._entry(root, folder, classes, test)
        both = seen.entry.content_hash + unseen.entry.content_hash
        return ImageData(
            train=seen.split(train | validation),
            scoring=unseen.split(test),
            test_images=len(test),
            classes=classes,
            content_hash=hashlib.sha256(both.encode()).hexdigest(),
        )

    def needs(self, root: Path, path: str, seed: int) -> Needs:
        """What a search and a final training run need of this machine, by a sample of the images.

        Args:
            root: Data root.
            path: Folder of the tree, relative to the data root.
            seed: Seed of the split.

        Raises:
            DataError: If there are no images, or fewer than the definition says.
        """
        folder = root / path
        classes, train, validation, test = self._parts(folder, seed, "search")
        _, every, checked, _ = self._parts(folder, seed, "final")
        per_image, seconds = self._sample(folder, list(every))
        found: dict[Purpose, Need] = {}
        seen: set[str] = set()
        asked: dict[Purpose, list[Files]] = {
            "search": [train | validation],
            "final": [every | checked, test],
        }
        for purpose, entries in asked.items():
            images, missing = 0, 0
            for files in filter(None, entries):
                key, _ = self._key(folder, classes, files)
                images += len(files)
                if key not in seen and not (root / "cache" / key).exists():
                    missing += len(files)
                seen.add(key)
            room, left = round(per_image * images), round(per_image * missing)
            found[purpose] = Need(images, room, left, seconds * missing)
        return Needs(found, free_bytes(root))

    def _sample(self, folder: Path, paths: list[str]) -> tuple[float, float]:
        """Bytes of one stored image, and seconds that it takes to store one: of a few images."""
        paths = paths[:: max(len(paths) // _SAMPLE, 1)][:_SAMPLE]
        size, began = 0, time.perf_counter()
        with suppress(DataError):  # whoever reads all images reports all that are broken
            for path in paths:
                if self.stored_as == "jpeg":
                    picture = read_picture(folder / path, self.size, self.channels)
                    size += len(encode(picture).content)
                else:
                    size += read_image(folder / path, self.size, self.channels).nbytes
        seconds = (time.perf_counter() - began) / len(paths)
        return size / len(paths), seconds / min(count_cores(), _MAX_THREADS)

    def _parts(
        self, folder: Path, seed: int, purpose: Purpose
    ) -> tuple[tuple[str, ...], Files, Files, Files]:
        """Classes; images for training, validation and test."""
        classes = self._classes(folder)
        train = list_images(folder, self.train, classes)
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
        return classes, parts[2], validation or parts[1], test or parts[0]

    def _classes(self, folder: Path) -> tuple[str, ...]:
        names = folders_in(folder / self.train)
        if not names:
            raise nothing(folder / self.train, self.remedy)
        if len(names) != self.classes:
            raise DataError(
                f"{folder / self.train} has {len(names)} folders of classes, {some(names)}, "
                f"expected {self.classes}; change [data] classes or the folders"
            )
        return names

    def _list_if_there(self, folder: Path, part: str | None, classes: tuple[str, ...]) -> Files:
        if part is None or not (folder / part).exists():
            return {}
        names = folders_in(folder / part)
        if names != classes:
            missing, extra = set(classes) - set(names), set(names) - set(classes)
            differs = [f"lacks {some(missing)}"] if missing else []
            differs += [f"also has {some(extra)}"] if extra else []
            raise DataError(
                f"{folder / part} has other classes than {self.train}/: it "
                f"{' and '.join(differs)}; give both the same folders"
            )
        return list_images(folder, part, classes)

    def _key(self, folder: Path, classes: tuple[str, ...], files: Files) -> tuple[str, int]:
        """The key of an entry, and the bytes of its files."""
        settings = {"size": self.size, "channels": self.channels, "reader": READER_VERSION}
        if self.stored_as == "jpeg":
            settings["jpeg"] = WRITER_VERSION
        digest = hashlib.sha256(json.dumps([settings, classes]).encode())
        total, beginning = 0, os.path.join(folder, "")
        for path in sorted(files):
            # Sizes and times instead of contents: ImageNet would take many minutes to read.
            try:
                status = os.stat(beginning + path)
            except OSError as error:
                raise unreadable(error) from error
            total += status.st_size
            size, modified, changed = identity(status)
            # What json.dumps makes of such a list, without an encoder for each.
            quoted = encode_basestring_ascii(path)
            digest.update(f"[{quoted}, {files[path]}, {size}, {modified}, {changed}]".encode())
        return digest.hexdigest(), total

    def _entry(self, root: Path, folder: Path, classes: tuple[str, ...], files: Files) -> _Decoded:
        paths = sorted(files)
        key, total = self._key(folder, classes, files)
        labels = np.array([files[path] for path in paths], np.int64)
        threads = 1 if total < _SMALL * len(paths) else min(count_cores(), _MAX_THREADS)

        def batches(read: Callable[[Path], T]) -> Iterator[list[T]]:
            return _read_all([os.path.join(folder, path) for path in paths], read, threads)

        size, channels = self.size, self.channels
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
        names = some([path for path, _ in others])
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
