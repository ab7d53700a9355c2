"""What somebody who can write to the database may put there: it is named, and does no harm."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from moo_bnas.cli import cli
from moo_bnas.definition import Definition
from moo_bnas.driver.run import open_run
from moo_bnas.errors import MooBnasError
from moo_bnas.storage import Storage
from tests.driving import search_driver
from tests.fakes import fake_worker

SECRET = "secret-of-the-machine"
HOSTILE: tuple[object, ...] = (
    "/etc/passwd",
    "../../outside",
    "file:///etc/passwd",
    "s3://somebody-elses",
    "\x1b]0;title\x07\x1b[2J\nline",
    "__import__('os').system('touch outside')",
    "a" * 70_000,
    "",
    None,
    True,
    -1,
    10**4000,
    1e308,
    [],
    {},
    [[[[[]]]]],
    {"id": "../outside", "sha256": "x", "url": "/", "marker": {"id": "../outside"}},
)
ATTRIBUTES = ("study_user_attributes", "study_system_attributes", "trial_user_attributes")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with a finished search."""
    folder = tmp_path_factory.mktemp("made")
    text = (Path(__file__).parents[1] / "conftest.py").read_text()
    (folder / "tiny.toml").write_text(text.split('TINY = """')[1].split('"""')[0])
    from moo_bnas.definition import load_definition

    tiny: Definition = load_definition(str(folder / "tiny.toml"))
    run = open_run(Storage(f"sqlite:///{folder}/s.db", create=True), "s", tiny, "pareto", 0)
    with fake_worker(run.storage.url, "s"):
        search_driver(run).drive()
    return folder


def _columns(path: Path) -> list[tuple[str, str]]:
    """Every column of text of every table, but keys by which rows find each other."""
    with sqlite3.connect(path) as database:
        tables = [
            t for (t,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        return [
            (table, column[1])
            for table in tables
            if table not in ("alembic_version", "version_info", "moo_bnas_schema")
            for column in database.execute(f"PRAGMA table_info({table})")
            if not column[5]
        ]


def _keys(path: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(path) as database:
        return [
            (table, key)
            for table in ATTRIBUTES
            for (key,) in database.execute(
                f"SELECT DISTINCT key FROM {table} ORDER BY key"  # noqa: S608 (names of this test)
            )
        ]


def _listing(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


def _read_everything(folder: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> list[str]:
    """What the commands say that read a storage; they change nothing outside `inside`."""
    inside = folder / "inside"
    monkeypatch.chdir(inside)
    before, said = _listing(folder), []
    for command in (["status"], ["report"]):
        result = CliRunner().invoke(
            cli, [*command, "--storage", f"sqlite:///{inside}/s.db"], catch_exceptions=True
        )
        error = result.exception
        fine = error is None or isinstance(error, (MooBnasError, SystemExit))
        assert fine, f"{what}: {command[0]}: {type(error).__name__}: {error}"
        if isinstance(error, MooBnasError):
            said.append(str(error))
            assert len(str(error)) < 2000
        assert SECRET not in result.output
    outside = {name for name in _listing(folder) - before if not name.startswith("inside")}
    assert not outside, what
    return said


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").write_text(SECRET)
    (tmp_path / "tiny.toml").write_bytes((made / "tiny.toml").read_bytes())
    return tmp_path


Forge = Callable[[sqlite3.Connection, object], None]


def _try(
    made: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, forge: Forge, what: str
) -> list[str]:
    said = []
    for value in HOSTILE:
        path = folder / "inside" / "s.db"
        path.write_bytes((made / "s.db").read_bytes())
        with sqlite3.connect(path) as database:
            try:
                forge(database, value)
            except (sqlite3.IntegrityError, sqlite3.InterfaceError, OverflowError):
                continue  # the database itself refuses it
        database.close()
        said += _read_everything(folder, monkeypatch, f"{what} = {value!r:.60}")
    assert (folder / "outside").read_text() == SECRET
    return said


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_attribute_may_hold_anything(
    made: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(made / "s.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for table, key in _keys(made / "s.db"):

        def forge(
            database: sqlite3.Connection, value: object, table: str = table, key: str = key
        ) -> None:
            text = json.dumps(value)
            database.execute(f"UPDATE {table} SET value_json = ? WHERE key = ?", (text, key))  # noqa: S608 (names of this test)

        _try(made, folder, monkeypatch, forge, f"{table} {key}")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_column_may_hold_anything(
    made: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(made / "s.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for table, column in _columns(made / "s.db"):

        def forge(
            database: sqlite3.Connection, value: object, table: str = table, column: str = column
        ) -> None:
            plain = json.dumps(value) if isinstance(value, (list, dict)) else value
            database.execute(f"UPDATE {table} SET {column} = ?", (plain,))  # noqa: S608 (names of this test)

        _try(made, folder, monkeypatch, forge, f"{table}.{column}")
