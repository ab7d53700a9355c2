"""Waiting while a storage cannot be used: its server is away, its file is locked, its disk full."""

from __future__ import annotations

import functools
import logging
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from moo_bnas.errors import (
    ArtifactsFullError,
    MooBnasError,
    StorageAwayError,
    StorageBusyError,
)
from moo_bnas.units import duration

MAX_OUTAGE = 3600.0  # seconds that a server may be away before a process gives up
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds between two tries to reach it
_LONGEST_BUSY_PAUSE = 2.0  # the same, to a server that answers: others take what gets free
_SECOND_REPORT = 5.0  # seconds of an outage after which it is logged again, then at twice those

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")


def waiting_out(
    operation: Callable[Parameters, Result],
) -> Callable[Parameters, Result]:
    """Repeats an operation while the server is away, with growing pauses, up to `MAX_OUTAGE`.

    The operation must be safe to repeat, also if it was committed and only the acknowledgement
    was lost.
    """
    return _patient(operation, StorageAwayError, "the storage")


def waiting_for_room(
    operation: Callable[Parameters, Result],
) -> Callable[Parameters, Result]:
    """Repeats an operation while the server answers, and only asks to try again."""
    return _patient(operation, StorageBusyError, "the storage")


def waiting_for_disk(
    operation: Callable[Parameters, Result],
) -> Callable[Parameters, Result]:
    """Repeats an operation while the disk of the artifact store is full, up to `MAX_OUTAGE`."""
    return _patient(operation, ArtifactsFullError, "the artifact store")


def _patient(
    operation: Callable[Parameters, Result], reason: type[MooBnasError], what: str
) -> Callable[Parameters, Result]:
    @functools.wraps(operation)
    def patient(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        since, pause = time.monotonic(), _FIRST_PAUSE
        logged, next_report = False, 0.0
        while True:
            try:
                result = operation(*args, **kwargs)
            except reason as error:
                away = time.monotonic() - since
                if away + pause > MAX_OUTAGE:
                    raise
                is_busy = isinstance(error, StorageBusyError)
                # Of two transactions in each other's way one continues at once: not worth a line.
                silent = _LONGEST_PAUSE if is_busy else 0.0
                if away >= max(silent, next_report):
                    log.warning("%s; trying again, for %s so far", error, duration(away))
                    logged, next_report = True, max(2 * away, _SECOND_REPORT)
                time.sleep(pause * random.uniform(0.1, 1.0))  # noqa: S311 (no secret)
                pause = min(2 * pause, _LONGEST_BUSY_PAUSE if is_busy else _LONGEST_PAUSE)
                continue
            if logged:
                log.warning("%s is back after %s", what, duration(time.monotonic() - since))
            return result

    return patient
