"""Tables of earlier versions, and Optuna's own, which another version may change."""

from __future__ import annotations

import re

import optuna
import pytest
import sqlalchemy
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from moo_bnas.errors import StorageError
from moo_bnas.evolution.space import SearchSpace
from moo_bnas.storage import Storage, upgrade
from moo_bnas.storage.schema import optunas_tables
from moo_bnas.storage.tables import SCHEMA_VERSION
from tests.storage.rows import make_study, submit, take

# What schema 1 did not have; an index that it had otherwise.
TO_SCHEMA_1 = (
    *(f"ALTER TABLE moo_bnas_trials DROP COLUMN {c}" for c in ("device_errors", "alone")),
    "CREATE INDEX moo_bnas_trials_open ON moo_bnas_trials (study_id, status)",
    "UPDATE moo_bnas_schema SET version = 1",
)


def _execute(url: str, *statements: str) -> None:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _tables(url: str) -> dict[str, object]:
    look = inspect(create_engine(url, poolclass=NullPool))
    return {
        name: (
            {column["name"] for column in look.get_columns(name)},
            {i["name"]: i["column_names"] for i in look.get_indexes(name)},
        )
        for name in look.get_table_names()
        if name.startswith("moo_bnas")
    }


def _downgrade(url: str) -> None:
    is_mysql = url.startswith("mysql")
    _execute(
        url,
        f"DROP INDEX moo_bnas_trials_open{' ON moo_bnas_trials' * is_mysql}",
        *TO_SCHEMA_1,
    )


def test_tables_of_an_earlier_version_are_upgraded_in_place(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = submit(storage, space, (0, 1), (1, 1))
    before, trials = _tables(storage_url), storage.trials.read(study)
    storage.rest()
    _downgrade(storage_url)
    assert _tables(storage_url) != before
    message = f"(schema 1, expected {SCHEMA_VERSION}); `moo-bnas storage upgrade` upgrades them"
    for create in (False, True):
        with pytest.raises(StorageError, match=re.escape(message)):
            Storage(storage_url, create=create)
    assert set(upgrade(storage_url)) == {
        *("moo_bnas_trials.device_errors", "moo_bnas_trials.alone"),
        "moo_bnas_trials index moo_bnas_trials_open",
    }
    assert _tables(storage_url) == before
    again = Storage(storage_url)
    assert again.trials.read(study) == trials
    claim = take(again, study)
    assert (claim.alone, claim.device_errors) == (False, 0)
    assert upgrade(storage_url) == []


def test_a_killed_upgrade_is_repeated(storage: Storage, storage_url: str) -> None:
    make_study(storage)
    before = _tables(storage_url)
    storage.rest()
    _downgrade(storage_url)
    _execute(storage_url, "ALTER TABLE moo_bnas_trials ADD COLUMN alone BOOLEAN")
    assert "moo_bnas_trials.alone" not in upgrade(storage_url)
    assert _tables(storage_url) == before


def test_nothing_is_upgraded_under_a_driver_or_a_worker(storage: Storage, storage_url: str) -> None:
    study = make_study(storage)
    _execute(storage_url, "UPDATE moo_bnas_schema SET version = 1")
    storage.workers.join(study, "w", "box", 7, "cpu", 60.0)
    with pytest.raises(StorageError, match=r"process 7 on box serves a run .*or wait \d+ s if it"):
        upgrade(storage_url)
    storage.workers.leave("w")
    storage.leases.take(study, "token", "box", 8, 60.0, None)
    with pytest.raises(StorageError, match="process 8 on box drives a run"):
        upgrade(storage_url)
    storage.leases.release(study, "token")
    assert upgrade(storage_url) == []
    Storage(storage_url)


def test_tables_of_a_later_version_are_left_alone(storage: Storage, storage_url: str) -> None:
    make_study(storage)
    _execute(storage_url, "UPDATE moo_bnas_schema SET version = 99")
    with pytest.raises(StorageError, match=r"schema 99, expected \d+\); use that version"):
        upgrade(storage_url)
    _execute(storage_url, "UPDATE moo_bnas_schema SET version = 1")
    _execute(storage_url, "UPDATE alembic_version SET version_num = 'v9.0.0.a'")
    with pytest.raises(StorageError, match="later version of Optuna"):
        upgrade(storage_url)


def test_optunas_tables_are_upgraded_too(storage: Storage, storage_url: str) -> None:
    study = make_study(storage)
    _execute(storage_url, "UPDATE alembic_version SET version_num = 'v3.0.0.d'")
    with pytest.raises(StorageError, match="`moo-bnas storage upgrade` does that upgrade, too"):
        Storage(storage_url)
    assert upgrade(storage_url) == ["Optuna's tables from v3.0.0.d to v3.2.0.a"]
    assert Storage(storage_url).studies.open("s") == study


def test_another_optuna_with_other_tables_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from optuna.storages._rdb import models

    tables = sqlalchemy.MetaData()
    sqlalchemy.Table("studies", tables, sqlalchemy.Column("study_id", sqlalchemy.Integer))
    monkeypatch.setattr(models.BaseModel, "metadata", tables)
    message = (
        f"Optuna {optuna.__version__} keeps its tables in another way than moo-bnas knows (its "
        "table studies lacks study_name); install a version that moo-bnas was made for: "
        "pip install 'optuna>="
    )
    with pytest.raises(StorageError, match=re.escape(message)):
        optunas_tables()
