"""Storages that are opened or made."""

from __future__ import annotations

import re
from pathlib import Path

import optuna
import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from moo_bnas.errors import StorageError
from moo_bnas.storage import Storage, engine
from tests.storage.rows import make_study


def test_a_storage_is_not_made_by_looking_into_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no file .*none.db .*; begin a run with"):
        Storage(f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_database_without_a_run_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    optuna.create_study(storage=url)
    with pytest.raises(StorageError, match="holds no run of moo-bnas"):
        Storage(url)
    assert make_study(Storage(url, create=True)).name == "s"


@pytest.mark.parametrize(
    "tables",
    [
        ["studies (a INTEGER)"],
        ["alembic_version (version_num VARCHAR(32) PRIMARY KEY)"],
        ["moo_bnas_trials (trial_id INTEGER)", "other (a INTEGER)"],
    ],
)
def test_a_database_with_another_programs_tables_is_left_as_it_is(
    storage_url: str, tables: list[str]
) -> None:
    engine = create_engine(storage_url, poolclass=NullPool)
    with engine.begin() as connection:
        for table in tables:
            connection.execute(text(f"CREATE TABLE {table}"))
    path = Path(engine.url.database or "")
    before = path.read_bytes() if path.is_file() else b""
    name = tables[0].partition(" ")[0]
    message = rf"holds another program's tables \({name}\); give another --storage"
    with pytest.raises(StorageError, match=message):
        Storage(storage_url, create=True)
    assert sorted(inspect(engine).get_table_names()) == sorted(t.split()[0] for t in tables)
    assert before == (path.read_bytes() if path.is_file() else b"")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE alembic_version SET version_num = 'v2.4.0.a'", "optuna storage upgrade"),
        ("UPDATE alembic_version SET version_num = 'v9.0.0.a'", "pip install -U optuna"),
        ("UPDATE moo_bnas_schema SET version = 99", "(schema 99, expected 2); use that version"),
        ("DROP TABLE moo_bnas_schema", "(schema unknown, expected 2); use that version"),
    ],
)
def test_tables_of_another_version_are_told(
    storage: Storage, storage_url: str, change: str, message: str
) -> None:
    make_study(storage)
    with create_engine(storage_url, poolclass=NullPool).begin() as connection:
        connection.execute(text(change))
    with pytest.raises(StorageError, match=re.escape(message)):
        Storage(storage_url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "expected a database URL such as sqlite:///moo-bnas.db"),
        ("sqlite://", "exists in one process only"),
        ("sqlite:///{tmp}/no/such/folder/x.db", "does not exist; create it first"),
        ("sqlite:///{tmp}", "unable to open database file; give a file, not a folder"),
        ("sqlite:///{tmp}/text", "file is not a database; give another file"),
        (f"sqlite:///{'x' * 5000}/x.db", "does not exist; create it first"),
        (f"postgresql://user:secret@{'x' * 64}.org/db", "correct the host in the URL"),
        ("postgresql://user:secret@a..b/db", "whose host can be no name of a machine; correct"),
        ("postgres://user:secret@host/db", "got a storage of kind postgres://; write postgresql:"),
        ("postgresql://user:secret@no-such-host.invalid/db", "correct the host in the URL"),
        ("mysql://user:secret@no-such-host.invalid/db", "correct the host in the URL"),
        ("postgresql://user:secret@127.0.0.1:9/db", "refused.*; check that the server runs, and"),
        ("postgresql://user:secret@localhost:9/db", "refused.*; check that the server runs, and"),
        ("mysql://user:secret@127.0.0.1:9/db", "refused.*; check that the server runs, and"),
        ("oracle+nothing://user:secret@host/db", "of kind oracle.nothing, expected sqlite, "),
        ("postgresql+pg8000://user:secret@host/db", "expected sqlite, postgresql.psycopg or"),
    ],
)
def test_a_storage_that_cannot_be_opened_says_why(tmp_path: Path, url: str, message: str) -> None:
    (tmp_path / "text").write_text("This is no database, whatever else it may be. " * 20)
    with pytest.raises(StorageError, match=message) as caught:
        Storage(url.format(tmp=tmp_path), create=True)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("length", [5000, 253])  # of the second, only the log is too long
def test_a_file_whose_name_is_too_long_is_said(
    length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{'x' * length}"
    with pytest.raises(StorageError, match="there is no file x"):
        Storage(url)
    with pytest.raises(StorageError, match="unable to open database file"):
        Storage(url, create=True).studies.ensure("s", ("fitness",), {})


_ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


@pytest.mark.timeout(60)
def test_a_file_whose_triggers_never_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "STATEMENT_TIMEOUT", 0.2)
    monkeypatch.setattr(engine, "_STEPS", 10**5)
    url = f"sqlite:///{tmp_path}/s.db"
    study = make_study(Storage(url, create=True))
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER endless AFTER INSERT ON study_user_attributes BEGIN "
            f"INSERT INTO study_user_attributes (key) {_ENDLESS}; END"
        )
    with pytest.raises(StorageError, match="interrupted; a statement took too long, perhaps"):
        Storage(url).studies.set_attributes(study, {"finished": True})
    assert Storage(url).studies.open("s").attributes["finished"] is False


@pytest.mark.timeout(60)
def test_a_file_with_a_view_in_place_of_a_table_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    make_study(Storage(url, create=True))
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql("DROP TABLE version_info")
        connection.exec_driver_sql(f"CREATE VIEW version_info AS {_ENDLESS}")
    for create in (True, False):
        with pytest.raises(StorageError, match=r"views in place of tables \(version_info\)"):
            Storage(url, create=create)
