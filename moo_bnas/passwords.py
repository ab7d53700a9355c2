"""Keeps passwords in URLs from being shown."""

from __future__ import annotations

import os
import re
import sys

STORAGE_VARIABLE = "MOO_BNAS_STORAGE"

# Greedy, up to the last @: a password that was not escaped as URLs want it is hidden, too.
_IN_AUTHORITY = re.compile(r"(:/+[^:/@]*):.*@")
_IN_QUERY = re.compile(r"([?&](?:password|passwd|sslpassword)=)[^&]*", re.IGNORECASE)


def hide_password(url: str) -> str:
    """`url` as it may be shown: `***` stands for its password."""
    return _IN_QUERY.sub(r"\1***", _IN_AUTHORITY.sub(r"\1:***@", url))


def hide_from_ps() -> None:
    """Begins this command anew where its arguments hold a password, which `ps` shows to everybody.

    The URL moves into the environment, which other users cannot read.
    """
    shown = [hide_password(a) if "://" in a else a for a in sys.argv[1:]]
    if shown == sys.argv[1:]:
        return
    for before, argument in zip(sys.argv, sys.argv[1:], strict=False):
        if before == "--storage":
            os.environ[STORAGE_VARIABLE] = argument
        elif argument.startswith("--storage="):
            os.environ[STORAGE_VARIABLE] = argument.partition("=")[2]
    os.execv(sys.executable, [sys.executable, "-m", "moo_bnas", *shown])  # noqa: S606 (no shell)


def with_password(url: str) -> str | None:
    """The URL that `url` shows, from the environment; None where that holds another one."""
    if "***" not in url:
        return url
    full = os.environ.get(STORAGE_VARIABLE, "")
    return full if hide_password(full) == url else None
