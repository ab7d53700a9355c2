"""How the results of a report were made: by which versions, on what, how long. Pure data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moo_bnas.storage import (
    WORKER_VERSIONS,
    Study,
    Trial,
    baselines_of,
    confirm_of,
    final_of,
    parent_of,
)


@dataclass(frozen=True)
class Trainings:
    """The training runs of one study of a run.

    Attributes:
        what: `search`, `references`, `parent`, `confirm` or `final`.
        trained: Number of networks that were trained for this run.
        copied: Number of evaluations that were copied instead, by where they come from: `search`,
            `references`, ... of this very run, or else the name of another run's study.
        seconds: Seconds that all training runs took together.
        devices: Number of networks that were trained, by device.
        failures: Number of trials that failed, by reason.
        waiting: Number of trials that are not finished.
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
        seed: Seed of the search.
        finished: Whether the search is finished.
        versions: Versions of the packages that began the run.
        other_versions: Other versions of these packages that workers had, if any.
        began: When the first training run began; None if that is not known. UTC.
        ended: When the last training run ended; None if that is not known. UTC.
        trainings: Training runs of each study of the run that has any.
        final_recipe: Recipe of the final trainings, if the definition has one.
    """

    seed: int
    finished: bool
    versions: Mapping[str, str]
    other_versions: Mapping[str, Sequence[str]]
    began: datetime | None
    ended: datetime | None
    trainings: tuple[Trainings, ...]
    final_recipe: Mapping[str, Any] | None


def making(
    study: Study,
    trials: Mapping[str, Sequence[Trial]],
    final_definition: Mapping[str, Any] | None = None,
) -> Making:
    """Adds up how the trials of a run were made.

    Args:
        study: Study of the run.
        trials: Trials of its studies, by what these hold: `search`, `references`, ...
        final_definition: Definition that the study of final trainings holds, if there is one.
    """
    every = [t for some in trials.values() for t in some]
    definition = final_definition or study.attributes["definition"]
    return Making(
        seed=study.attributes["seed"],
        finished=study.attributes["finished"],
        versions=study.attributes["versions"],
        other_versions=_others(study),
        began=min((t.started for t in every if t.started is not None), default=None),
        ended=max((t.ended for t in every if t.ended is not None), default=None),
        trainings=tuple(_trainings(study.name, *each) for each in trials.items() if each[1]),
        final_recipe=definition.get("final"),
    )


def _others(study: Study) -> dict[str, list[str]]:
    began, workers = study.attributes["versions"], study.attributes.get(WORKER_VERSIONS, {})
    others = {p: [v for v in found if v != began.get(p)] for p, found in workers.items()}
    return {package: found for package, found in others.items() if found}


def _trainings(run: str, what: str, trials: Sequence[Trial]) -> Trainings:
    complete = [t.evaluation for t in trials if t.evaluation is not None]
    trained = [e for e in complete if e.copied_from is None]
    own = {run: "search", baselines_of(run): "references", confirm_of(run): "confirm"}
    own |= {parent_of(run): "parent", final_of(run): "final"}
    sources = [e.copied_from.study for e in complete if e.copied_from is not None]
    copied = Counter(own.get(source, source) for source in sources)
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
