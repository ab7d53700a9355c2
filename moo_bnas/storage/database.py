"""The database under a storage: its transactions, and its errors and outages.

This package alone reads and writes the rows of Optuna's tables and of its own.
"""

from __future__ import annotations

import functools
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import optuna
import optuna.storages._rdb.models as optuna_models
from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    create_engine,
    exists,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from moo_bnas.errors import StorageAwayError, StorageBusyError, StorageError
from moo_bnas.passwords import hide_password, is_escaped
from moo_bnas.storage.engine import (
    check_driver,
    connect_args,
    extra_of,
    is_away,
    is_busy,
    is_sqlite,
    make_engine,
    remedy,
    with_driver,
)
from moo_bnas.storage.records import study_gone
from moo_bnas.storage.tables import SCHEMA_VERSION, metadata, queue, schema
from moo_bnas.units import duration

MAX_OUTAGE = 3600.0  # seconds that a server may be away before a process gives up
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds between two tries to reach it
_SECOND_WORD = 5.0  # seconds of an outage after which it is logged again, then at twice the time
_CREATION_TRIES = 10

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")


def waiting_out(
    operation: Callable[Parameters, Result],
) -> Callable[Parameters, Result]:
    """Repeats an operation while the server is away, with growing pauses, up to `MAX_OUTAGE`.

    The operation must be safe to repeat, also where it was committed and only the
    acknowledgement was lost.
    """
    return _patient(operation, StorageAwayError)


def waiting_for_room(
    operation: Callable[Parameters, Result],
) -> Callable[Parameters, Result]:
    """Repeats an operation while the server is there and only asks to try again."""
    return _patient(operation, StorageBusyError)


def _patient(
    operation: Callable[Parameters, Result], reason: type[StorageAwayError]
) -> Callable[Parameters, Result]:
    @functools.wraps(operation)
    def patient(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        since, pause = time.monotonic(), _FIRST_PAUSE
        told, next_word = False, 0.0
        while True:
            try:
                result = operation(*args, **kwargs)
            except reason as error:
                away = time.monotonic() - since
                if away + pause > MAX_OUTAGE:
                    raise
                # Of two transactions in each other's way one goes on at once: no word of that.
                silent = _LONGEST_PAUSE if isinstance(error, StorageBusyError) else 0.0
                if away >= max(silent, next_word):
                    log.warning("%s; trying again, for %s so far", error, duration(away))
                    told, next_word = True, max(2 * away, _SECOND_WORD)
                time.sleep(pause * random.uniform(0.1, 1.0))  # noqa: S311 (no secret)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            if told:
                log.warning("the storage is back after %s", duration(time.monotonic() - since))
            return result

    return patient


def age(now: datetime, then: datetime) -> float:
    """Seconds between two times that the database told."""
    return (now - then) / timedelta(seconds=1)


class Database:
    """One database, opened; the threads of a process take turns at one connection.

    Args:
        url: SQLAlchemy URL.
        create: Make file and tables where they are missing.

    Attributes:
        url: With its driver.
        shown_url: Without its password.

    Raises:
        StorageError: Where it cannot be opened, or holds no run and `create` is not set.
    """

    @waiting_for_room
    def __init__(self, url: str, *, create: bool) -> None:
        self._turn = threading.RLock()
        self.shown_url = hide_password(url)
        self.url = self._parse(url)
        self.is_sqlite = is_sqlite(self.url)
        if self.is_sqlite:
            self._check_file(self.url.database, create)
        with self.errors():
            self.engine = make_engine(self.url)
            self._check_tables(create)
            self.optuna_storage = self._create() if create else self._open()
            self._check_schema()
        optuna_tables = optuna_models.BaseModel.metadata.tables
        self.trials: Table = optuna_tables["trials"]
        self.trial_params: Table = optuna_tables["trial_params"]
        self.trial_values: Table = optuna_tables["trial_values"]
        self.trial_attributes: Table = optuna_tables["trial_user_attributes"]
        self.studies: Table = optuna_tables["studies"]
        self.study_attributes: Table = optuna_tables["study_user_attributes"]
        self.study_system_attributes: Table = optuna_tables["study_system_attributes"]

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; on SQLite it holds the write lock from its beginning."""
        with self._turn, self.errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and waits for no writer.

        On SQLite it sees one snapshot; on servers each statement sees what is committed by then.
        """
        engine = self.engine.execution_options(moo_bnas_reads=True)
        with self._turn, self.errors(), engine.begin() as connection:
            yield connection

    def rest(self) -> None:
        """Closes the connection; one to a file costs nobody anything, and stays."""
        if not self.is_sqlite:
            with self._turn:
                self.engine.dispose()

    @property
    def owned(self) -> ColumnElement[bool]:
        """Of a row of the queue: that its trial is still there, in a study of moo-bnas.

        Studies may be deleted with Optuna, and SQLite gives their ids to others.
        """
        trials, attributes = self.trials, self.study_attributes
        return exists().where(
            trials.c.trial_id == queue.c.trial_id,
            trials.c.study_id == queue.c.study_id,
            attributes.c.study_id == trials.c.study_id,
            attributes.c.key == "definition",
        )

    def lock_study(self, connection: Connection, study_id: int, name: str) -> None:
        """Makes writers of one study's rows take turns, where they run side by side.

        Raises:
            StorageError: Where the study was deleted. SQLite gives its id to others.
        """
        studies = self.studies
        found = connection.scalar(
            select(studies.c.study_name).where(studies.c.study_id == study_id).with_for_update()
        )
        if found != name:
            raise study_gone(name)

    def add_attributes(
        self, connection: Connection, trial_id: int, attributes: Mapping[str, Any]
    ) -> None:
        """Adds user attributes to a trial that has none of these names."""
        connection.execute(
            insert(self.trial_attributes),
            [
                {"trial_id": trial_id, "key": k, "value_json": json.dumps(v)}
                for k, v in attributes.items()
            ],
        )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns what goes wrong in the block into a `StorageError` without the password."""
        try:
            yield
        except ImportError as error:
            raise StorageError(
                f"the storage {self.shown_url} needs the Python package {error.name}, which is not "
                f"installed; pip install '{extra_of(error.name or '')}'"
            ) from error
        except (SQLAlchemyError, optuna.exceptions.OptunaError) as error:
            # Optuna wraps the errors of SQLAlchemy, which wrap those of the driver.
            cause = error if isinstance(error, SQLAlchemyError) else error.__cause__ or error
            lines = str(getattr(cause, "orig", None) or cause).splitlines()
            # Where a host has several addresses, psycopg tells the failure at each after a title.
            reason = lines[-1].lstrip("- ") if lines[0].endswith("were:") else lines[0]
            kind = StorageError
            # SQLite has waited for its lock already; of servers these mean a lost connection.
            if not self.is_sqlite and isinstance(cause, Exception) and is_away(cause):
                kind = StorageBusyError if is_busy(cause) else StorageAwayError
            raise kind(
                f"the storage {self.shown_url} answered: {reason}; {remedy(reason)}"
            ) from error

    def _create(self) -> optuna.storages.RDBStorage:
        """Makes the tables, also while other processes make the same ones."""
        for left in reversed(range(_CREATION_TRIES)):
            try:
                storage = self._open(skip_table_creation=False)
                metadata.create_all(self.engine)
                with self.engine.begin() as connection:
                    if connection.execute(select(schema)).first() is None:
                        connection.execute(insert(schema).values(version=SCHEMA_VERSION))
                return storage
            except (SQLAlchemyError, optuna.exceptions.OptunaError):
                if not left:
                    raise
                time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 (no secret)
        raise AssertionError("unreachable")

    def _open(self, skip_table_creation: bool = True) -> optuna.storages.RDBStorage:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Optuna makes studies and their tables, nothing more: it need not keep a connection.
        kwargs = {"poolclass": NullPool, "connect_args": connect_args(self.url)}
        try:
            return optuna.storages.RDBStorage(
                self.url.render_as_string(hide_password=False),
                engine_kwargs=kwargs,
                skip_table_creation=skip_table_creation,
            )
        except RuntimeError as error:  # what it raises for tables of another version
            if "table schema" not in str(error):
                raise
            raise StorageError(
                f"the tables of {self.shown_url} are of another version of Optuna: {error}"
            ) from error

    def _check_tables(self, create: bool) -> None:
        """Looks without writing; that turns on no WAL in a file of another program either."""
        # Closed after: Optuna connects for itself; where hundreds start at once, one is enough.
        engine = create_engine(self.url, poolclass=NullPool, connect_args=connect_args(self.url))
        with engine.connect() as connection:
            look = inspect(connection)
            if not create:
                if not look.has_table(queue.name):
                    raise self._no_run()
                return
            ours = {**optuna_models.BaseModel.metadata.tables, **metadata.tables}
            there = set(look.get_table_names())
            foreign = [
                name
                for name in sorted(there & set(ours))
                if not {c.name for c in ours[name].c} <= {c["name"] for c in look.get_columns(name)}
            ]
        # Optuna's version_info tells of tables that another version of it made.
        is_optunas = "version_info" in there - set(foreign)
        if not is_optunas and "alembic_version" in there:  # Optuna makes it last
            foreign.append("alembic_version")
        if foreign and not is_optunas:
            raise StorageError(
                f"the storage {self.shown_url} holds another program's tables "
                f"({', '.join(foreign)}); give another --storage"
            )

    def _check_schema(self) -> None:
        with self.engine.connect() as connection:
            found = None
            if inspect(connection).has_table(schema.name):
                found = connection.scalar(select(schema.c.version))
        if found != SCHEMA_VERSION:
            raise StorageError(
                f"the tables of {self.shown_url} were made by another version of moo-bnas (schema "
                f"{found or 'unknown'}, expected {SCHEMA_VERSION}); use that version, or another "
                "--storage"
            )

    def _parse(self, url: str) -> URL:
        if not is_escaped(url):
            raise StorageError(
                f"got the storage {self.shown_url}, whose password holds an @ that would end it; "
                "write an @ in a password as %40"
            )
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):  # ValueError: of a port that is no number
            raise StorageError(
                f"got the storage {self.shown_url}, expected a database URL such as "
                "sqlite:///moo-bnas.db or postgresql+psycopg://user@host/name"
            ) from None  # its words may repeat a part of the password
        check_driver(parsed)
        return with_driver(parsed)

    def _check_file(self, path: str | None, create: bool) -> None:
        if not path or path == ":memory:":
            raise StorageError(
                f"got the storage {self.shown_url}, which lives in one process; workers share it, "
                "so name a file: sqlite:///moo-bnas.db"
            )
        if create and not Path(path).absolute().parent.is_dir():
            raise StorageError(
                f"the storage {self.shown_url} is to lie in {Path(path).parent}, which is not a "
                "folder; make it first"
            )
        if not create and not Path(path).exists():
            raise self._no_run()

    def _no_run(self) -> StorageError:
        return StorageError(
            f"the storage {self.shown_url} holds no run of moo-bnas; start one with `moo-bnas run "
            "--storage ...`, or mend the URL"
        )
