"""Holding the lease of a study for as long as a driver drives it."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from moo_bnas.errors import StorageError, StudyHeldError
from moo_bnas.processes import here, is_gone
from moo_bnas.storage import GRACE, HEARTBEAT_INTERVAL, LeaseRow, Storage, Study
from moo_bnas.units import duration

log = logging.getLogger(__name__)
_POLL = 0.5  # seconds between two looks at a lease that may be running out


@contextmanager
def driver_lease(
    storage: Storage, study: Study, tell: Callable[[str], None], grace: float = GRACE
) -> Iterator[Callable[[], None]]:
    """Takes the lease of a study, and gives it back in the end.

    That of a process that is gone from this host is taken over at once. That of another host is
    watched: once it was not renewed for `grace` it is taken over, and once it is renewed its holder
    is known to live.

    Args:
        storage: Of the study.
        study: To drive.
        tell: Called with a line while it waits.
        grace: Seconds.

    Yields:
        A function that renews the lease when that is due, for the driver to call often.

    Raises:
        StudyHeldError: Where another driver lives, or (from the renewal) has taken over.
    """
    token, (host, pid) = uuid.uuid4().hex, here()
    while True:
        held = _wait_for_end(storage, study, tell, grace)
        if storage.leases.take(study, token, host, pid, held.token if held else None):
            break
    renewed = time.monotonic()

    def renew() -> None:
        nonlocal renewed
        if time.monotonic() - renewed < min(HEARTBEAT_INTERVAL, grace / 4):
            return
        if not storage.leases.renew(study, token):
            raise StudyHeldError(
                f"another driver has taken over study {study.name!r} while this one did not answer "
                f"for {duration(grace)}; it goes on there, see `moo-bnas status`"
            )
        renewed = time.monotonic()

    try:
        yield renew
    finally:
        try:
            storage.leases.release(study, token)
        except StorageError as error:  # it runs out by itself
            log.warning("the lease of %s could not be given back: %s", study.name, error)


def _wait_for_end(
    storage: Storage, study: Study, tell: Callable[[str], None], grace: float
) -> LeaseRow | None:
    """The lease that may be replaced; None where there is none."""
    first = storage.leases.read(study)
    held, told = first, -1
    while held is not None and first is not None:
        itself = (held.host, held.pid) == here()  # a container that was started again
        if itself or is_gone(held.host, held.pid) or held.idle_seconds > grace:
            return held
        # One that has missed two renewals may be another process under a number used again.
        is_live_here = held.host == here()[0] and held.idle_seconds < 2 * HEARTBEAT_INTERVAL
        if is_live_here or held.last_seen != first.last_seen:
            raise StudyHeldError(
                f"study {study.name!r} is driven by process {held.pid} on {_name(held)} since "
                f"{duration(held.held_seconds)}; wait for it, stop it, or give another --study-name"
            )
        left = int(grace - held.idle_seconds) + 1
        if told != left and left % 5 == 0:
            tell(
                f"process {held.pid} on {_name(held)} drove this study "
                f"{duration(held.idle_seconds)} ago; taking over in {left} s unless it is heard of"
            )
            told = left
        time.sleep(_POLL)
        held = storage.leases.read(study)
    return None


def _name(held: LeaseRow) -> str:
    return held.host.partition("/")[0]
