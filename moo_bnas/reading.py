"""Reads files that anybody may have put there, without waiting and without taking all memory."""

from __future__ import annotations

import errno
import os
import stat
import tomllib
from pathlib import Path
from typing import Any, BinaryIO

from moo_bnas.errors import DefinitionError


def open_file(path: Path) -> BinaryIO:
    """Opens a file for reading; refuses pipes and devices, which may have no end.

    Raises:
        OSError: If it cannot be opened, or is not an ordinary file.
    """
    try:
        # Without O_NONBLOCK, a pipe that nobody writes to would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a path with a zero byte
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise OSError(errno.EINVAL, "it is a pipe or a device, expected a file", str(path))
    return os.fdopen(descriptor, "rb")


def read_file(path: Path, most: int) -> bytes:
    """The content of an ordinary file.

    Args:
        path: File to read.
        most: Number of bytes that it may have at most.

    Raises:
        OSError: If it cannot be read, is not an ordinary file, or has more bytes.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            message = f"it has {size:,} bytes, expected at most {most:,}"
            raise OSError(errno.EFBIG, message, str(path))
        return file.read()


def read_toml(path: Path, most: int) -> dict[str, Any]:
    """The values in a TOML file.

    Args:
        path: File to read.
        most: Number of bytes that it may have at most.

    Raises:
        DefinitionError: If it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(read_file(path, most).decode())
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{path} is no text file (UTF-8); give a .toml file") from error
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{path}: not valid TOML: {error}; correct that line") from error
    except RecursionError as error:
        raise DefinitionError(
            f"{path}: nested too deeply; give a .toml file as in studies/"
        ) from error
    except ValueError as error:  # an integer of thousands of digits
        raise DefinitionError(f"{path}: {error}; correct that number") from error
    except OSError as error:
        raise DefinitionError(
            f"cannot read {path}: {error.strerror}; check its permissions"
        ) from error
