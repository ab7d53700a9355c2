"""Decoded images on disk: made once per machine, mapped into memory by all of its workers.

An entry is a folder of the cache (see `cache_folder`). It holds:

- `images.npy`: uint8, n x channels x size x size.
- `labels.npy`: int64, n.
- `sums.bin`: sums of pixels for `Entry.sums`, after a hash of them and of the content hash. Where
  it is missing, as in entries of version 0.1, or damaged, it is made again.
- `about.json`: class names, the hash of the content, and which files and process made the entry.

The hash of the content is verified whenever an entry is opened.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from moo_bnas.data.cache_folder import (
    LOG_SECONDS,
    About,
    DamagedError,
    Made,
    open_folder,
    replace_if_possible,
    to_disk,
)
from moo_bnas.data.statistics import channel_sums
from moo_bnas.errors import DataError
from moo_bnas.reading import open_file, read_file

log = logging.getLogger(__name__)

_CHUNK = 2**24  # bytes hashed at once: few calls, little memory


@dataclass(frozen=True)
class Source:
    """The files from which an entry is made.

    Attributes:
        what: Which files these are, as shown in logs and errors.
        key: SHA-256 of the files' names, sizes and times, and of how they are decoded.
        classes: Names of the classes.
        shape: Shape of one image: channels, size, size.
        read: Function that reads the files. It returns the labels (int64, n) and the images in the
            same order, in batches (uint8, b x channels x size x size).
    """

    what: str
    key: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    read: Callable[[], tuple[NDArray[np.int64], Iterable[NDArray[np.uint8]]]]


@dataclass(frozen=True)
class Entry:
    """Decoded images.

    Attributes:
        images: Pixels, uint8, n x channels x size x size; mapped from a file, read-only.
        labels: Class of each image, int64, n.
        sums: Sums of the pixels of each image, and of their squares, int64, n x channels x 2.
        content_hash: SHA-256 of pixels, labels, class names and shape.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    sums: NDArray[np.int64]
    content_hash: str


def open_entry(root: Path, source: Source) -> Entry:
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


def _write(part: Path, source: Source) -> About:
    labels, batches = source.read()
    content_hash = _write_images(part, source, labels, batches)
    with (part / "labels.npy").open("wb") as file:
        np.save(file, labels)
        to_disk(file)
    return {"content_hash": content_hash, "images": len(labels), "classes": source.classes}


def _write_images(
    part: Path,
    source: Source,
    labels: NDArray[np.int64],
    batches: Iterable[NDArray[np.uint8]],
) -> str:
    """Writes `images.npy` and `sums.bin`, and returns the content hash."""
    shape = (len(labels), *source.shape)
    size = int(np.prod(shape))
    log.info("decoding %s: %d images, %.1f MB to %s", source.what, shape[0], size / 1e6, part)
    digest = _digest(source, labels)
    sums = [np.zeros((0, source.shape[0], 2), np.int64)]
    done, last_logged = 0, time.monotonic()
    try:
        if size > (free := shutil.disk_usage(part).free):
            raise OSError(None, f"{free:,} bytes are free")
        # Written to a file, not through a memory map: on a full disk a map kills the process.
        with (part / "images.npy").open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            npy.write_array_header_1_0(file, header)
            for batch in batches:
                # Hashed while they are in memory, so that they are not read a second time.
                pixels = np.ascontiguousarray(batch)
                digest.update(pixels.data)
                file.write(pixels.data)
                sums.append(channel_sums(pixels))
                done += len(batch)
                if time.monotonic() - last_logged > LOG_SECONDS:
                    last_logged = time.monotonic()
                    log.info("decoding %s: %d of %d images", source.what, done, shape[0])
            to_disk(file)
        content_hash = str(digest.hexdigest())
        (part / "sums.bin").write_bytes(_sealed(np.concatenate(sums), content_hash))
    except OSError as error:
        raise DataError(
            f"the cache of {source.what} needs {size:,} bytes in {part.parent}: "
            f"{error.strerror or error}; free that space or give another --data-root"
        ) from error
    return content_hash


def _open(folder: Path, source: Source, about: About) -> Entry:
    """Opens an entry and verifies its hash.

    Raises:
        Exception: If the entry is incomplete, changed or missing; many kinds.
    """
    expected = str(about["content_hash"])
    labels = _load_labels(folder / "labels.npy")
    digest = _digest(source, labels)
    # Read from the file once: in a memory map, a read error kills the process (SIGBUS).
    with open_file(folder / "images.npy") as file:
        _skip_header(file)  # the hash is of the pixels alone
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    images = np.load(folder / "images.npy", mmap_mode="r")
    if images.shape != (len(labels), *source.shape) or images.dtype != np.uint8:
        raise DamagedError("it belongs to another entry")
    if digest.hexdigest() != expected:
        raise DamagedError("the hash of its content differs from the one recorded")
    sums = _read_sums(folder, images, expected)
    if sums is None:
        log.info("adding the channel statistics of %s to the cache %s", source.what, folder)
        step = max(_CHUNK // int(np.prod(source.shape)), 1)
        parts = [channel_sums(images[i : i + step]) for i in range(0, len(images), step)]
        sums = np.concatenate(parts)
        replace_if_possible(folder / "sums.bin", _sealed(sums, expected))
    return Entry(images, labels, sums, expected)


def _sealed(sums: NDArray[np.int64], content_hash: str) -> bytes:
    """Content of `sums.bin`."""
    content = np.ascontiguousarray(sums, "<i8").tobytes()
    return hashlib.sha256(content_hash.encode() + content).digest() + content


def _read_sums(
    folder: Path, images: NDArray[np.uint8], content_hash: str
) -> NDArray[np.int64] | None:
    """The sums; None if they are missing or damaged."""
    shape = (*images.shape[:2], 2)
    try:
        content = read_file(folder / "sums.bin", 32 + 8 * int(np.prod(shape)))
        sums = np.frombuffer(content, "<i8", offset=32).reshape(shape).astype(np.int64)
    except (OSError, ValueError):
        return None
    return sums if _sealed(sums, content_hash) == content else None


def _load_labels(path: Path) -> NDArray[np.int64]:
    """Reads labels, without making an array of the size that a damaged header may name.

    Raises:
        Exception: If they are damaged; many kinds.
    """
    with open_file(path) as file:
        shape, dtype = _skip_header(file)
        content = file.read()
    if (dtype, shape) != (np.dtype(np.int64), (len(content) // 8,)):
        raise ValueError(f"the labels are {dtype} of shape {shape}")
    return np.frombuffer(content, np.int64).copy()  # torch wants arrays that may be written to


def _skip_header(file: BinaryIO) -> tuple[tuple[int, ...], Any]:
    """Reads the header of a .npy file; returns shape and type of the array that follows."""
    npy.read_magic(file)
    shape, _, dtype = npy.read_array_header_1_0(file)
    return shape, dtype


def _digest(source: Source, labels: NDArray[np.int64]) -> Any:
    header = json.dumps([source.classes, source.shape, len(labels)])
    digest = hashlib.sha256(header.encode())
    digest.update(np.ascontiguousarray(labels, "<i8").data)
    return digest
