"""A stored run that somebody forges, what the commands do with it, and what they must not do.

Every action is one that a command takes on a run that it finds in a storage. While one is under
way, an audit hook of Python notes each file that is opened, written, renamed or removed, each
process and connection that is begun, and each signal that is sent.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import moo_bnas
from moo_bnas.definition import Definition
from moo_bnas.driver.confirmation import Confirmation
from moo_bnas.driver.deletion import delete_run, find_doomed
from moo_bnas.driver.final_loop import FinalDriver
from moo_bnas.driver.lease import driver_lease
from moo_bnas.driver.local_workers import LocalOptions, LocalWorkers
from moo_bnas.driver.run import Run, open_run
from moo_bnas.driver.search_loop import Driver
from moo_bnas.errors import MooBnasError
from moo_bnas.output import aligned, show
from moo_bnas.processes import here
from moo_bnas.report.files import write
from moo_bnas.report.terminal import as_table
from moo_bnas.results.overview import HEADER, read_runs
from moo_bnas.results.points import collect
from moo_bnas.results.side_by_side import side_by_side
from moo_bnas.results.status import read_status
from moo_bnas.storage import Storage, training_of
from moo_bnas.storage.checkpoints import Checkpoints
from moo_bnas.worker import Limits, WorkerOptions, work
from tests.conftest import TINY
from tests.driving import FINAL, PARENT, finals_of, make_definition, narrow
from tests.fakes import Fake, accuracy_of, fake_worker

NAME = "s"
SECRET = b"secret-of-the-machine"
_LOOKS = 3  # of a driver, after which it is stopped: nobody evaluates what it waits for

_CODE_ROOTS = (*{sys.prefix, sys.base_prefix}, str(Path(moo_bnas.__file__).parents[1]))
_ALSO_READ = ("/proc", "/sys", "/usr", "/lib", "/dev/null", "/dev/urandom", "/etc/localtime")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {  # events of the audit hook: how many of their first arguments are paths
    "os.remove": 1,
    "os.rename": 2,
    "os.mkdir": 1,
    "os.rmdir": 1,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.chown": 1,
    "os.utime": 1,
    "shutil.rmtree": 1,
    "sqlite3.connect": 1,
}
_NEVER = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "pickle.find_class",
    "ctypes.dlopen",
}

Action = Callable[["Forged"], None]


class _Enough(Exception):  # noqa: N818 (nothing has failed)
    """The driver does nothing any more but wait for workers."""


class Forged:
    """A stored run, which can be forged and restored.

    It lies in a folder `inside`; the folders beside it are nobody's business. The run has a parent,
    references, repeats, a final model, another final training run that is to continue from its
    checkpoint, a generation that waits, and a worker elsewhere that holds one trial of it.

    Args:
        folder: Empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.inside = folder, folder / "inside"
        self.inside.mkdir()
        self.canary = folder / "canary"
        self.canary.write_bytes(SECRET)
        self.path = self.inside / "s.db"
        self.url = f"sqlite:///{self.path}"
        text = TINY + PARENT + FINAL
        self.definition: Definition = make_definition(folder, text)
        self._make()
        self._saved = sqlite3.connect(":memory:", check_same_thread=False)
        with closing(sqlite3.connect(self.path)) as database:
            database.backup(self._saved)
        self._files = _contents(self.inside / "s-artifacts")
        self._outside = self._state_outside()
        self.reported: set[str] = set()

    def _make(self) -> None:
        search = self.definition.search.model_copy(update={"generations": 2})
        shorter = self.definition.model_copy(update={"search": search})
        run = open_run(Storage(self.url, create=True), NAME, shorter, "pareto", 0)
        workers, storage = _no_workers(self.url), run.storage
        with fake_worker(self.url, NAME):
            driver = Driver(run, workers, lambda _: None, lambda: None)
            driver.drive()
            driver.confirm(Confirmation(run, 1, 1))
            finals = finals_of(self.url, NAME)
            FinalDriver(finals, workers, lambda _: None, lambda: None).train([narrow(shorter)])
        other = self.definition.make_space().uniform(0.5)
        finals.submit([(other, "binary")])
        checkpoints = Checkpoints(storage, finals.study, finals.artifacts, training_of(1))
        checkpoints.save(b"checkpoint", {"losses": [1.0], "seconds": 1.0})
        with suppress(_Enough):
            _drive(open_run(storage, NAME, self.definition, "pareto", 0), lambda: None)
        study = storage.studies.open(NAME)
        storage.workers.join(study, "other", "elsewhere/1-2", 1, "fake", 60)
        assert storage.claims.take([study], "other", {"binary": "b" * 64, "full": "f" * 64})
        assert storage.leases.take(study, "token", here()[0], 2**30, 60, None)  # it has exited

    def forge(self, statement: str, *values: object) -> bool:
        """Restores the run and changes its rows.

        Returns:
            False if the database itself refuses the values, or if there is no such row.
        """
        with closing(sqlite3.connect(self.path)) as database:
            self._saved.backup(database)
            try:
                changed = database.execute(statement, values).rowcount
            except (sqlite3.IntegrityError, sqlite3.InterfaceError, OverflowError):
                return False
            database.commit()
            return changed > 0

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of the run as it was made."""
        return self._saved.execute(statement).fetchall()

    def use(self, action: Action, what: str) -> str | None:
        """Takes an action, and checks that it did no harm.

        Returns:
            What the error said; None without one.
        """
        said, printed = None, io.StringIO()
        with watching(self.inside) as harm, redirect_stdout(printed):
            try:
                action(self)
            except (MooBnasError, _Enough) as error:
                said = str(error)
        assert not harm, f"{what}: {harm}"
        assert said is None or len(said) < 2000, what
        assert self._state_outside() == self._outside, what
        kept = {k: v for k, v in _contents(self.inside).items() if k != "s.db-shm"}
        for name, content in {"output": printed.getvalue().encode(), **kept}.items():
            assert SECRET not in content, f"{what}: {name}"
        self._restore_files()
        return said

    def _restore_files(self) -> None:
        store = self.inside / "s-artifacts"
        for name in set(_contents(store)) - set(self._files):
            (store / name).unlink()
        for name in set(self._files) - set(_contents(store)):
            (store / name).write_bytes(self._files[name])
        for report in (self.inside / "report").glob("*"):
            report.unlink()

    def _state_outside(self) -> dict[str, tuple[bytes, int]]:
        """Content and time of change of each file that is not the run's."""
        return {
            str(path.relative_to(self.folder)): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.folder.rglob("*")
            if path.is_file() and self.inside not in path.parents
        }


def status(forged: Forged) -> None:
    """What `moo-bnas status` and `moo-bnas runs` do."""
    rows, faults = read_runs(Storage(forged.url))
    show(aligned([HEADER, *(row.cells() for row in rows)]))
    show(aligned([("run", "fault"), *faults.items()]))
    found = read_status(Storage(forged.url), NAME)
    show(found.as_text())
    show(json.dumps(found.as_document()))


def report(forged: Forged) -> None:
    """What `moo-bnas report` and `moo-bnas compare` do."""
    collected = collect(Storage(forged.url), NAME)
    show(as_table(collected))
    if collected.search:
        show(repr(side_by_side([collected, collected])))
    if repr(collected) not in forged.reported:  # drawing takes longer than all else here
        forged.reported.add(repr(collected))
        write(collected, forged.inside / "report")


def worker(forged: Forged) -> None:
    """What `moo-bnas worker` does, with an evaluator that trains nothing."""
    _serve(forged, only_final=False)


def run(forged: Forged) -> None:
    """What `moo-bnas run --workers 0` does."""
    storage = Storage(forged.url, create=True)
    opened = open_run(storage, NAME, forged.definition, "pareto", 0)
    with driver_lease(storage, opened.study, _not_longer, 1) as renew:
        _drive(opened, renew)


def train(forged: Forged) -> None:
    """What `moo-bnas train --restart` does, with a worker, and the model that there was before."""
    finals = finals_of(forged.url, NAME)
    before, other = narrow(finals.definition), finals.definition.make_space().uniform(0.5)
    with driver_lease(finals.storage, finals.study, _not_longer, 1) as renew:
        for trial in finals.trials([before]):
            if trial.evaluation is not None:
                finals.artifacts.get(trial.result.kept)
        finals.restart([(other, "binary")])
        _serve(forged, only_final=True)
        driver = FinalDriver(finals, _no_workers(forged.url), lambda _: None, _some_looks(renew))
        for trial in driver.train([(other, "binary")]):
            finals.fetch(trial, forged.inside / "report")


def delete(forged: Forged) -> None:
    """What `moo-bnas delete` does."""
    doomed = find_doomed(Storage(forged.url), NAME, None, keep_artifacts=False)
    show(f"{delete_run(doomed, _not_longer)} files")


ACTIONS: tuple[Action, ...] = (status, report, worker, run, train, delete)


def _serve(forged: Forged, *, only_final: bool) -> None:
    limits = Limits(candidates=12, seconds=1, idle_seconds=0)
    options = WorkerOptions(only_final=only_final, limits=limits, heartbeat=1)
    work(Storage(forged.url), NAME, Fake(accuracy_of), threading.Event(), options)


def _drive(run: Run, renew: Callable[[], None]) -> None:
    driver = Driver(run, _no_workers(run.storage.url), lambda _: None, _some_looks(renew))
    driver.drive()
    driver.confirm(Confirmation(run, 1, 1))


def _some_looks(renew: Callable[[], None]) -> Callable[[], None]:
    looks = iter(range(_LOOKS))

    def look() -> None:
        renew()
        if next(looks, None) is None:
            raise _Enough

    return look


def _not_longer(line: str) -> None:
    raise _Enough(line)


def _no_workers(url: str) -> LocalWorkers:
    return LocalWorkers(NAME, LocalOptions(url, (), Path(), Path()))


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


_watch: tuple[str, list[str]] | None = None  # where files may change, and what harm was done
_is_hooked = False


@contextmanager
def watching(inside: Path) -> Iterator[list[str]]:
    """Notes whatever the block does that whoever writes to a database must not bring about."""
    global _watch, _is_hooked  # noqa: PLW0603 (a hook cannot be removed)
    tempfile.tempdir, temporary = str(inside), tempfile.tempdir  # for the locks of devices
    if not _is_hooked:
        sys.addaudithook(_note)
        _is_hooked = True
    harm: list[str] = []
    _watch = (str(inside), harm)
    try:
        yield harm
    finally:
        _watch, tempfile.tempdir = None, temporary


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _watch is None:
        return
    inside, harm = _watch
    if event == "open":
        path, _, flags = arguments
        writes = bool((flags or 0) & _WRITES)
        may = (inside, "/dev/null") if writes else (inside, *_CODE_ROOTS, *_ALSO_READ)
        if not isinstance(path, int) and not _is_below(path, may):
            harm.append(f"{'write' if writes else 'read'} {path!r:.200}")
    elif event in _CHANGES:
        for path in arguments[: _CHANGES[event]]:
            if not isinstance(path, int) and not _is_below(path, (inside,)):
                harm.append(f"{event} {path!r:.200}")
    elif event in _NEVER or (event == "os.kill" and arguments[1] != 0):
        harm.append(f"{event} {arguments!r:.200}")


def _is_below(path: str | bytes | os.PathLike[str], folders: tuple[str, ...]) -> bool:
    whole = os.path.abspath(os.fsdecode(path).removeprefix("file:").partition("?")[0])
    return any(whole == folder or whole.startswith(folder + os.sep) for folder in folders)
