"""What goes into a storage and comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from moo_bnas.errors import StorageError
from moo_bnas.evaluation import ATTRIBUTES, Evaluation, Precision
from moo_bnas.evolution.space import Genotype

MAX_LOSSES = 10
MAX_DEVICE_ERRORS = 3
HEARTBEAT = 10.0  # seconds between two signs of life of a worker or driver, unless told otherwise
_MISSED_HEARTBEATS = 6  # after which it counts as lost

SCALAR_METRICS = ("fitness",)
PARETO_METRICS = ("accuracy", "flops")

TRAINING = "training"
"""Attribute of a study that tells of its long training: progress and checkpoint."""

RESULTS = ATTRIBUTES | {"fitness", "fail_reason"}
"""Attributes that a trial gets when it ends; all others it was submitted with."""

_SUBMITTED = frozenset({"genotype", "precision", "generation"})  # and costs, by their names

_SIBLINGS = _BASELINES, _PARENT, _FINAL = ".baselines", ".parent", ".final"


@dataclass(frozen=True)
class Study:
    """One Optuna study. `attributes` are as they were when it was opened."""

    id: int
    name: str
    metrics: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Candidate:
    """What the driver submits.

    Attributes:
        genotype: Genotype of the network.
        precision: Precision of the network.
        costs: Costs of the network by name, such as `flops`; each becomes an attribute.
        generation: Generation of the search that proposed it; None outside a search.
        ordered_by: Name of the cost that orders the queue: of the waiting trials the most
            expensive one is claimed first.

    Raises:
        ValueError: If a cost has the name of another attribute of trials.
    """

    genotype: Genotype
    precision: Precision
    costs: Mapping[str, float]
    generation: int | None = None
    ordered_by: str = "flops"

    def __post_init__(self) -> None:
        if taken := self.costs.keys() & (RESULTS | _SUBMITTED):
            raise ValueError(
                f"got costs called {', '.join(sorted(taken))}, which are names of other attributes "
                "of trials; give the costs other names"
            )

    @property
    def cost(self) -> float:
        """The cost that orders the queue."""
        return self.costs[self.ordered_by]

    def to_attributes(self) -> dict[str, object]:
        """The attributes that its trial is submitted with; values are JSON."""
        generation = {} if self.generation is None else {"generation": self.generation}
        return {
            "genotype": list(self.genotype),
            "precision": self.precision,
            **self.costs,
            **generation,
        }


@dataclass(frozen=True)
class Claim:
    """A trial that this worker, and no other, may finish.

    Attributes:
        trial_id: Optuna's id.
        number: The trial's number in its study.
        study: Its study.
        genotype: Of the network to train.
        precision: Of the network to train.
        cost: FLOPs, as the driver counted them.
        token: Proves the claim.
        alone: Whether it must have the device for itself: it ran out of memory before.
        device_errors: How often a device failed under it before.
        known: The evaluation, if the storage already has it.
    """

    trial_id: int
    number: int
    study: Study
    genotype: Genotype
    precision: Precision
    cost: float
    token: str
    alone: bool
    device_errors: int
    known: Evaluation | None


@dataclass(frozen=True)
class Trial:
    """One trial as stored.

    Attributes:
        number: Number of the trial in its study.
        state: waiting, running, complete, fail, or held (see `Trials.hold_back`).
        genotype: Genotype of the network.
        precision: Precision of the network.
        costs: Costs of the network by name, as submitted.
        generation: Generation of the search that proposed the network; None outside a search.
        evaluation: What came of the trial; None until it is complete.
        fitness: Fitness (Eq. 4) in this study; 0, its least value, until the trial is complete.
        failure: Why the trial failed; None unless it has.
        started: When the trial was claimed, the last time; None while it waits. UTC, without a
            zone.
        ended: When the trial was finished, or failed; None before.
    """

    number: int
    state: str
    genotype: Genotype
    precision: Precision
    costs: Mapping[str, float]
    generation: int | None = None
    evaluation: Evaluation | None = None
    fitness: float = 0.0
    failure: str | None = None
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def result(self) -> Evaluation:
        """The evaluation of a trial that is complete.

        Raises:
            StorageError: If it is not.
        """
        if self.evaluation is None:
            raise StorageError(
                f"trial {self.number} has no evaluation, its state is {self.state!r}; wait until "
                "it is complete"
            )
        return self.evaluation


def trial_of(
    number: int,
    state: str,
    genotype: Genotype,
    precision: Precision,
    attributes: Mapping[str, Any],
    started: datetime | None,
    ended: datetime | None,
) -> Trial:
    """A trial, from columns of its rows and all of its attributes."""
    return Trial(
        number=number,
        state=state,
        genotype=genotype,
        precision=precision,
        costs={
            name: value
            for name, value in attributes.items()
            if name not in RESULTS and name not in _SUBMITTED and isinstance(value, (int, float))
        },
        generation=attributes.get("generation"),
        evaluation=Evaluation.from_attributes(attributes),
        fitness=attributes.get("fitness", 0.0),
        failure=attributes.get("fail_reason"),
        started=started,
        ended=ended,
    )


class RunState(Enum):
    """What a worker finds when it looks at a run."""

    WAITING = "trials of the studies that it serves wait"
    FINAL = "nothing waits but final trainings"
    IDLE = "nothing waits, and a driver may submit more"
    FINISHED = "nothing waits, and all drivers have ended"
    GONE = "the study was deleted"


@dataclass(frozen=True)
class WorkerRow:
    """A worker that joined a study.

    Attributes:
        worker: Its name.
        host: Of its process, see `processes.here`.
        pid: Of its process.
        device: What it trains on.
        evaluations: How many it finished.
        grace: Seconds of silence after which it counts as lost; 0 once it has left.
        idle_seconds: Since it was last heard of.
    """

    worker: str
    host: str
    pid: int
    device: str
    evaluations: int
    grace: float
    idle_seconds: float

    @property
    def is_recent(self) -> bool:
        """Whether it was heard of within its grace."""
        return self.idle_seconds < self.grace

    @property
    def has_left(self) -> bool:
        """Whether it said that it leaves."""
        return self.grace == 0


@dataclass(frozen=True)
class LeaseRow:
    """Who drives a study.

    Attributes:
        token: Of the holder.
        host: Of its process, see `processes.here`.
        pid: Of its process.
        grace: Seconds of silence after which the lease runs out.
        last_seen: When it was last heard of, by the clock of the database.
        held_seconds: Since it took the lease.
        idle_seconds: Since it was last heard of.
    """

    token: str
    host: str
    pid: int
    grace: float
    last_seen: datetime
    held_seconds: float
    idle_seconds: float

    @property
    def is_recent(self) -> bool:
        """Whether its holder was heard of within its grace."""
        return self.idle_seconds < self.grace


def grace_of(heartbeat: float) -> float:
    """Seconds of silence after which somebody counts as lost, by the seconds between heartbeats."""
    return _MISSED_HEARTBEATS * heartbeat


def baselines_of(study_name: str) -> str:
    """The name of the sibling study that holds a run's uniform and full-precision networks."""
    return study_name + _BASELINES


def parent_of(study_name: str) -> str:
    """The name of the sibling study whose one trial trains a run's parent."""
    return study_name + _PARENT


def final_of(study_name: str) -> str:
    """The name of the sibling study that holds a run's finally trained networks."""
    return study_name + _FINAL


def training_of(number: int) -> str:
    """The attribute that tells of the long training of one of a study's trials."""
    return f"{TRAINING} {number}"


def run_of(study_name: str) -> str:
    """The name of the run that a study belongs to: its own, or without its end as a sibling."""
    for end in _SIBLINGS:
        study_name = study_name.removesuffix(end)
    return study_name


def study_gone(study_name: str) -> StorageError:
    """What to raise where a study was deleted while it was in use."""
    return StorageError(
        f"study {study_name!r} is gone; was it deleted while it ran? The `moo-bnas run` that made "
        "it begins it anew"
    )


def is_sibling(study_name: str) -> bool:
    """Whether a study holds something else than the search trials of a run."""
    return run_of(study_name) != study_name
