"""Which processes are known to be gone."""

from __future__ import annotations

import os
import socket


def here() -> tuple[str, int]:
    """Host and process id of this process, as storages name it."""
    return socket.gethostname(), os.getpid()


def is_gone(host: str, pid: int) -> bool:
    """Whether a process is known to be gone; of other hosts nothing is known."""
    if host != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it lives, and is another user's
        return False
    return False
