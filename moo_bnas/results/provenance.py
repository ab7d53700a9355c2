"""How a report's results were made: by which versions, on what, how long. Pure data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moo_bnas.storage import Study, Trial


@dataclass(frozen=True)
class Trainings:
    """The trainings of one study of a run.

    Attributes:
        what: `search`, `references`, `parent` or `final`.
        trained: How many were trained for this run.
        copied: How many were copied instead, by the study that they were trained for.
        seconds: Of all of the trained ones, added up.
        devices: How many were trained on which device.
        failures: How many failed for which reason.
        waiting: How many are not finished.
    """

    what: str
    trained: int
    copied: Mapping[str, int]
    seconds: float
    devices: Mapping[str, int]
    failures: Mapping[str, int]
    waiting: int


@dataclass(frozen=True)
class Making:
    """How all of a run was made.

    Attributes:
        seed: Of the search.
        finished: Whether the search is.
        versions: Of the packages that began it.
        began: When its first training did; None where that is not known. UTC.
        ended: When its last one did.
        trainings: Of each study of the run that has any.
        final_recipe: Of the final trainings, where the definition has one.
    """

    seed: int
    finished: bool
    versions: Mapping[str, str]
    began: datetime | None
    ended: datetime | None
    trainings: tuple[Trainings, ...]
    final_recipe: Mapping[str, Any] | None


def making(
    study: Study,
    trials: Mapping[str, Sequence[Trial]],
    final_definition: Mapping[str, Any] | None = None,
) -> Making:
    """Adds up what the trials of a run tell.

    Args:
        study: Of the run.
        trials: Of its studies, by what they hold: `search`, `references`, ...
        final_definition: As the study of the final trainings holds it, where there is one.
    """
    every = [t for some in trials.values() for t in some]
    definition = final_definition or study.attributes["definition"]
    return Making(
        seed=study.attributes["seed"],
        finished=study.attributes["finished"],
        versions=study.attributes["versions"],
        began=min((t.started for t in every if t.started is not None), default=None),
        ended=max((t.ended for t in every if t.ended is not None), default=None),
        trainings=tuple(_trainings(what, some) for what, some in trials.items() if some),
        final_recipe=definition.get("final"),
    )


def _trainings(what: str, trials: Sequence[Trial]) -> Trainings:
    complete = [t.evaluation for t in trials if t.evaluation is not None]
    trained = [e for e in complete if e.copied_from is None]
    copied = Counter(e.copied_from.study for e in complete if e.copied_from is not None)
    failed = Counter(t.failure or "unknown" for t in trials if t.state == "fail")
    return Trainings(
        what=what,
        trained=len(trained),
        copied=dict(copied.most_common()),
        seconds=sum(e.train_seconds for e in trained),
        devices=dict(Counter(e.device or "unknown" for e in trained).most_common()),
        failures=dict(failed.most_common()),
        waiting=sum(t.state in ("waiting", "running") for t in trials),
    )
