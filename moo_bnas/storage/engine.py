"""What differs from database to database: connections, time-outs, the clock, the errors.

- SQLite: one machine. WAL, and writers take the write lock at the beginning of a transaction.
- PostgreSQL (psycopg 3), MySQL and MariaDB (pymysql): connections are pooled, tested before they
  are used, and given up once the network no longer answers; a process that is suspended in the
  middle of a transaction holds up the others for no longer than `TRANSACTION_TIMEOUT`.
"""

from __future__ import annotations

import math
import os
import re
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, DateTime, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from moo_bnas.errors import StorageError
from moo_bnas.passwords import STORAGE_VARIABLE, hide_password, is_escaped

BUSY_TIMEOUT = 60  # seconds that a SQLite transaction waits for another to end
CONNECT_TIMEOUT = 10  # seconds
NETWORK_TIMEOUT = 60  # seconds without an answer after which a connection counts as lost
TRANSACTION_TIMEOUT = 60  # seconds that a transaction may stand idle before the server ends it
STATEMENT_TIMEOUT = 600  # seconds of the statements of one transaction on a SQLite file
POOL_RECYCLE = 1800  # seconds: servers and firewalls drop older connections silently

_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}

# What a server answers to one of two transactions that wait for each other, or waited too long.
_CONFLICTS = {"40001", "40P01", "55P03", 1205, 1213}

_STEPS = 10**8  # of SQLite's machine between two looks at the clock: some seconds

_SQLITE_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SQLITE_FULL = sqlite3.SQLITE_FULL

# What a server answers, without a code, to a client that should come back in a moment.
_FULL = (
    "too many clients",
    "too many connections",
    "remaining connection slots",
    "no more connections allowed",
    "is starting up",
    "is shutting down",
    "not yet accepting connections",
    "resource temporarily unavailable",  # of a socket at which too many wait to be let in
)

# Patterns of answers, in lower case, and the remedy of each.
_REMEDIES = {
    r'database ".*" does not exist|unknown database': "create the database first: createdb NAME, "
    "or in SQL CREATE DATABASE NAME",
    "no password supplied|password authentication failed|access denied for user": "give the "
    f"password in the URL in {STORAGE_VARIABLE}; PostgreSQL also reads PGPASSWORD and ~/.pgpass",
    'role ".*" does not exist': "correct the user in the URL",
    "failed to resolve host|name or service not known|nodename nor servname": "correct the host "
    "in the URL",
    "connection refused": "check that the server runs, and check host and port in the URL",
    "database is locked": "another program holds it, which must end its transaction",
    "readonly database": "get permission to write the file and its folder; `moo-bnas status` and "
    "`report` need none",
    "^interrupted$": "a statement took too long, perhaps because somebody put a trigger into the "
    "file: restore it from a copy",
    "disk is full|no space left": "make room on its disk",
    "not a database": "give another file",
    "unable to open database file": "give a file, not a folder, in a folder that is writable",
}


class utc_now(FunctionElement[Any]):  # noqa: N801 (a function of SQL)
    """The clock of the database, in UTC whatever the time zone of the session."""

    type = DateTime()
    inherit_cache = True


@compiles(utc_now)
def _sqlite_now(element: utc_now, compiler: Any, **kwargs: Any) -> str:
    return "CURRENT_TIMESTAMP"


@compiles(utc_now, "postgresql")
def _postgresql_now(element: utc_now, compiler: Any, **kwargs: Any) -> str:
    # Not now(), the time at which the transaction began: it may have waited for a lock since.
    return "(clock_timestamp() AT TIME ZONE 'UTC')"


@compiles(utc_now, "mysql")
@compiles(utc_now, "mariadb")
def _mysql_now(element: utc_now, compiler: Any, **kwargs: Any) -> str:
    return "UTC_TIMESTAMP()"


def is_sqlite(url: URL) -> bool:
    """Whether the database is a file."""
    return url.get_backend_name() == "sqlite"


def read_url(text: str) -> URL:
    """The URL of a database, with its driver named: SQLAlchemy has another default.

    Raises:
        StorageError: If it is none, or names a database or a driver that was never tried; the
            message says what to use instead, without the password.
    """
    shown = hide_password(text)
    if not is_escaped(text):
        raise StorageError(
            f"got the storage {shown}, whose password contains an @, which would end it; write an "
            "@ in a password as %40"
        )
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        raise StorageError(
            f"got the storage {shown}, expected a database URL such as sqlite:///moo-bnas.db or "
            "postgresql+psycopg://user@host/name"
        ) from None  # its message may repeat a part of the password
    try:
        for host in (url.host or "").split(","):
            host.encode("idna")  # as whoever looks it up does
    except UnicodeError:
        raise StorageError(
            f"got the storage {shown}, whose host can be no name of a machine; correct the host in "
            "the URL"
        ) from None
    backend = url.get_backend_name()
    if backend == "postgres":
        raise StorageError("got a storage of kind postgres://; write postgresql://")
    if backend not in _DRIVERS or url.drivername not in (backend, f"{backend}+{_DRIVERS[backend]}"):
        raise StorageError(
            f"got a storage of kind {url.drivername}, expected sqlite, postgresql+psycopg or "
            "mysql+pymysql; correct the URL"
        )
    return url.set(drivername=f"{backend}+{_DRIVERS[backend]}")


def make_engine(url: URL) -> Engine:
    """The engine of a storage."""
    if is_sqlite(url):
        return _sqlite_engine(url)
    engine = create_engine(
        url,
        pool_pre_ping=True,
        pool_recycle=POOL_RECYCLE,
        # Under MySQL's default, REPEATABLE READ, gap locks make neighbours wait for each other.
        isolation_level="READ COMMITTED",
        connect_args=connect_args(url),
    )
    if url.get_backend_name() == "postgresql":

        @event.listens_for(engine, "connect")
        def limit(connection: Any, record: Any) -> None:
            before, connection.autocommit = connection.autocommit, True
            milliseconds = TRANSACTION_TIMEOUT * 1000
            connection.execute(f"SET idle_in_transaction_session_timeout = {milliseconds}")
            connection.autocommit = before

    return engine


def connect_args(url: URL) -> dict[str, Any]:
    """Arguments of the driver; what the URL sets itself is not overridden."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        args: dict[str, Any] = {"timeout": BUSY_TIMEOUT}
    elif backend == "postgresql":
        args = {
            "client_encoding": "utf8",  # otherwise a database without encoding answers in bytes
            "connect_timeout": CONNECT_TIMEOUT,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": NETWORK_TIMEOUT * 1000,
            "prepare_threshold": None,  # PgBouncer gives each transaction another connection
        }
    else:
        args = {
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": NETWORK_TIMEOUT,
            "write_timeout": NETWORK_TIMEOUT,
            # Only MariaDB reads what is between /*M! and */; MySQL has no such limit.
            "init_command": f"SET SESSION innodb_lock_wait_timeout = {NETWORK_TIMEOUT // 2}"
            f" /*M! , SESSION idle_transaction_timeout = {TRANSACTION_TIMEOUT} */",
        }
    return {k: v for k, v in args.items() if k not in url.query}


def readable(url: URL) -> URL:
    """The address at which an SQLite file can be read: `url`, unless it cannot be written.

    A file in WAL mode has a second file while anybody has it open, and a reader makes that one,
    too; where it cannot, and there is none, nobody writes.
    """
    path = Path(url.database or "").absolute()
    has_log = os.path.exists(f"{path}-wal")
    if os.access(path, os.W_OK) and (has_log or os.access(path.parent, os.W_OK)):
        return url
    alone = not has_log and not os.access(path.parent, os.W_OK)
    how = {"mode": "ro", "immutable": "1"} if alone else {"mode": "ro"}
    return url.set(database=f"file:{quote(str(path))}", query={**url.query, **how, "uri": "true"})


def is_away(error: Exception) -> bool:
    """Whether an error means that a server cannot be reached now, or that a file cannot be used."""
    original = getattr(error, "orig", error)
    if isinstance(original, sqlite3.Error):
        return _code(original) in (_SQLITE_FULL, *_SQLITE_LOCKED)
    return isinstance(error, (OperationalError, InterfaceError)) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


def is_busy(error: Exception) -> bool:
    """Whether a server answers, but asks to try again.

    It has ended a transaction in favour of another one, has no connection left, or is starting; or
    a file has been locked by another program for longer than `BUSY_TIMEOUT`.
    """
    original = getattr(error, "orig", error)
    if isinstance(original, sqlite3.Error):
        return _code(original) in _SQLITE_LOCKED
    code = getattr(original, "sqlstate", None) or next(iter(getattr(original, "args", ())), None)
    return code in _CONFLICTS or any(reason in str(original).lower() for reason in _FULL)


def remedy(reason: str) -> str:
    """The remedy of an error of a database, by its message."""
    for pattern, known in _REMEDIES.items():
        if re.search(pattern, reason.lower()):
            return known
    return "check that it is reachable and writable"


def _code(error: sqlite3.Error) -> int:
    """The primary one of SQLite's result codes; 0: the error is the driver's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args=connect_args(url))

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction of its own
        # Whoever can write to the file can put triggers and views into it that never end.
        connection.set_progress_handler(
            lambda: time.monotonic() > record.info.get("until", math.inf), _STEPS
        )
        if "uri" not in url.query:
            connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that turns into a writer fails at once instead of waiting.
        reads = connection.get_execution_options().get("moo_bnas_reads", False)
        driver: Any = connection.connection.dbapi_connection
        driver.execute("BEGIN" if reads else "BEGIN IMMEDIATE")
        connection.info["until"] = time.monotonic() + STATEMENT_TIMEOUT  # not of waiting for it

    return engine
