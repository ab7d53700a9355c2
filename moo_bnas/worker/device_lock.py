"""Who uses a device of this machine now: several workers side by side, or one alone.

The locks are flock(2)'s, on files in the folder for temporary files: the system frees those of a
process that is gone, however it went. Workers that have another such folder (another user's,
another container's) do not know of each other.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from moo_bnas.errors import DeviceError, Interrupted

# A lock that is held is tried again after a tenth of the time that was waited.
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 1.0


@contextmanager
def device_lock(device_id: str, *, alone: bool, stop: threading.Event) -> Iterator[None]:
    """Holds a device, together with others or alone, for as long as the block lasts.

    All pass a turnstile, which one that is to be alone keeps locked from when it comes until it
    goes: nobody overtakes it while it waits for those who are inside.

    Args:
        device_id: Tells the machine's devices apart; part of a file's name.
        alone: Wait until nobody else holds it, and keep others away.
        stop: Ends the waiting.

    Raises:
        Interrupted: Once `stop` is set while it waits.
        DeviceError: Where the files cannot be locked.
    """
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    name = os.path.join(tempfile.gettempdir(), f"moo-bnas-{os.getuid()}-{device_id}")
    with ExitStack() as opened:
        try:
            turnstile = _open(f"{name}.turnstile", opened)
            inside = _open(f"{name}.inside", opened)
            _lock(turnstile, kind, stop)
            _lock(inside, kind, stop)
            if not alone:
                fcntl.flock(turnstile, fcntl.LOCK_UN)
        except OSError as error:
            raise DeviceError(
                f"the lock of device {device_id} cannot be had: {error}; set TMPDIR to a folder "
                "that may be written, the same for all workers of this machine"
            ) from error
        yield


def _open(path: str, opened: ExitStack) -> int:
    # No link of somebody else's is followed in a folder where all may write.
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    opened.callback(os.close, file)
    os.utime(file)  # such folders are cleaned of what is old
    return file


def _lock(file: int, kind: int, stop: threading.Event) -> None:
    since = time.monotonic()
    while True:
        try:
            return fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = time.monotonic() - since
            if stop.wait(min(max(waited / 10, _FIRST_WAIT), _LONGEST_WAIT)):
                raise Interrupted from None
