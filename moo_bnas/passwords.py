"""Keeps passwords in URLs out of everything that is shown.

URLs are hidden before they are parsed, so mistyped ones are hidden as well.
"""

from __future__ import annotations

import os
import re
import sys

STORAGE_VARIABLE = "MOO_BNAS_STORAGE"

# The password reaches from the first colon to the last @: a user name may contain an @, and so may
# a password that was not escaped. The scheme, or its slashes, may be missing.
_LOGIN = re.compile(
    r"(?!sqlite:///)"
    r"(?P<user>(?:[\w+]+:/+|(?:postgres|postgresql|mysql|mariadb)(?:\+\w+)?:)?+[^:]*):"
    r"(?P<password>.*)@",
    re.DOTALL,
)
_IN_QUERY = re.compile(r"([?&][^=&]*(?:pass|secret|token)[^=&]*=)[^&]*", re.IGNORECASE)
_QUERY = re.compile(r"\?\w+=.*", re.DOTALL)


def hide_password(url: str) -> str:
    """`url` with `***` in place of its password and of secrets in its query."""
    login = _LOGIN.match(url)
    shown, rest = ("", url) if login is None else (f"{login['user']}:***@", url[login.end() :])
    if login is not None and _IN_QUERY.search(login["password"]):
        return shown.removesuffix("@")  # it is unclear where the secrets end
    return shown + _IN_QUERY.sub(r"\1***", rest)


def is_escaped(url: str) -> bool:
    """Whether an @ in the password, if there is one, is written as %40.

    Otherwise a part of the password is taken for the host, and appears in errors about the host.
    """
    login = _LOGIN.match(_QUERY.sub("", url))
    return login is None or "@" not in login["password"]


def hide_from_ps() -> None:
    """Starts this command again without the passwords in its arguments, which `ps` shows to all.

    The URL moves into the environment, which other users cannot read. Arguments without a password
    are left alone.
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
    """`url` with the password that it hides, from the environment; None if it is not there."""
    # A password may have stars of its own, and so may the path of a file.
    if "***" not in url or url.startswith("sqlite:") or hide_password(url) != url:
        return url
    full = os.environ.get(STORAGE_VARIABLE, "")
    return full if hide_password(full) == url else None
