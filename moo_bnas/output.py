"""What leaves the program: text for people, and files.

Whatever is printed passes through `show` or `printable`: texts from files, from the storage or from
other machines cannot move the cursor of a terminal, hide what is printed, or begin lines of their
own. Files may be read at any moment, and are written completely or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

_WIDTH = 80  # of a terminal


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


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal: two spaces between columns, each as wide as its widest text.

    What is not printable is escaped, line ends included: a text cannot look like another row.
    """
    rows = [[one_line(text) for text in row] for row in rows]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{text:<{n}}" for text, n in zip(row, wide, strict=True)).rstrip()
        for row in rows
    )


def listing(title: str, paths: Sequence[Path]) -> str:
    """A list of files, `title: first, second, ...`, broken between names, never within one.

    Files beside the one before are named without their folder.
    """
    beside = [None, *(path.parent for path in paths)]
    names = [
        path.name if path.parent == before else str(path)
        for path, before in zip(paths, beside, strict=False)
    ]
    wrapper = textwrap.TextWrapper(
        width=_WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(wrapper.wrap(f"{title}: {', '.join(names)}"))


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file under another name, then renames it.

    Raises:
        OSError: If writing or renaming fails; an earlier file of that name is then unchanged, and
            nothing is left beside it. Also if there is something else of that name: a user with
            the right to would lose the device that `/dev/null` names.
    """
    if path.exists() and not path.is_file():
        raise OSError(
            errno.EINVAL, "it is a folder, a pipe or a device, expected a file", str(path)
        )
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
