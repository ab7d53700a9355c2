"""What goes into a storage and comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moo_bnas.errors import StorageError
from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import Genotype

MAX_LOSSES = 10
MAX_DEVICE_ERRORS = 3
HEARTBEAT = 10.0  # seconds between two signs of life of a worker or driver, unless told otherwise
_MISSED_HEARTBEATS = 6  # after which it counts as lost

SCALAR_METRICS = ("fitness",)
PARETO_METRICS = ("accuracy", "flops")

TRAINING = "training"
"""Attribute of a study that tells of its long training: progress and checkpoint."""

SUBMITTED = ("genotype", "precision", "flops", "memory_bits", "generation")
"""User attributes that a trial has before it is evaluated."""

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
        genotype: Of the network.
        precision: `binary`, or `full` for the twin.
        cost: FLOPs; the dearest of the waiting is claimed first.
        attributes: User attributes that are known before the training.
    """

    genotype: Genotype
    precision: Precision
    cost: float
    attributes: Mapping[str, Any]


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
        known: Attributes of the same evaluation, where the storage already has it.
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
    known: Mapping[str, Any] | None


@dataclass(frozen=True)
class Trial:
    """One trial as stored.

    Attributes:
        number: In its study.
        state: waiting, running, complete, fail, or held (see `Trials.hold_back`).
        genotype: Of the network.
        precision: Of the network.
        attributes: User attributes.
        started: When it was claimed, the last time; None while it waits. UTC, without a zone.
        ended: When it was finished, or failed; None before.
    """

    number: int
    state: str
    genotype: Genotype
    precision: Precision
    attributes: Mapping[str, Any]
    started: datetime | None
    ended: datetime | None


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
