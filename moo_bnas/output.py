"""What leaves the program: text for people, and files.

Whatever is printed passes through `show` or `printable`: texts from files, from the storage or from
other machines cannot move the cursor of a terminal, hide what is printed, or begin lines of their
own. Files may be read at any moment, and are written completely or not at all.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path


def show(text: str, *, err: bool = False) -> None:
    """Prints text for people, on standard output or standard error."""
    print(printable(text), file=sys.stderr if err else sys.stdout, flush=True)


def printable(text: str) -> str:
    """Text in which lines are kept, and whatever else is not printable is escaped."""
    return "\n".join(map(one_line, text.split("\n")))


def one_line(text: str) -> str:
    """Text in which whatever is not printable is escaped, line ends included."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


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
