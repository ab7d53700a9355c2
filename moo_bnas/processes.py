"""Processes: this one, the cores it may use, and which others are known to be gone."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def here() -> tuple[str, int]:
    """Host and process id of this process, as storages name it.

    The host is its name, and on Linux behind a slash what tells containers and cloned machines of
    equal names apart: the boot and the namespace of process ids.
    """
    host = socket.gethostname()
    boot = Path("/proc/sys/kernel/random/boot_id")
    if boot.exists():
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
        host += f"/{boot.read_text()[:8]}-{namespace}"
    return host, os.getpid()


def count_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_gone(host: str, pid: int) -> bool:
    """Whether a process is known to be gone; of other hosts nothing is known."""
    if host != here()[0]:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it lives, and is another user's
        return False
    return False
