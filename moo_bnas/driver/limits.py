"""How long a run lasts beside its number of candidates: hours, and progress that has ended."""

from __future__ import annotations

import time
from collections.abc import Sequence

from moo_bnas.driver.run import Run
from moo_bnas.results.score import score_of
from moo_bnas.storage import CLAIMS_UNTIL, Trial

_LEAST_GROWTH = 0.001  # of the score; less is no progress
_KEEP = 10.0  # seconds between two notes of how long the run was driven
_DRIVEN = "driven_seconds"


class Hours:
    """The time that a run may be driven, by all of its drivers together.

    Args:
        run: Run that is driven from now on.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._limit = run.definition.search.max_hours
        self._before = float(run.study.attributes.get(_DRIVEN, 0.0))
        self._began = self._kept = time.monotonic()

    @property
    def are_over(self) -> bool:
        """Whether no candidate may be begun any more."""
        left = self._left()
        return left is not None and left <= 0

    def begin(self) -> None:
        """Tells all workers of the run, wherever they are, until when they may claim."""
        run, left = self._run, self._left()
        known = any(CLAIMS_UNTIL in study.attributes for study in run.studies)
        if left is not None or known:
            run.storage.studies.close_claims(run.studies, left)

    def keep(self, *, now: bool = False) -> None:
        """Stores how long the run was driven; to be called again and again.

        Args:
            now: Whether to store it at once, since the driver ends.
        """
        if self._limit is not None and (now or time.monotonic() - self._kept > _KEEP):
            self._kept = time.monotonic()
            self._run.storage.studies.set_attributes(self._run.study, {_DRIVEN: self._driven()})

    def _driven(self) -> float:
        return self._before + time.monotonic() - self._began

    def _left(self) -> float | None:
        """Seconds; None without a limit."""
        return None if self._limit is None else self._limit * 3600 - self._driven()


def has_plateaued(run: Run, trials: Sequence[Trial]) -> bool:
    """Whether the last evaluations have raised the score of a run by less than a thousandth.

    The definition's `plateau` says how many evaluations are looked at; they are those of the
    highest numbers, failed ones included, but none that was taken over from another run.

    Args:
        run: Run that is driven.
        trials: Trials of its search that have ended.
    """
    window = run.definition.search.plateau
    if window is None or sum(t.generation != 0 for t in trials) <= window:
        return False
    ordered = sorted(trials, key=lambda trial: trial.number)
    before, now = (
        score_of(run.definition, run.mode, [t for t in some if t.evaluation is not None])[1]
        for some in (ordered[:-window], ordered)
    )
    return before is not None and now is not None and now - before < _LEAST_GROWTH * now
