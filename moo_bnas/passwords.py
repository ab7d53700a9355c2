"""Keeps passwords in URLs from being shown."""

from __future__ import annotations

import os
import re
import sys

STORAGE_VARIABLE = "MOO_BNAS_STORAGE"

# From the first colon up to the last @, as a user may hold an @ and so may a password that was not
# escaped as URLs want it. Also where the scheme, or slashes of it, were forgotten.
_LOGIN = re.compile(
    r"(?!sqlite:///)"
    r"(?P<user>(?:[\w+]+:/+|(?:postgres|postgresql|mysql|mariadb)(?:\+\w+)?:)?+[^:]*):"
    r"(?P<password>.*)@",
    re.DOTALL,
)
_IN_QUERY = re.compile(r"([?&][^=&]*(?:pass|secret|token)[^=&]*=)[^&]*", re.IGNORECASE)
_QUERY = re.compile(r"\?\w+=.*", re.DOTALL)


def hide_password(url: str) -> str:
    """`url` as it may be shown: `***` stands for its password, and for secrets in its query."""
    login = _LOGIN.match(url)
    shown, rest = ("", url) if login is None else (f"{login['user']}:***@", url[login.end() :])
    if login is not None and _IN_QUERY.search(login["password"]):
        return shown.removesuffix("@")  # where the secrets end cannot be told
    return shown + _IN_QUERY.sub(r"\1***", rest)


def is_escaped(url: str) -> bool:
    """Whether an @ in the password, if there is one, is written %40.

    Otherwise a part of the password is taken for the host, and shown by whoever looks for it.
    """
    login = _LOGIN.match(_QUERY.sub("", url))
    return login is None or "@" not in login["password"]


def hide_from_ps() -> None:
    """Begins this command anew where its arguments hold a password, which `ps` shows to everybody.

    The URL moves into the environment, which other users cannot read.
    """
    shown, url = [], None
    for before, argument in zip(sys.argv, sys.argv[1:], strict=False):
        option = "--storage=" if argument.startswith("--storage=") else ""
        value = argument.removeprefix(option)
        is_storage = option or before == "--storage"
        if is_storage:
            url = value
        shown.append(option + (hide_password(value) if is_storage or "://" in value else value))
    if shown == sys.argv[1:]:
        return
    if url is not None:
        os.environ[STORAGE_VARIABLE] = url
    os.execv(sys.executable, [sys.executable, "-m", "moo_bnas", *shown])  # noqa: S606 (no shell)


def with_password(url: str) -> str | None:
    """The URL that `url` shows, from the environment; None where that holds another one."""
    if "***" not in url:
        return url
    full = os.environ.get(STORAGE_VARIABLE, "")
    return full if hide_password(full) == url else None
