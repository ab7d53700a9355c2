"""The presence of a worker in a run: it joins, sends heartbeats from a thread, and leaves."""

from __future__ import annotations

import logging
import random
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from moo_bnas.errors import StorageError
from moo_bnas.processes import here
from moo_bnas.storage import Claim, Storage, Study, grace_of

_SOONER = 0.1  # of the time between two heartbeats, after one that failed
REST_AFTER = 0.25  # seconds without need of the connection, after which it is closed

log = logging.getLogger(__name__)


class Presence:
    """One worker that has joined a run, for as long as the `with` block lasts.

    Args:
        storage: Storage that holds the run.
        study: Study of the run.
        device: Hardware that the worker trains on.
        heartbeat: Seconds between two heartbeats.

    Attributes:
        name: Name of the worker, unique in the storage.
    """

    def __init__(self, storage: Storage, study: Study, device: str, heartbeat: float) -> None:
        self._storage = storage
        self._study = study
        self._device = device
        self._heartbeat = heartbeat
        self._claim: Claim | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._host, self._pid = here()
        self.name = f"{self._host.partition('/')[0]}-{self._pid}-{uuid.uuid4().hex[:6]}"

    def __enter__(self) -> Presence:
        """Joins the run."""
        self._storage.workers.join(
            self._study, self.name, self._host, self._pid, self._device, grace_of(self._heartbeat)
        )
        log.info("%s serves %s on %s", self.name, self._study.name, self._device)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves the run, so that nobody waits for this worker."""
        self._over.set()
        self._thread.join()
        with suppress(StorageError):
            self._storage.workers.leave(self.name)

    @contextmanager
    def holding(self, claim: Claim) -> Iterator[None]:
        """Sends heartbeats for a claim: until its end is stored, however long that takes."""
        self._claim = claim
        try:
            yield
        finally:
            self._claim = None

    @contextmanager
    def training(self) -> Iterator[None]:
        """Holds no connection while the block takes its time."""
        rest = threading.Timer(REST_AFTER, self._storage.rest)
        rest.daemon = True
        rest.start()
        try:
            yield
        finally:
            rest.cancel()

    def _beat(self) -> None:
        silent, wait = False, self._heartbeat
        # The factor spreads the heartbeats of a fleet whose workers have all begun at once.
        while not self._over.wait(wait * random.uniform(0.7, 1.0)):  # noqa: S311 (no secret)
            claim = self._claim
            try:
                self._storage.claims.beat(self.name, claim)
                if claim is not None:
                    self._storage.rest()
                silent, wait = False, self._heartbeat
            # If it lasts, the finish of the claim reports it. Without this thread the worker would
            # lose every claim: whatever the error, it must go on.
            except Exception as error:
                if not silent:  # once an outage
                    log.warning("no heartbeat: %s", error)
                silent = True
                # Where connections run out, one try of many must come through for a claim in time.
                wait = self._heartbeat * (_SOONER if claim is not None else 1)
