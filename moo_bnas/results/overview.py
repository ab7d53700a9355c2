"""The runs of a storage, a row for each. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from moo_bnas.definition import stored_definition
from moo_bnas.errors import DefinitionError, StorageAwayError, StorageError
from moo_bnas.processes import has_exited
from moo_bnas.results.score import score_of
from moo_bnas.storage import Storage
from moo_bnas.units import duration

HEADER = ("run", "mode", "generation", "evaluations", "best", "driver", "last result")


@dataclass(frozen=True)
class RunRow:
    """A run, in short.

    Attributes:
        study: Name of the run.
        mode: `scalar` or `pareto`.
        finished: Whether its search is finished.
        generation: The latest generation that was submitted.
        generations: Number of generations of the search.
        evaluations: Number of candidates that are complete or failed.
        total: Number of candidates of the whole search.
        score_name: `best fitness` or `hypervolume`, by mode.
        best: That score; None before any candidate is finished.
        driver: `PID on HOST` of the driver; None while nobody drives it.
        seconds_ago: Seconds since its last result; None before the first one.
    """

    study: str
    mode: str
    finished: bool
    generation: int
    generations: int
    evaluations: int
    total: int
    score_name: str
    best: float | None
    driver: str | None
    seconds_ago: float | None

    def cells(self) -> tuple[str, ...]:
        """The row as text, under `HEADER`."""
        state = "finished" if self.finished else "none: not finished"
        return (
            self.study,
            self.mode,
            f"{self.generation} of {self.generations}",
            f"{self.evaluations} of {self.total}",
            "-" if self.best is None else f"{self.score_name} {self.best:.4f}",
            self.driver or state,
            "-" if self.seconds_ago is None else f"{duration(self.seconds_ago)} ago",
        )


def read_runs(storage: Storage) -> tuple[list[RunRow], dict[str, str]]:
    """The runs of a storage in the order of their beginnings, and those that cannot be read.

    Returns:
        The rows; and the fault of each run that this installation cannot read: whose network's
        package is missing, or whose rows are damaged.
    """
    rows, faults = [], {}
    for name in storage.studies.names():
        try:
            rows.append(_row(storage, name))
        except StorageAwayError:
            raise
        except (DefinitionError, StorageError) as error:
            faults[name] = str(error)
    return rows, faults


def _row(storage: Storage, name: str) -> RunRow:
    study = storage.studies.open(name)
    definition, mode = stored_definition(study.attributes["definition"]), study.attributes["mode"]
    trials = storage.trials.read(study)
    done = [t for t in trials if t.state in ("complete", "fail")]
    score_name, best = score_of(definition, mode, [t for t in done if t.state == "complete"])
    ended = max((t.ended for t in done if t.ended is not None), default=None)
    lease = storage.leases.read(study)
    driven = lease is not None and lease.is_recent and not has_exited(lease.host, lease.pid)
    ago = None
    if ended is not None:  # in UTC, without a zone
        ago = max((datetime.now(UTC).replace(tzinfo=None) - ended).total_seconds(), 0.0)
    return RunRow(
        study=name,
        mode=mode,
        finished=bool(study.attributes["finished"]),
        generation=max((t.generation or 0 for t in trials), default=0),
        generations=definition.search.generations,
        evaluations=len(done),
        total=definition.search.candidates + sum(t.generation == 0 for t in trials),
        score_name=score_name,
        best=best,
        driver=f"{lease.pid} on {lease.host.partition('/')[0]}" if lease and driven else None,
        seconds_ago=ago,
    )
