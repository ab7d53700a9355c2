"""Records that go into a storage and come out of it, and the names of studies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from moo_bnas.errors import StorageError
from moo_bnas.evaluation import ATTRIBUTES, Evaluation, Precision
from moo_bnas.evolution.space import Genotype, genotype_key, parse_genotype_key
from moo_bnas.storage.stored import Stored

MAX_LOSSES = 10
MAX_DEVICE_ERRORS = 3
HEARTBEAT = 10.0  # seconds between two heartbeats of a worker or driver, by default
_MISSED_HEARTBEATS = 6  # after which it counts as lost

SCALAR_METRICS = ("fitness",)


RESULTS = ATTRIBUTES | {"fitness", "fail_reason"}
"""Attributes that a trial gets when it ends; all others it was submitted with."""

CLAIMS_UNTIL = "claims_until"
"""Attribute of a study that says when its last claim may begin, by the clock of the database."""

CODE = "code"
"""Attribute of a study: what its first worker evaluates, see `Definition.code`."""

WORKER_VERSIONS = "worker_versions"
"""Attribute of a study: every version of each package that its workers have had."""

# What a trial is submitted with, beside costs by their names.
_SUBMITTED = frozenset({"genotype", "precision", "generation", "told", "repeat"})


def pareto_metrics(cost: str) -> tuple[str, str]:
    """Metrics of a study that weighs accuracy against a cost of this name.

    Accuracy and fitness are maximised, and every cost is minimised.
    """
    return "accuracy", cost


@dataclass(frozen=True)
class Study:
    """One Optuna study.

    Attributes:
        id: Optuna's id of the study.
        name: Name of the study.
        metrics: Names of the values of its trials.
        attributes: User attributes of the study, as they were when it was opened.
    """

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
        told: Numbers of the trials whose results the search learned between the proposal before
            and this one, in that order; None where generations are proposed as a whole.
        ordered_by: Name of the cost that orders the queue: of the waiting trials the most
            expensive one is claimed first.
        repeat: 0 for the first training run of a network; 1, 2, ... for repeats of it with other
            initial weights and another order of images.

    Raises:
        ValueError: If a cost has the name of another attribute of trials.
    """

    genotype: Genotype
    precision: Precision
    costs: Mapping[str, float]
    generation: int | None = None
    ordered_by: str = "flops"
    told: tuple[int, ...] | None = None
    repeat: int = 0

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

    @property
    def key(self) -> str:
        """What the queue knows it by, with its precision; see `run_key`."""
        return run_key(self.genotype, self.repeat)

    def to_attributes(self) -> dict[str, object]:
        """The attributes that its trial is submitted with; values are JSON."""
        generation = {} if self.generation is None else {"generation": self.generation}
        told = {} if self.told is None else {"told": list(self.told)}
        repeat = {"repeat": self.repeat} if self.repeat else {}
        return {
            "genotype": list(self.genotype),
            "precision": self.precision,
            **self.costs,
            **generation,
            **told,
            **repeat,
        }


@dataclass(frozen=True)
class Claim:
    """A trial that this worker, and no other, may finish.

    Attributes:
        trial_id: Optuna's id of the trial.
        number: Number of the trial in its study.
        study: Study of the trial.
        genotype: Genotype of the network to train.
        precision: Precision of the network to train.
        cost: The cost that orders the queue, as the driver counted it.
        token: Proves that this worker holds the claim.
        alone: Whether the trial must have the device for itself: it ran out of memory before.
        device_errors: How often a device failed under the trial before.
        known: The evaluation, if the storage already has it.
        repeat: Which repeat of the training run it is; 0: none.
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
    repeat: int = 0


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
        told: Results that the search learned right before it proposed the network; see `Candidate`.
        evaluation: What came of the trial; None until it is complete.
        fitness: Fitness (Eq. 4) in this study; 0, its least value, until the trial is complete.
        failure: Why the trial failed; None unless it has.
        started: When the trial was claimed, the last time; None while it waits. UTC, without a
            zone.
        ended: When the trial was finished, or failed; None before.
        repeat: Which repeat of the training run it is; 0: none.
    """

    number: int
    state: str
    genotype: Genotype
    precision: Precision
    costs: Mapping[str, float]
    generation: int | None = None
    told: tuple[int, ...] = ()
    evaluation: Evaluation | None = None
    fitness: float = 0.0
    failure: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    repeat: int = 0

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
        costs=Stored(
            f"trial {number}",
            {
                name: value
                for name, value in attributes.items()
                if name not in RESULTS | _SUBMITTED and _is_cost(value)
            },
        ),
        generation=attributes.get("generation"),
        told=tuple(attributes.get("told", ())),
        evaluation=Evaluation.from_attributes(attributes),
        fitness=attributes.get("fitness", 0.0),
        failure=attributes.get("fail_reason"),
        started=started,
        ended=ended,
        repeat=attributes.get("repeat", 0),
    )


def _is_cost(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < 1e30


def run_key(genotype: Genotype, repeat: int) -> str:
    """The text that the tables know one training run of a genotype by: `0,5,2`, or `0,5,2#1`."""
    return genotype_key(genotype) + (f"#{repeat}" if repeat else "")


def parse_run_key(key: str) -> tuple[Genotype, int]:
    """The genotype and the repeat of a text that `run_key` made."""
    genotype, _, repeat = key.partition("#")
    return parse_genotype_key(genotype), int(repeat or 0)


class RunState(Enum):
    """What a worker finds when it looks at a run."""

    WAITING = "trials of the studies that it serves wait"
    CONFIRM = "of the search, nothing waits but repeats that confirm it"
    FINAL = "nothing waits but final trainings"
    IDLE = "nothing waits, and a driver may submit more"
    FINISHED = "nothing waits, and all drivers have ended"
    GONE = "the study was deleted"


@dataclass(frozen=True)
class WorkerRow:
    """A worker that joined a study.

    Attributes:
        worker: Name of the worker.
        host: Host of its process, see `processes.here`.
        pid: Process id of its process.
        device: Hardware that it trains on.
        evaluations: Number of evaluations that it finished.
        grace: Seconds of silence after which it counts as lost; 0 once it has left.
        idle_seconds: Seconds since its last heartbeat.
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
        """Whether its last heartbeat is younger than its grace."""
        return self.idle_seconds < self.grace

    @property
    def has_left(self) -> bool:
        """Whether it left the run by itself."""
        return self.grace == 0


@dataclass(frozen=True)
class LeaseRow:
    """The lease of the driver that drives a study.

    Attributes:
        token: Proves that the driver holds the lease.
        host: Host of the driver's process, see `processes.here`.
        pid: Process id of the driver.
        grace: Seconds of silence after which the lease runs out.
        last_seen: When the driver renewed the lease last, by the clock of the database.
        held_seconds: Seconds since it took the lease.
        idle_seconds: Seconds since it renewed the lease last.
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
        """Whether its last renewal is younger than its grace."""
        return self.idle_seconds < self.grace


def grace_of(heartbeat: float) -> float:
    """Seconds of silence after which a process that sends heartbeats so often counts as lost."""
    return _MISSED_HEARTBEATS * heartbeat


def study_gone(study_name: str) -> StorageError:
    """The error for a study that was deleted while it was in use."""
    return StorageError(
        f"study {study_name!r} does not exist any more; was it deleted while it ran? Give the same "
        "`moo-bnas run` again to begin it from scratch"
    )
