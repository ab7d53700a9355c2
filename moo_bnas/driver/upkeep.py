"""What every driver takes care of while it waits: its lease, its workers, and lost claims."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from moo_bnas.driver.local_workers import LocalWorkers
from moo_bnas.processes import has_exited
from moo_bnas.storage import RunState, Storage, Study, WorkerRow, study_gone
from moo_bnas.units import count

_SECONDS = 1.0  # between two looks
_CLEANING = 60.0  # seconds between two cleanups of what deleted studies have left
# An evaluation is checked again after a tenth of the time that it has taken so far.
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 0.25

log = logging.getLogger(__name__)


class Upkeep:
    """Takes care of the lease, the workers and the claims of a driver.

    Args:
        storage: Storage that holds the run.
        driven: Study whose lease the driver holds.
        joined: Study that workers join.
        workers: Local workers, which the caller starts and stops.
        renew_lease: Function that `driver_lease` gives for the driven study.

    Attributes:
        alive: Number of workers that gave a sign of life lately, at the last look.
    """

    def __init__(
        self,
        storage: Storage,
        driven: Study,
        joined: Study,
        workers: LocalWorkers,
        renew_lease: Callable[[], None],
    ) -> None:
        self._storage = storage
        self._driven = driven
        self._joined = joined
        self._workers = workers
        self._renew_lease = renew_lease
        self._evaluations = 0
        self._last = self._last_cleaning = float("-inf")
        self.alive = 0

    @property
    def is_due(self) -> bool:
        """Whether it is time for another look."""
        return time.monotonic() - self._last > _SECONDS

    def look(self) -> None:
        """Renews the lease, replaces local workers that died, and frees what lost workers held.

        Raises:
            StorageError: Where the study was deleted.
            StudyHeldError: Where another driver has taken over.
            WorkersError: Where local workers keep dying.
        """
        self._last = time.monotonic()
        if self._storage.studies.look(self._driven) is RunState.GONE:
            raise study_gone(self._driven.name)
        self._renew_lease()
        seen = self._storage.workers.read(self._joined)
        evaluations = sum(w.evaluations for w in seen)
        self._workers.check(progressed=evaluations != self._evaluations)
        self._evaluations = evaluations
        if time.monotonic() - self._last_cleaning > _CLEANING:
            self._last_cleaning = time.monotonic()
            self._storage.trials.forget_deleted()
            self.refuse_enqueued()
        lost = self._storage.claims.return_lost(_has_exited)
        if lost:
            log.warning("%s of lost workers may be taken by others", count(lost, "claim"))
        self.alive = sum(w.is_recent and not _has_exited(w) for w in seen)

    def refuse_enqueued(self) -> None:
        """Fails trials that somebody else added to the study; no worker would ever take them."""
        if refused := self._storage.trials.refuse_enqueued(self._driven):
            log.warning(
                "refused trials %s, which were enqueued with Optuna: only the search makes trials; "
                "begin a run with --start-with to have networks of your choice evaluated",
                ", ".join(map(str, refused)),
            )


def pause(began: float) -> None:
    """Waits a little, longer the longer something has taken since `began` (time.monotonic)."""
    time.sleep(min(max((time.monotonic() - began) / 10, _FIRST_WAIT), _LONGEST_WAIT))


def _has_exited(worker: WorkerRow) -> bool:
    return has_exited(worker.host, worker.pid)
