"""Processes that a process has started, and what they listen on, as Linux shows them in /proc."""

from __future__ import annotations

import contextlib
import os
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

_LISTENS = "0A"


def tree(pid: int) -> list[int]:
    """A process, its children, theirs, and so on."""
    found = [pid]
    for process in found:
        with contextlib.suppress(FileNotFoundError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                found += [int(i) for i in (thread / "children").read_text().split()]
    return found


def listening(pids: list[int]) -> set[IPv4Address | IPv6Address]:
    """The addresses on which processes listen for connections of TCP."""
    sockets = {inode for pid in pids for inode in _sockets(pid)}
    return {
        _address(line[1].partition(":")[0])
        for table in ("tcp", "tcp6")
        for line in map(str.split, Path(f"/proc/net/{table}").read_text().splitlines()[1:])
        if line[3] == _LISTENS and line[9] in sockets
    }


def _sockets(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it may be closed meanwhile
            kind, _, inode = os.readlink(link).partition(":")
            if kind == "socket":
                found.append(inode.strip("[]"))
    return found


def _address(text: str) -> IPv4Address | IPv6Address:
    """An address as the kernel writes it: words of four bytes, each in the order of the machine."""
    words = [bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8)]
    return ip_address(b"".join(words))
