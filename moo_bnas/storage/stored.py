"""Checks what is read from a database before anything is made of it.

Whoever can write to the database may spoil results, but not more: a value that moo-bnas did not
write is named by study, trial and attribute, in one line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from moo_bnas.errors import StorageError

_LONGEST = 2**24  # characters of one attribute
_Count = Annotated[int, Field(ge=0, lt=2**31)]
_Seed = Annotated[int, Field(ge=0, lt=2**64)]
_Text = Annotated[str, Field(max_length=10_000)]
_Percent = Annotated[float, Field(ge=0, le=100)]
_Positive = Annotated[float, Field(ge=0, le=1e12)]
_Number = Annotated[float, Field(ge=-1e30, le=1e30)]
_Grace = Annotated[
    float, Field(ge=0, le=3600)
]  # six of the longest heartbeats: nobody waits longer

Value = TypeVar("Value")


class _Row(BaseModel):
    """Attributes or columns that moo-bnas reads; others may stand beside them."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class _OfStudy(_Row):
    definition: dict[str, Any] = {}
    mode: Literal["scalar", "pareto"] = "pareto"
    seed: _Seed = 0
    versions: dict[_Text, _Text] = {}
    finished: bool = False
    data_hash: _Text | None = None
    code: dict[_Text, int | _Text] = {}
    worker_versions: dict[_Text, list[_Text]] = {}


class _Copied(_Row):
    study: _Text
    trial: _Count


class _OfTrial(_Row):
    accuracy: _Percent = 0
    epochs: _Count = 0
    seed: _Seed = 0
    train_seconds: _Positive = 0
    images_per_second: _Positive = 0
    accuracy_per_epoch: list[_Percent] = []
    loss_per_epoch: list[_Number] = []
    top5: _Percent | None = None
    images: _Count | None = None
    artifact: _Text = ""
    weights_hash: _Text = ""
    fingerprint: _Text = ""
    worker: _Text = ""
    device: _Text = ""
    copied_from: _Copied | Annotated[str, Field(pattern=r"^.* trial \d{1,9}$")] = ""
    fitness: _Number = 0
    fail_reason: _Text = ""
    generation: _Count | None = None
    told: list[_Count] = []
    repeat: _Count = 0


class _OfWorker(_Row):
    worker: _Text
    host: _Text
    pid: Annotated[int, Field(ge=1, lt=2**31)]
    device: _Text
    grace: _Grace
    evaluations: _Count


class _OfLease(_Row):
    token: _Text
    host: _Text
    pid: Annotated[int, Field(ge=1, lt=2**31)]
    grace: _Grace


class _OfQueue(_Row):
    status: Literal["waiting", "running", "complete", "fail", "held"] = "waiting"
    genotype: Annotated[str, Field(pattern=r"^\d{1,4}(,\d{1,4})*(#\d{1,9})?$", max_length=255)]
    precision: Literal["binary", "full"]
    cost: _Number = 0
    alone: bool = False
    device_errors: _Count = 0


class _OfClaim(_Row):
    token: _Text
    worker: _Text
    heartbeat: datetime
    losses: _Count


class Stored(dict[str, Any]):
    """Values that were read, by name; one that is missing is an error that says where."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._where = where

    def __missing__(self, name: str) -> Any:
        raise damaged(self._where, name, "nothing")


def parsed(text: Any, where: str, name: str) -> Any:
    """The value of an attribute, from its JSON.

    Raises:
        StorageError: If it is no JSON, or too long.
    """
    try:
        if len(text) > _LONGEST:
            raise damaged(where, name, f"{len(text):,} characters")
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(where, name, f"{text!r:.60}") from error


def of_study(where: str, values: Mapping[str, Any]) -> Stored:
    """The attributes of a study, checked."""
    _check(_OfStudy, where, values)
    return Stored(where, values)


def of_trial(where: str, values: Mapping[str, Any]) -> Stored:
    """The attributes of a trial or of an evaluation, checked."""
    _check(_OfTrial, where, values)
    return Stored(where, values)


def check_worker(where: str, row: Mapping[str, Any]) -> None:
    """Checks a row of the table of workers."""
    _check(_OfWorker, where, row)


def check_lease(where: str, row: Mapping[str, Any]) -> None:
    """Checks a row of the table of drivers."""
    _check(_OfLease, where, row)


def check_queue(where: str, row: Mapping[str, Any]) -> None:
    """Checks a row of the queue, or those of its columns that were read."""
    _check(_OfQueue, where, row)


def check_claim(where: str, row: Mapping[str, Any]) -> None:
    """Checks the columns of the queue that a running trial has beside others."""
    _check(_OfClaim, where, row)


def as_object(value: Any, where: str) -> dict[str, Any]:
    """A JSON object, checked to be one."""
    if not isinstance(value, dict):
        raise damaged(where, "result", f"{value!r:.60}")
    return value


def names(where: str, value: Any) -> tuple[str, ...]:
    """A list of one name or more, checked."""
    try:
        kind = TypeAdapter(Annotated[list[_Text], Field(min_length=1)])
        return tuple(kind.validate_python(value, strict=True))
    except ValidationError as error:
        raise damaged(where, "metric names", f"{value!r:.60}") from error


def damaged(where: str, name: str, got: str) -> StorageError:
    """The error for a value that moo-bnas did not write."""
    return StorageError(
        f"{where} has {got} as its {name}, which moo-bnas did not write: the row is damaged or "
        "forged; restore the storage from a copy, or delete that study"
    )


def _check(kind: type[_Row], where: str, values: Mapping[str, Any]) -> None:
    try:
        kind.model_validate(values)
    except ValidationError as error:
        name = error.errors()[0]["loc"][0]
        raise damaged(where, str(name), f"{values.get(str(name), 'nothing')!r:.60}") from error
