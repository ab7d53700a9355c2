"""How a worker serves a run: the options of `moo-bnas worker` that are not about training."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from moo_bnas.storage import HEARTBEAT
from moo_bnas.units import duration

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """When a worker leaves before the run is over; None: no limit.

    Attributes:
        candidates: Number of finished networks after which it leaves.
        seconds: Seconds after which it begins no other network.
        idle_seconds: Seconds without anything to do and without a driver after which it leaves.
    """

    candidates: int | None = None
    seconds: float | None = None
    idle_seconds: float | None = None

    def reached(self, candidates: int, seconds: float) -> bool:
        """Whether a worker that has done so much is to leave; the log says so."""
        if self.candidates is not None and candidates >= self.candidates:
            log.info("leaving after %d candidates, the limit", candidates)
            return True
        if self.seconds is not None and seconds >= self.seconds:
            log.info("leaving after %s, the limit", duration(seconds))
            return True
        return False


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker serves a run.

    Attributes:
        artifacts_url: Where the run's artifact store is on this machine; None: at the default of
            the storage.
        only_final: Whether it serves the final trainings of the run alone, not its search.
        heartbeat: Seconds between two heartbeats; after six without one it counts as lost.
        limits: When it leaves before the run is over.
    """

    artifacts_url: str | None = None
    only_final: bool = False
    heartbeat: float = HEARTBEAT
    limits: Limits = Limits()
