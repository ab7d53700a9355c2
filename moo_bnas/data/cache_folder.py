"""Folders of the cache: each is made once per machine, whole or not at all.

A folder is `<data root>/cache/<key>/`, and its `about.json` says which files and process made it.
It is written to `<key>.part` and renamed once it is complete. A lock makes other processes wait
while one writes. A folder that no process uses may be deleted; it is made again when it is needed.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from moo_bnas.errors import DataError
from moo_bnas.output import write_whole
from moo_bnas.processes import here
from moo_bnas.reading import read_file

log = logging.getLogger(__name__)

LOG_SECONDS = 10.0
"""Time between two lines of progress in the log."""

_MOST_ABOUT = 2**24  # bytes of about.json; that of ImageNet has 20,000

T = TypeVar("T")
About = dict[str, Any]


class DamagedError(Exception):
    """A folder of the cache differs from what was written."""


@dataclass(frozen=True)
class Made:
    """What a folder is made of.

    Attributes:
        what: Which files it is made from, as shown in logs and errors.
        key: Name of the folder: SHA-256 of the names, sizes and times of those files, and of how
            they are read. Changed files get a folder of their own.
    """

    what: str
    key: str


def identity(status: os.stat_result) -> tuple[int, int, int]:
    """Size and times of a file, which change when its content does; the file is not read.

    The time of the last status change (ctime) is included because unpacking and copying may set
    any modification time, and uncompressed images all have one size.
    """
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def open_folder(
    root: Path,
    made: Made,
    write: Callable[[Path], About],
    read: Callable[[Path, About], T],
) -> T:
    """Opens a folder of the cache; makes it first if it is missing or damaged.

    Args:
        root: Data root.
        made: What the folder is made of.
        write: Function that writes files into a folder; returns what `about.json` records of them.
        read: Function from the folder, and what is recorded, to the result. Whatever error it
            raises says that the folder is damaged.

    Raises:
        DataError: If a source file is broken, or the folder cannot be written.
    """
    folder = root / "cache" / made.key
    try:
        if folder.exists():  # reading needs neither the lock nor write permission
            try:
                return _open(folder, made, read)
            except DamagedError as error:
                log.warning("the cache %s is damaged (%s); making it again", folder, error)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder, made):
            try:
                # Another process may have made it while this one waited.
                return _open(folder, made, read)
            except DamagedError:
                _remove(folder)
            _make(folder, made, write)
    except OSError as error:
        raise DataError(
            f"cannot use the cache of {made.what} in {folder.parent}: "
            f"{error.strerror or error}; make that folder writable, or give another --data-root"
        ) from error
    try:
        return _open(folder, made, read)
    except DamagedError as error:
        raise DataError(
            f"the cache {folder} was just written and reads back differently ({error}); this disk "
            "loses data: give another --data-root"
        ) from error


def to_disk(file: Any) -> None:
    """Returns once what was written to a file would survive a loss of power."""
    file.flush()
    os.fsync(file.fileno())


def replace_if_possible(path: Path, content: bytes) -> None:
    """Replaces a file as a whole; leaves it as it is in a cache that may only be read."""
    with suppress(OSError):
        write_whole(path, content)


def write_about(folder: Path, about: About) -> None:
    """Writes `about.json`."""
    with (folder / "about.json").open("w") as file:
        json.dump(about, file, indent=1)
        to_disk(file)


@contextmanager
def _lock(folder: Path, made: Made) -> Iterator[None]:
    lock = FileLock(f"{folder}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("waiting for %s, which decodes %s", _maker(folder), made.what)
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


def _make(folder: Path, made: Made, write: Callable[[Path], About]) -> None:
    part = _part(folder)
    _remove(part)  # left over from a process that was killed
    try:
        part.mkdir()
        host, pid = here()
        maker = f"process {pid} on {host.partition('/')[0]}"
        about: About = {"made_from": made.what, "made_by": maker, "key": made.key}
        write_about(part, about)
        write_about(part, about | write(part))
        os.rename(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _open(folder: Path, made: Made, read: Callable[[Path, About], T]) -> T:
    """Opens a folder and checks it.

    Raises:
        DamagedError: If it is incomplete, changed or missing.
    """
    try:
        about = json.loads(read_file(folder / "about.json", _MOST_ABOUT))
        if about["key"] != made.key:
            raise DamagedError("it belongs to another entry")
        return read(folder, about)
    except (MemoryError, DataError, DamagedError):
        raise
    except Exception as error:  # numpy's parser of damaged headers raises many kinds
        raise DamagedError(str(error)) from error


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
