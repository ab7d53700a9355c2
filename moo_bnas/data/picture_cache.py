"""Pictures on disk: the cache of data sets that memory cannot hold.

Each image keeps its aspect, and its shorter side is bounded. An entry is a folder of the cache (see
`cache_folder`). It holds:

- `images.bin`: the JPEGs, one after the other.
- `index.bin`: labels, places, checks (CRC-32), sizes and sums of pixels of all images (`_Index`).
- `about.json`: the hash of the content, size and times of `images.bin`, and where it came from.

When an entry was just written, and by `Pictures.verify`, all of it is read and compared with its
hash. Opening it verifies the index, size and times of `images.bin`, and some pictures; where only
the times differ, as in a copy, all of it is read. A picture is checked whenever it is read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moo_bnas.data.cache_folder import (
    LOG_SECONDS,
    About,
    DamagedError,
    Made,
    identity,
    open_folder,
    replace_if_possible,
    to_disk,
)
from moo_bnas.data.pictures import Encoded, Pictures
from moo_bnas.data.pixels import MOST_SIDE
from moo_bnas.errors import DataError
from moo_bnas.reading import open_file, read_file

log = logging.getLogger(__name__)

_MOST_INDEX = 2**32  # bytes; that of ImageNet has 92 million


@dataclass(frozen=True)
class PictureSource:
    """The files from which an entry is made.

    Attributes:
        what: Which files these are, as shown in logs and errors.
        key: SHA-256 of the files' names, sizes and times, and of how they are read.
        classes: Names of the classes.
        side: Pixels of the shorter side, at most.
        channels: 1 for grey, 3 for RGB.
        read: Function that reads the files. It returns the labels (int64, n) and the pictures in
            the same order, in batches.
    """

    what: str
    key: str
    classes: tuple[str, ...]
    side: int
    channels: int
    read: Callable[[], tuple[NDArray[np.int64], Iterable[list[Encoded]]]]


@dataclass(frozen=True)
class PictureEntry:
    """An entry of pictures.

    Attributes:
        images: The pictures.
        labels: Class of each, int64, n.
        sums: Sums of the pixels of each, and of their squares, int64, n x channels x 2.
        content_hash: SHA-256 of JPEGs, labels, class names and sizes.
    """

    images: Pictures
    labels: NDArray[np.int64]
    sums: NDArray[np.int64]
    content_hash: str


def open_pictures(root: Path, source: PictureSource) -> PictureEntry:
    """Opens the entry of a source; makes it first if it is missing or damaged.

    Args:
        root: Data root.
        source: Files from which the entry is made.

    Raises:
        DataError: If a source file is broken, or the entry cannot be written.
    """
    return open_folder(
        root,
        Made(source.what, source.key),
        lambda part: _write(part, source),
        lambda folder, about: _open(folder, source, about),
    )


def _write(part: Path, source: PictureSource) -> About:
    labels, batches = source.read()
    count = len(labels)
    log.info("writing %s as JPEG: %d images to %s", source.what, count, part)
    index = _Index.empty(count, source.channels)
    index.labels[:] = labels
    digest, done, last_logged = hashlib.sha256(), 0, time.monotonic()
    try:
        with (part / "images.bin").open("wb") as file:
            for batch in batches:
                for encoded in batch:
                    digest.update(encoded.content)
                    file.write(encoded.content)
                    index.offsets[done + 1] = index.offsets[done] + len(encoded.content)
                    index.checks[done] = zlib.crc32(encoded.content)
                    index.sizes[done] = encoded.size
                    index.sums[done] = encoded.sums
                    done += 1
                if time.monotonic() - last_logged > LOG_SECONDS:
                    last_logged = time.monotonic()
                    log.info("writing %s as JPEG: %d of %d images", source.what, done, count)
            to_disk(file)
        content = index.to_bytes()
        with (part / "index.bin").open("wb") as file:
            file.write(content)
            to_disk(file)
    except OSError as error:
        per_image = index.offsets[done] / max(done, 1)
        raise DataError(
            f"the cache of {source.what} needs about {per_image * count:,.0f} bytes in "
            f"{part.parent}: {error.strerror or error}; free that space or give another --data-root"
        ) from error
    images_hash = digest.hexdigest()
    return {
        "content_hash": _content_hash(source, content, images_hash),
        "images_hash": images_hash,
        "images_file": [],  # until all was read again once
        "images": count,
        "classes": source.classes,
    }


def _open(folder: Path, source: PictureSource, about: About) -> PictureEntry:
    """Opens an entry and checks it.

    Raises:
        Exception: If the entry is incomplete, changed or missing; many kinds.
    """
    listed = read_file(folder / "index.bin", _MOST_INDEX)
    images_hash = str(about["images_hash"])
    content_hash = _content_hash(source, listed, images_hash)
    if content_hash != about["content_hash"]:
        raise DamagedError("the hash of its index differs from the one recorded")
    index = _Index.of(listed, source.channels)
    index.check()
    file = open_file(folder / "images.bin")
    found = list(identity(os.fstat(file.fileno())))
    if found[0] != index.offsets[-1]:
        raise DamagedError(f"it has {found[0]:,} bytes of images")
    pictures = Pictures(
        folder=folder,
        side=source.side,
        channels=source.channels,
        sizes=index.sizes,
        _offsets=index.offsets,
        _checks=index.checks,
        _file=file,
        _hash=images_hash,
    )
    if found == about["images_file"]:
        pictures.check_some()
    else:
        log.info("verifying the cache %s: %.1f MB", folder, found[0] / 1e6)
        pictures.check_all()
        content = json.dumps({**about, "images_file": found}, indent=1).encode()
        replace_if_possible(folder / "about.json", content)
    return PictureEntry(pictures, index.labels, index.sums, content_hash)


def _content_hash(source: PictureSource, index: bytes, images_hash: str) -> str:
    header = json.dumps(["jpeg", source.classes, source.side, source.channels])
    return hashlib.sha256(header.encode() + images_hash.encode() + index).hexdigest()


@dataclass(frozen=True)
class _Index:
    """What is known of n images without reading them.

    Attributes:
        labels: Class of each image, int64, n.
        offsets: Where each image begins in `images.bin`, and the end of the last, int64, n + 1.
        sums: Sums of pixels and of their squares, int64, n x channels x 2.
        checks: CRC-32 of each image, uint32, n.
        sizes: Height and width of each image, uint16, n x 2.
    """

    labels: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sums: NDArray[np.int64]
    checks: NDArray[np.uint32]
    sizes: NDArray[np.uint16]

    @classmethod
    def empty(cls, n: int, channels: int) -> _Index:
        """An index of n images to be filled in; the first offset is 0."""
        return cls(
            labels=np.zeros(n, np.int64),
            offsets=np.zeros(n + 1, np.int64),
            sums=np.zeros((n, channels, 2), np.int64),
            checks=np.zeros(n, np.uint32),
            sizes=np.zeros((n, 2), np.uint16),
        )

    def to_bytes(self) -> bytes:
        """The arrays one after the other, little-endian."""
        parts = ((self.labels, "<i8"), (self.offsets, "<i8"), (self.sums, "<i8"))
        words = ((self.checks, "<u4"), (self.sizes, "<u2"))
        return b"".join(np.ascontiguousarray(a, t).tobytes() for a, t in (*parts, *words))

    @classmethod
    def of(cls, content: bytes, channels: int) -> _Index:
        """Reads an index.

        Raises:
            ValueError: If it is damaged.
        """
        n, rest = divmod(len(content) - 8, 24 + 16 * channels)
        if n < 1 or rest:
            raise ValueError(f"the index has {len(content)} bytes")
        shapes = (("<i8", (n,)), ("<i8", (n + 1,)), ("<i8", (n, channels, 2)))
        words = (("<u4", (n,)), ("<u2", (n, 2)))
        arrays, at = [], 0
        for dtype, shape in (*shapes, *words):
            array = np.frombuffer(content, dtype, int(np.prod(shape)), at).reshape(shape)
            at += array.nbytes
            arrays.append(array.astype(array.dtype.newbyteorder("=")))  # torch may write to it
        return cls(*arrays)

    def check(self) -> None:
        """Refuses what no image can be.

        Raises:
            ValueError: If places or sizes are impossible.
        """
        if self.offsets[0] != 0 or (np.diff(self.offsets) < 1).any():
            raise ValueError("the places in the index do not ascend")
        if self.sizes.min() < 1 or self.sizes.max() > MOST_SIDE:
            raise ValueError("the sizes in the index are impossible")
