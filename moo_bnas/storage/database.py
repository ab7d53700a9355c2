"""The database under a storage: its transactions, its errors, its outages.

No other package reads or writes rows of Optuna's tables or of moo-bnas's own.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    create_engine,
    exists,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from moo_bnas.errors import (
    StorageAwayError,
    StorageBusyError,
    StorageEmptyError,
    StorageError,
)
from moo_bnas.extras import not_installed
from moo_bnas.passwords import hide_password
from moo_bnas.storage.engine import (
    connect_args,
    is_away,
    is_busy,
    is_sqlite,
    make_engine,
    read_url,
    readable,
    remedy,
)
from moo_bnas.storage.outages import waiting_for_room, waiting_out
from moo_bnas.storage.records import study_gone
from moo_bnas.storage.schema import (
    add_missing,
    check_upgradable,
    check_version,
    foreign_tables,
    optunas_tables,
    upgrade_optunas,
    version_of,
    views_in_place,
)
from moo_bnas.storage.tables import SCHEMA_VERSION, metadata, queue, schema

_CREATION_TRIES = 10


def age(now: datetime, then: datetime) -> float:
    """Seconds between two times that were read from the database."""
    return (now - then) / timedelta(seconds=1)


class Database:
    """One database, opened; the threads of a process take turns at one connection.

    Args:
        url: SQLAlchemy URL.
        create: Whether it may be without the tables: then `make` makes them.
        wait: Whether to wait for a server that is down.
        upgrade: Whether tables of an earlier version are brought to this one.

    Attributes:
        url: The URL with its driver.
        shown_url: The URL without its password.
        upgraded: What an upgrade has added.

    Raises:
        StorageError: If it cannot be opened, or holds no run and `create` is not set.
    """

    def __init__(
        self, url: str, *, create: bool, wait: bool = False, upgrade: bool = False
    ) -> None:
        self._turn = threading.RLock()
        self.shown_url = hide_password(url)
        self.url = self._address = read_url(url)
        self.is_sqlite = is_sqlite(self.url)
        self.upgraded: list[str] = []
        self.optuna_storage: optuna.storages.RDBStorage
        self._has_studies = self._is_made = False
        optuna_tables = optunas_tables()
        self.trials: Table = optuna_tables["trials"]
        self.trial_params: Table = optuna_tables["trial_params"]
        self.trial_values: Table = optuna_tables["trial_values"]
        self.trial_steps: Table = optuna_tables["trial_intermediate_values"]
        self.trial_attributes: Table = optuna_tables["trial_user_attributes"]
        self.studies: Table = optuna_tables["studies"]
        self.study_attributes: Table = optuna_tables["study_user_attributes"]
        self.study_system_attributes: Table = optuna_tables["study_system_attributes"]
        patience = waiting_out if wait else waiting_for_room
        patience(self._connect)(create, upgrade)

    def _connect(self, create: bool, upgrade: bool) -> None:
        if self.is_sqlite:
            self._check_file(self.url.database, create)
        with self.errors():
            if self.is_sqlite and not create:
                self._address = readable(self.url)
            self.engine = make_engine(self._address)
            self._check_tables(create)
            if upgrade:
                self._upgrade()
            if not create:
                self._open()

    @property
    def has_studies(self) -> bool:
        """Whether it has Optuna's tables by now; without them there is nothing to read."""
        if not self._has_studies:
            with self._turn, self.errors():
                self._check_tables(create=True)
        return self._has_studies

    def make(self) -> None:
        """Makes the file and the tables, unless they are there.

        Before this, nothing is written: what is refused leaves nothing in another program's
        database.
        """
        with self._turn, self.errors():
            if not self._is_made:
                self._create()
                self._open()

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
        """Closes the connection to a server; a connection to a file costs nothing, and stays."""
        if not self.is_sqlite:
            with self._turn:
                self.engine.dispose()

    @property
    def owned(self) -> ColumnElement[bool]:
        """Condition on a row of the queue: its trial still exists, in a study of moo-bnas.

        Studies may be deleted with Optuna, and SQLite gives their ids to new ones.
        """
        trials, attributes = self.trials, self.study_attributes
        return exists().where(
            trials.c.trial_id == queue.c.trial_id,
            trials.c.study_id == queue.c.study_id,
            attributes.c.study_id == trials.c.study_id,
            attributes.c.key == "definition",
        )

    def lock_study(self, connection: Connection, study_id: int, name: str) -> None:
        """Makes writers of one study's rows take turns, on servers, where they run side by side.

        Raises:
            StorageError: If the study was deleted. (SQLite gives its id to new ones.)
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
        """Turns errors of the block into a `StorageError` that does not show the password."""
        try:
            yield
        except ImportError as error:
            raise StorageError(
                f"the storage {self.shown_url} needs {not_installed(error.name or '')}"
            ) from error
        except StorageError:
            raise
        except (ValueError, LookupError, TypeError, OverflowError) as error:  # of a column's type
            said = str(error).splitlines()[0][:200]
            raise StorageError(
                f"the storage {self.shown_url} holds a row that moo-bnas did not write: {said}; it "
                "is damaged or forged: restore the storage from a copy"
            ) from error
        except (SQLAlchemyError, optuna.exceptions.OptunaError, sqlite3.Error) as error:
            # Optuna wraps errors of SQLAlchemy, which wrap those of the driver, unless they come
            # from a listener of the engine.
            is_optunas = isinstance(error, optuna.exceptions.OptunaError)
            cause = (is_optunas and error.__cause__) or error
            lines = str(getattr(cause, "orig", None) or cause).splitlines()
            # If a host has several addresses, psycopg lists the failure of each below a title.
            reason = lines[-1].lstrip("- ") if lines[0].endswith("were:") else lines[0]
            kind = StorageError
            if isinstance(cause, Exception) and is_away(cause):
                kind = StorageBusyError if is_busy(cause) else StorageAwayError
            raise kind(
                f"the storage {self.shown_url} answered: {reason}; {remedy(reason)}"
            ) from error

    def _create(self) -> None:
        """Makes the tables, also while other processes make the same ones."""
        for left in reversed(range(_CREATION_TRIES)):
            try:
                self._optuna(skip_table_creation=False)
                metadata.create_all(self.engine)
                with self.engine.begin() as connection:
                    if connection.execute(select(schema)).first() is None:
                        connection.execute(insert(schema).values(version=SCHEMA_VERSION))
                return
            except (SQLAlchemyError, optuna.exceptions.OptunaError):
                if not left:
                    raise
                time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 (no secret)

    def _open(self) -> None:
        """Opens the tables that are there."""
        self.optuna_storage = self._optuna(skip_table_creation=True)
        with self.engine.execution_options(moo_bnas_reads=True).connect() as connection:
            check_version(version_of(connection), self.shown_url)
        self._has_studies = self._is_made = True

    def _upgrade(self) -> None:
        with self.read() as connection:
            check_upgradable(connection, self.shown_url)
        optunas = self._optuna(skip_table_creation=True, skip_compatibility_check=True)
        self.upgraded += upgrade_optunas(optunas, self.shown_url)
        with self.write() as connection:
            self.upgraded += add_missing(connection)

    def _optuna(
        self, *, skip_table_creation: bool, skip_compatibility_check: bool = False
    ) -> optuna.storages.RDBStorage:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Optuna makes studies and their tables, nothing more: it need not keep a connection.
        kwargs = {"poolclass": NullPool, "connect_args": connect_args(self.url)}
        try:
            return optuna.storages.RDBStorage(
                self._address.render_as_string(hide_password=False),
                engine_kwargs=kwargs,
                skip_table_creation=skip_table_creation,
                skip_compatibility_check=skip_compatibility_check,
            )
        except RuntimeError as error:
            if "table schema" not in str(error):  # of another version
                raise
            raise StorageError(
                f"the tables of {self.shown_url} are of another version of Optuna: {error} "
                "(`moo-bnas storage upgrade` does that upgrade, too)"
            ) from error

    def _check_tables(self, create: bool) -> None:
        """Looks without writing: this must not even turn on WAL in a file of another program."""
        if self.is_sqlite and not os.path.exists(self.url.database or ""):
            return
        # Closed afterwards: Optuna connects for itself, and hundreds of workers may start at once.
        address, args = self._address, connect_args(self.url)
        engine = create_engine(address, poolclass=NullPool, connect_args=args)
        with engine.connect() as connection:
            look = inspect(connection)
            # The views of a file run in this process, and may never end.
            if self.is_sqlite and (views := views_in_place(look)):
                raise StorageError(
                    f"the storage {self.shown_url} has views in place of tables "
                    f"({', '.join(views)}): it is damaged or forged; restore it from a copy"
                )
            if not create:
                if not look.has_table(queue.name):
                    raise StorageEmptyError(
                        f"the storage {self.shown_url} holds no run of moo-bnas; start one with "
                        "`moo-bnas run --storage ...`, or correct the URL"
                    )
                return
            foreign, there = foreign_tables(look), set(look.get_table_names())
            version = version_of(connection) if not foreign else None
        if foreign:
            raise StorageError(
                f"the storage {self.shown_url} holds another program's tables "
                f"({', '.join(foreign)}); give another --storage"
            )
        if version is not None:
            check_version(version, self.shown_url)
        needed = (self.studies, self.study_attributes, self.study_system_attributes, self.trials)
        self._has_studies = {table.name for table in needed} <= there

    def _check_file(self, path: str | None, create: bool) -> None:
        if not path or path == ":memory:":
            raise StorageError(
                f"got the storage {self.shown_url}, which exists in one process only, but workers "
                "must share it; name a file: sqlite:///moo-bnas.db"
            )
        # Unlike those of Path, functions of os.path take names that are too long.
        if create and not os.path.isdir(Path(path).absolute().parent):
            raise StorageError(
                f"the folder of the storage {self.shown_url}, {Path(path).parent}, does not exist; "
                "create it first"
            )
        if not create and not os.path.exists(path):
            raise StorageEmptyError(
                f"there is no file {path} (the storage {self.shown_url}); begin a run with "
                "`moo-bnas run`, change into the folder of its file, or name it with --storage"
            )
