"""The database under a storage: its engine, its transactions, and the tables of moo-bnas's own.

Optuna makes its own tables; moo-bnas adds `moo_bnas_*` beside them, for what Optuna's schema has
no place for. This package alone reads and writes the rows of either.
"""

from __future__ import annotations

import functools
import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import optuna
import optuna.storages._rdb.models as optuna_models
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    exists,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from moo_bnas.errors import StorageAwayError, StorageError
from moo_bnas.units import duration

BUSY_TIMEOUT = 60  # seconds that a SQLite transaction waits for another to end
MAX_OUTAGE = 900.0  # seconds that a server may be away before a process gives up
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds between two tries to reach it
_CREATION_TRIES = 5

log = logging.getLogger(__name__)

metadata = MetaData()

queue = Table(
    "moo_bnas_trials",
    metadata,
    Column("trial_id", Integer, primary_key=True, autoincrement=False),
    Column("study_id", Integer, nullable=False),
    Column("genotype", String(255), nullable=False),
    Column("precision", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("cost", Float(53), nullable=False),
    Column("token", String(32)),
    Column("worker", String(255)),
    Column("losses", Integer, nullable=False, default=0),
    UniqueConstraint("study_id", "genotype", "precision"),
    Index("moo_bnas_trials_open", "study_id", "status"),
)
"""One row a trial: what to evaluate, and who does it now."""

evaluations = Table(
    "moo_bnas_evaluations",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("genotype", String(255), primary_key=True),
    Column("token", String(32), nullable=False, index=True),
    Column("trial_id", Integer, nullable=False),
    Column("result", Text),
)
"""One row an evaluation begun, shared by all studies; `result` is null until it is finished."""

worker_rows = Table(
    "moo_bnas_workers",
    metadata,
    Column("worker", String(255), primary_key=True),
    Column("study_id", Integer, nullable=False, index=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("device", String(255), nullable=False),
    Column("last_seen", DateTime, nullable=False),
    Column("evaluations", Integer, nullable=False, default=0),
)
"""One row a worker that ever joined."""


driver_rows = Table(
    "moo_bnas_drivers",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("token", String(32), nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("since", DateTime, nullable=False),
    Column("last_seen", DateTime, nullable=False),
)
"""One row a study that is driven: the lease of its driver."""

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")


def waiting_out(
    operation: Callable[Parameters, Result],
) -> Callable[Parameters, Result]:
    """Repeats an operation while the server is away, with growing pauses, up to `MAX_OUTAGE`.

    The operation must be safe to repeat, also where it was committed and only the
    acknowledgement was lost.
    """

    @functools.wraps(operation)
    def patient(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        since, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            try:
                result = operation(*args, **kwargs)
            except StorageAwayError as error:
                away = time.monotonic() - since
                if away + pause > MAX_OUTAGE:
                    raise
                log.warning("%s; away for %s, trying again", error, duration(away))
                time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            if pause > _FIRST_PAUSE:
                log.warning("the storage is back after %s", duration(time.monotonic() - since))
            return result

    return patient


def age(now: datetime, then: datetime) -> float:
    """Seconds between two times that the database told."""
    return (now.replace(tzinfo=None) - then.replace(tzinfo=None)) / timedelta(seconds=1)


def hide_password(url: str) -> str:
    """`url` as it may be shown."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "a malformed URL" if "@" in url else url


class Database:
    """One database, opened. On SQLite it holds no connection between transactions.

    Args:
        url: SQLAlchemy URL.
        create: Make file and tables where they are missing.

    Raises:
        StorageError: Where it cannot be opened, or holds no run and `create` is not set.
    """

    def __init__(self, url: str, *, create: bool) -> None:
        self.shown_url = hide_password(url)
        parsed = self._parse(url)
        self._sqlite = parsed.get_backend_name() == "sqlite"
        if self._sqlite:
            self._check_file(parsed.database, create)
        with self.errors():
            self.engine = _engine(parsed, self._sqlite)
            if not create and not inspect(self.engine).has_table(queue.name):
                raise self._no_run()
            self.optuna_storage = self._create(url) if create else self._open(url)
        optuna_tables = optuna_models.BaseModel.metadata.tables
        self.trials: Table = optuna_tables["trials"]
        self.trial_params: Table = optuna_tables["trial_params"]
        self.trial_values: Table = optuna_tables["trial_values"]
        self.trial_attributes: Table = optuna_tables["trial_user_attributes"]
        self.trial_heartbeats: Table = optuna_tables["trial_heartbeats"]
        self.studies: Table = optuna_tables["studies"]
        self.study_attributes: Table = optuna_tables["study_user_attributes"]
        self.study_system_attributes: Table = optuna_tables["study_system_attributes"]

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; on SQLite it holds the write lock from its beginning."""
        with self.errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: one snapshot, and no waiting for writers."""
        engine = self.engine.execution_options(moo_bnas_reads=True)
        with self.errors(), engine.begin() as connection:
            yield connection

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

    def lock_study(self, connection: Connection, study_id: int) -> None:
        """Makes writers of one study's rows take turns, where they run side by side."""
        studies = self.studies
        connection.execute(
            select(studies.c.study_id).where(studies.c.study_id == study_id).with_for_update()
        )

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
                "installed; install it with pip"
            ) from error
        except (SQLAlchemyError, optuna.exceptions.OptunaError) as error:
            # Optuna wraps the errors of SQLAlchemy, which wrap those of the driver.
            cause = error if isinstance(error, SQLAlchemyError) else error.__cause__ or error
            reason = str(getattr(cause, "orig", None) or cause).splitlines()[0]
            # SQLite has waited for its lock already; of servers these mean a lost connection.
            away = not self._sqlite and isinstance(cause, (OperationalError, InterfaceError))
            raise (StorageAwayError if away else StorageError)(
                f"the storage {self.shown_url} answered: {reason}; check that it is reachable and "
                "may be written"
            ) from error

    def _create(self, url: str) -> optuna.storages.RDBStorage:
        for left in reversed(range(_CREATION_TRIES)):
            try:
                storage = self._open(url, skip_table_creation=False)
                metadata.create_all(self.engine)
                return storage
            except (SQLAlchemyError, optuna.exceptions.StorageInternalError):
                # Another process may be making the same tables at this moment.
                if not left:
                    raise
                time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 (no secret)
        raise AssertionError("unreachable")

    def _open(self, url: str, skip_table_creation: bool = True) -> optuna.storages.RDBStorage:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        kwargs: dict[str, Any] = {"pool_pre_ping": True}
        if self._sqlite:
            kwargs = {"connect_args": {"timeout": BUSY_TIMEOUT}}
        return optuna.storages.RDBStorage(
            url, engine_kwargs=kwargs, skip_table_creation=skip_table_creation
        )

    def _parse(self, url: str) -> URL:
        try:
            return make_url(url)
        except ArgumentError as error:
            raise StorageError(
                f"got the storage {self.shown_url}, expected a database URL such as "
                "sqlite:///moo-bnas.db or postgresql+psycopg://user@host/name"
            ) from error

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


def _engine(url: URL, sqlite: bool) -> Engine:
    if not sqlite:
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction of its own
        connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that turns into a writer fails at once instead of waiting.
        reads = connection.get_execution_options().get("moo_bnas_reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine
