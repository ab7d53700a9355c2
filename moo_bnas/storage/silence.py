"""Which claims are lost because their workers have fallen silent.

A claim whose last heartbeat is older than its worker's grace is lost once this process has watched
that silence for half the grace: after an outage, or the sleep of a machine, all workers are silent
at first, and most continue.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

_LONGEST_LOOK = 5.0  # seconds that one look at a silent claim counts for, at most


class Running(NamedTuple):
    """A claim that is held, by its last heartbeat.

    Attributes:
        token: Token of the claim.
        heartbeat: When its worker was last heard of, by the database's clock.
        silent_seconds: Seconds since then, by the same clock.
        grace: Seconds of silence that its worker may keep.
    """

    token: str
    heartbeat: datetime
    silent_seconds: float
    grace: float


class Silence:
    """How long this process has watched each silent claim."""

    def __init__(self) -> None:
        self._watched: dict[tuple[str, datetime], float] = {}
        self._last_look = float("-inf")

    def lost(self, running: Iterable[Running]) -> set[str]:
        """Tokens of the claims that count as lost now; to be called again and again."""
        look = min(time.monotonic() - self._last_look, _LONGEST_LOOK)
        self._last_look = time.monotonic()
        watched, lost = {}, set[str]()
        for claim in running:
            # A silence is known by the heartbeat before it: after another one it begins from 0.
            silence = (claim.token, claim.heartbeat)
            watched[silence] = self._watched.get(silence, -look) + look
            if claim.silent_seconds > claim.grace and watched[silence] >= claim.grace / 2:
                lost.add(claim.token)
        self._watched = watched
        return lost
