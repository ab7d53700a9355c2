"""What somebody who can write to the database may put there: it is named, and does no harm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest

from moo_bnas.driver import upkeep
from tests.storage.hostile import (
    ACTIONS,
    NAME,
    SECRET,
    Action,
    Forged,
    delete,
    report,
    run,
    status,
    train,
    worker,
)

_KNOWN = hashlib.sha256(SECRET).hexdigest()
_CANARY = {"id": "../../canary", "sha256": _KNOWN}
HOSTILE: tuple[object, ...] = (
    "../../canary",
    "/etc/passwd",
    "s3://somebody-elses",
    "\x1b]0;title\x07\x1b[2J\nline",
    "__import__('os').system('touch ../outside')",
    "a" * 70_000,
    "",
    "running",
    None,
    True,
    -1,
    10**4000,
    1e308,
    [],
    ["x", "y"],
    [[[[[]]]]],
    {**_CANARY, "url": "/", "marker": _CANARY, "checkpoint": _CANARY, "progress": _CANARY},
)
_ATTRIBUTES = ("study_user_attributes", "study_system_attributes", "trial_user_attributes")
_VERSIONS = ("alembic_version", "version_info", "moo_bnas_schema")  # others are refused at once
_ITS_ID = f"SELECT study_id, ?, ? FROM studies WHERE study_name = '{NAME}'"  # noqa: S608 (a name of this test)
_DOES = (worker, run, train, delete)


@pytest.fixture(scope="module")
def forged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forged]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upkeep, "_SECONDS", 0.0)  # drivers look at once, and are stopped soon
        yield Forged(tmp_path_factory.mktemp("forged"))


def _columns(forged: Forged) -> list[tuple[str, str]]:
    """Every column of every table, but keys by which rows find each other."""
    tables = [t for (t,) in forged.query("SELECT name FROM sqlite_master WHERE type='table'")]
    return [
        (table, column[1])
        for table in tables
        if table not in _VERSIONS
        for column in forged.query(f"PRAGMA table_info({table})")
        if not column[5]
    ]


def _keys(forged: Forged) -> list[tuple[str, str]]:
    """Every attribute, by its table."""
    return [
        (table, key)
        for table in _ATTRIBUTES
        for (key,) in forged.query(f"SELECT DISTINCT key FROM {table} ORDER BY key")  # noqa: S608 (names of this test)
    ]


def _set_attribute(forged: Forged, table: str, key: str, value: object) -> bool:
    statement = f"UPDATE {table} SET value_json = ? WHERE key = ?"  # noqa: S608 (names of this test)
    return forged.forge(statement, json.dumps(value), key)


def _set_column(forged: Forged, table: str, column: str, value: object) -> bool:
    plain = json.dumps(value) if isinstance(value, (list, dict)) else value
    return forged.forge(f"UPDATE {table} SET {column} = ?", plain)  # noqa: S608 (names of this test)


def test_the_run_that_is_forged_is_one_that_every_command_works_on(forged: Forged) -> None:
    said = {}
    for action in ACTIONS:
        assert forged.forge("UPDATE studies SET study_name = study_name")
        said[action] = forged.use(action, action.__name__)
    assert said[status] is said[report] is said[worker] is said[delete] is None
    assert said[run] == ""  # stopped while it waits for workers
    assert "is not a safetensors file" in str(said[train])  # the fake worker's model is none


@pytest.mark.parametrize("action", _DOES)
def test_no_artifact_is_looked_for_outside_the_store(forged: Forged, action: Action) -> None:
    for table, key, value in (
        ("study_user_attributes", "artifacts", {"url": "/", "marker": _CANARY}),
        ("study_user_attributes", "training 1", {"checkpoint": _CANARY, "progress": _CANARY}),
        ("trial_user_attributes", "artifact", "../../canary"),
    ):
        assert _set_attribute(forged, table, key, value)
        forged.use(action, f"{action.__name__} with {key}")


def test_each_attribute_may_hold_something_else(forged: Forged) -> None:
    for i, (table, key) in enumerate(_keys(forged)):
        value, action = HOSTILE[i % len(HOSTILE)], ACTIONS[i % len(ACTIONS)]
        if _set_attribute(forged, table, key, value):
            forged.use(action, f"{action.__name__} with {table} {key} = {value!r:.60}")


@pytest.mark.parametrize(
    "prior",
    [
        *("x", None, 7, {"a": 1}, [[0, 1]], [[[], 50.0]], [[["a"] * 6, 50.0]], [[[0] * 7, 50.0]]),
        *([[[99] * 6, 50.0]], [[[-1] * 6, 50.0]], [[[10**400] * 6, 50.0]], [[[0.5] * 6, 50.0]]),
        *([[[0] * 6, "x"]], [[[0] * 6, float("nan")]], [[[0] * 6, 1e308]]),
    ],
    ids=lambda each: repr(each)[:30],
)
def test_what_another_run_found_may_be_something_else(forged: Forged, prior: object) -> None:
    insert = f"INSERT INTO study_user_attributes (study_id, key, value_json) {_ITS_ID}"
    assert forged.forge(insert, "prior", json.dumps(prior))
    said = forged.use(run, f"run with prior {prior!r:.60}")
    assert str(said).startswith("the attribute 'prior' of study 's' is damaged")


def test_the_end_of_claims_may_be_something_else(forged: Forged) -> None:
    insert = f"INSERT INTO study_user_attributes (study_id, key, value_json) {_ITS_ID}"
    wrong: tuple[object, ...] = ("soon", "", 7, [], "2020-01-01T00:00:00+05:00")
    for until in wrong:
        assert forged.forge(insert, "claims_until", json.dumps(until))
        said = forged.use(worker, f"worker with claims_until {until!r}")
        assert str(said).startswith(f"study 's' has {until!r} as its claims_until, which moo-bnas")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["attributes", "columns"])
def test_every_attribute_and_column_may_hold_anything(forged: Forged, kind: str) -> None:
    places, forge = (
        (_keys(forged), _set_attribute) if kind == "attributes" else (_columns(forged), _set_column)
    )
    used = 0
    for i, place in enumerate(places):
        for j, value in enumerate(HOSTILE):
            for action in (status, report, _DOES[(i + j) % len(_DOES)]):
                if forge(forged, *place, value):
                    forged.use(action, f"{action.__name__} with {place} = {value!r:.60}")
                    used += 1
    print(f"\n{used} forged runs, by {kind}")
    assert NAME in {name for (name,) in forged.query("SELECT study_name FROM studies")}
