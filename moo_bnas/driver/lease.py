"""The lease of a study, which a driver holds for as long as it drives."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from moo_bnas.errors import StorageError, StudyHeldError
from moo_bnas.processes import has_exited, here
from moo_bnas.storage import HEARTBEAT, LeaseRow, Storage, Study, grace_of
from moo_bnas.units import duration

log = logging.getLogger(__name__)
_POLL = 0.5  # seconds between two looks at a lease that may run out


@contextmanager
def driver_lease(
    storage: Storage, study: Study, notify: Callable[[str], None], heartbeat: float = HEARTBEAT
) -> Iterator[Callable[[], None]]:
    """Takes the lease of a study, and gives it back in the end.

    The lease of a process that has exited on this host is taken over at once. The lease of another
    host is watched: if it runs out, it is taken over; if it is renewed, its holder is alive.

    Args:
        storage: Storage that holds the study.
        study: Study to drive.
        notify: Function that is called with a line for people while this waits.
        heartbeat: Seconds between two renewals.

    Yields:
        A function that renews the lease when that is due, for the driver to call often.

    Raises:
        StudyHeldError: Where another driver is alive, or (from the renewal) has taken over.
    """
    token, (host, pid) = uuid.uuid4().hex, here()
    while True:
        held = wait_for_end(storage, study, notify)
        instead_of = held.token if held else None
        if storage.leases.take(study, token, host, pid, grace_of(heartbeat), instead_of):
            break
    renewed = time.monotonic()

    def renew() -> None:
        nonlocal renewed
        if time.monotonic() - renewed < heartbeat:
            return
        if not storage.leases.renew(study, token):
            raise StudyHeldError(
                f"another driver has taken over study {study.name!r} while this one did not answer "
                f"for {duration(grace_of(heartbeat))}; it continues there, see `moo-bnas status`"
            )
        renewed = time.monotonic()

    try:
        yield renew
    finally:
        try:
            storage.leases.release(study, token)
        except StorageError as error:  # it runs out by itself
            log.warning("the lease of %s could not be given back: %s", study.name, error)


def wait_for_end(storage: Storage, study: Study, notify: Callable[[str], None]) -> LeaseRow | None:
    """Waits until nobody drives a study.

    Args:
        storage: Storage that holds the study.
        study: The study.
        notify: Function that is called with a line for people while this waits.

    Returns:
        The lease that may be replaced; None where there is none.

    Raises:
        StudyHeldError: Where its driver is alive.
    """
    first = storage.leases.read(study)
    held, shown, since = first, -1, time.monotonic()
    while held is not None and first is not None:
        itself = (held.host, held.pid) == here()  # a container that was started again
        if itself or has_exited(held.host, held.pid):
            return held
        # After two missed renewals, its number may belong to another process by now.
        is_live_here = held.host == here()[0] and held.idle_seconds < held.grace / 3
        if is_live_here or held.last_seen != first.last_seen:
            raise StudyHeldError(
                f"study {study.name!r} is driven by process {held.pid} on {_name(held)} since "
                f"{duration(held.held_seconds)}; wait for it, stop it, or name another run"
            )
        # After an outage of the database, its holder needs a moment to renew it.
        watched = time.monotonic() - since
        seconds_left = max(held.grace - held.idle_seconds, held.grace / 3 - watched)
        if seconds_left < 0:
            return held
        left = int(seconds_left) + 1
        if shown != left and (shown < 0 or left % 5 == 0):
            notify(
                f"process {held.pid} on {_name(held)} drove this study "
                f"{duration(held.idle_seconds)} ago; taking over in {left} s unless it is heard of"
            )
            shown = left
        time.sleep(_POLL)
        held = storage.leases.read(study)
    return None


def _name(held: LeaseRow) -> str:
    return held.host.partition("/")[0]
