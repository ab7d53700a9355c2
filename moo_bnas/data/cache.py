"""Decoded images on disk: made once per machine, mapped into memory by all of its workers.

An entry is a folder `<data root>/cache/<key>/`. Its key is a hash of the names, sizes and times of
the source files and of how they are decoded, so changed files get an entry of their own. It holds:

- `images.npy`: uint8, n x channels x size x size.
- `labels.npy`: int64, n.
- `about.json`: class names, the hash of the content, and which files and process made the entry.

An entry is written to `<key>.part` and renamed once it is complete. A lock makes other processes
wait while one writes. The hash of the content is verified whenever an entry is opened. An entry
that no process uses may be deleted; it is made again when it is needed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.lib import format as npy
from numpy.typing import NDArray

from moo_bnas.errors import DataError
from moo_bnas.processes import here
from moo_bnas.reading import open_file, read_file

log = logging.getLogger(__name__)

_LOG_SECONDS = 10.0  # between two lines of progress in the log
_MOST_ABOUT = 2**24  # bytes of about.json; that of ImageNet has 20,000
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
        content_hash: SHA-256 of pixels, labels, class names and shape.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    content_hash: str


class _DamagedError(Exception):
    """An entry differs from what was written."""


def identity(status: os.stat_result) -> tuple[int, int, int]:
    """Size and times of a file, which change when its content does; the file is not read.

    The time of the last status change (ctime) is included because unpacking and copying may set
    any modification time, and uncompressed images all have one size.
    """
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def open_entry(root: Path, source: Source) -> Entry:
    """Opens the entry of a source; makes it first if it is missing or damaged.

    Args:
        root: Data root.
        source: Files from which the entry is made.

    Raises:
        DataError: If a source file is broken, or the entry cannot be written.
    """
    folder = root / "cache" / source.key
    try:
        if folder.exists():  # reading needs neither the lock nor write permission
            try:
                return _open(folder, source)
            except _DamagedError as error:
                log.warning("the cache %s is damaged (%s); making it again", folder, error)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder, source):
            try:
                return _open(folder, source)  # another process made it while this one waited
            except _DamagedError:
                _remove(folder)
            _make(folder, source)
    except OSError as error:
        raise DataError(
            f"cannot use the cache of {source.what} in {folder.parent}: "
            f"{error.strerror or error}; make that folder writable, or give another --data-root"
        ) from error
    try:
        return _open(folder, source)
    except _DamagedError as error:
        raise DataError(
            f"the cache {folder} was just written and reads back differently ({error}); this disk "
            "loses data: give another --data-root"
        ) from error


@contextmanager
def _lock(folder: Path, source: Source) -> Iterator[None]:
    lock = FileLock(f"{folder}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("waiting for %s, which decodes %s", _maker(folder), source.what)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _part(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.part")


def _maker(folder: Path) -> str:
    try:
        return str(json.loads((_part(folder) / "about.json").read_text())["made_by"])
    except (OSError, ValueError, KeyError):
        return "another process"


def _make(folder: Path, source: Source) -> None:
    part = _part(folder)
    _remove(part)  # left over from a process that was killed
    try:
        part.mkdir()
        host, pid = here()
        maker = f"process {pid} on {host.partition('/')[0]}"
        about: dict[str, Any] = {"made_from": source.what, "made_by": maker, "key": source.key}
        _write_json(part, about)
        labels, batches = source.read()
        about["content_hash"] = _write_images(part, source, labels, batches)
        with (part / "labels.npy").open("wb") as file:
            np.save(file, labels)
            _to_disk(file)
        _write_json(part, about | {"images": len(labels), "classes": source.classes})
        os.rename(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _write_images(
    part: Path,
    source: Source,
    labels: NDArray[np.int64],
    batches: Iterable[NDArray[np.uint8]],
) -> str:
    """Writes `images.npy` and returns the content hash."""
    shape = (len(labels), *source.shape)
    size = int(np.prod(shape))
    log.info("decoding %s: %d images, %.1f MB to %s", source.what, shape[0], size / 1e6, part)
    digest = _digest(source, labels)
    done, last_logged = 0, time.monotonic()
    try:
        if size > (free := shutil.disk_usage(part).free):
            raise OSError(None, f"{free:,} bytes are free")
        # Written to a file, not through a memory map: on a full disk a map kills the process.
        with (part / "images.npy").open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            npy.write_array_header_1_0(file, header)
            for batch in batches:
                # Hashed while they are in memory, so that ImageNet is not read a second time.
                pixels = np.ascontiguousarray(batch)
                digest.update(pixels.data)
                file.write(pixels.data)
                done += len(batch)
                if time.monotonic() - last_logged > _LOG_SECONDS:
                    last_logged = time.monotonic()
                    log.info("decoding %s: %d of %d images", source.what, done, shape[0])
            _to_disk(file)
    except OSError as error:
        raise DataError(
            f"the cache of {source.what} needs {size:,} bytes in {part.parent}: "
            f"{error.strerror or error}; free that space or give another --data-root"
        ) from error
    return str(digest.hexdigest())


def _open(folder: Path, source: Source) -> Entry:
    """Opens an entry and verifies its hash.

    Raises:
        _DamagedError: If the entry is incomplete, changed or missing.
    """
    try:
        about = json.loads(read_file(folder / "about.json", _MOST_ABOUT))
        expected = str(about["content_hash"])
        labels = _load_labels(folder / "labels.npy")
        digest = _digest(source, labels)
        # Read from the file once: in a memory map, a read error kills the process (SIGBUS).
        with open_file(folder / "images.npy") as file:
            _skip_header(file)  # the hash is of the pixels alone
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        images = np.load(folder / "images.npy", mmap_mode="r")
        belongs = about["key"] == source.key
    except MemoryError:
        raise
    except Exception as error:  # numpy's parser of damaged headers raises many kinds
        raise _DamagedError(str(error)) from error
    if not belongs or images.shape != (len(labels), *source.shape) or images.dtype != np.uint8:
        raise _DamagedError("it belongs to another entry")
    if digest.hexdigest() != expected:
        raise _DamagedError("the hash of its content differs from the one recorded")
    return Entry(images, labels, expected)


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


def _write_json(part: Path, about: dict[str, Any]) -> None:
    with (part / "about.json").open("w") as file:
        json.dump(about, file, indent=1)
        _to_disk(file)


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
