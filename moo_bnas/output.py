"""Writes files that may be read at any moment: completely or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file under another name, then renames it.

    Raises:
        OSError: If writing or renaming fails; an earlier file of that name is then unchanged, and
            nothing is left beside it.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
