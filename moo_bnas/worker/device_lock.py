"""Locks that let several workers of this machine share a device, or one have it alone.

The locks are flock(2)'s, on files in the folder for temporary files: the system releases those of a
process that has exited, for whatever reason. Workers that have another such folder (of another
user, or in another container) do not know of each other.
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

    All pass a turnstile, which a worker that must be alone keeps locked from its arrival until it
    leaves: nobody overtakes it while it waits for those that are inside.

    Args:
        device_id: Identifies the device among those of this machine; part of a file's name.
        alone: Whether to wait until nobody else holds the device, and to keep others away.
        stop: Ends the waiting once set.

    Raises:
        Interrupted: Once `stop` is set while it waits.
        DeviceError: If the files cannot be locked.
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
                f"cannot lock the device {device_id}: {error}; set TMPDIR to a writable folder, "
                "the same for all workers of this machine"
            ) from error
        yield


def _open(path: str, opened: ExitStack) -> int:
    # In a folder where everybody may write, a link that somebody else has made is not followed.
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    opened.callback(os.close, file)
    os.utime(file)  # so that no clean-up of old temporary files removes it
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
