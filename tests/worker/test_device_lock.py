from __future__ import annotations

import fcntl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moo_bnas.errors import DeviceError, Interrupted
from moo_bnas.worker.device_lock import device_lock
from tests.fork_server import PYTHON

# Says when it comes and when it is inside, leaves when it is told to; keeps a book of it.
GUEST = """
import sys, threading
from pathlib import Path
from moo_bnas.worker.device_lock import device_lock

def note(line):
    with Path(sys.argv[2]).open("a") as book:
        book.write(f"{sys.argv[1]} {line}\\n")

print("comes", flush=True)
with device_lock("d", alone="alone" in sys.argv[1], stop=threading.Event()):
    note("in")
    print("inside", flush=True)
    input()
    note("out")
"""


class Guest:
    def __init__(self, name: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [PYTHON, "-c", GUEST, name, str(folder / "book")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.reads("comes")

    def reads(self, line: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{line}\n"

    def leaves(self) -> None:
        self.process.communicate("\n")
        assert self.process.returncode == 0


Come = Callable[[str], Guest]


@pytest.fixture
def come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Come]:
    """Starts a process that wants the lock; all lie in the test's own folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    guests = []

    def start(name: str) -> Guest:
        guests.append(Guest(name, tmp_path))
        return guests[-1]

    yield start
    for guest in guests:
        guest.process.kill()
        guest.process.communicate()


def _book(folder: Path) -> list[str]:
    return (folder / "book").read_text().splitlines()


def _until_one_waits_to_be_alone(folder: Path) -> None:
    (path,) = folder.glob("*.turnstile")
    with path.open() as turnstile:
        while True:
            try:
                fcntl.flock(turnstile, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            fcntl.flock(turnstile, fcntl.LOCK_UN)


class _StopsSoon(threading.Event):
    """Is set while its third wait lasts."""

    waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        if self.waits == 3:
            self.set()
        return super().wait(timeout)


def test_two_share_a_device_and_one_that_is_to_be_alone_waits_for_both(
    come: Come, tmp_path: Path
) -> None:
    a, b = come("a"), come("b")
    a.reads("inside")
    b.reads("inside")
    alone = come("alone")
    _until_one_waits_to_be_alone(tmp_path)
    b.leaves()
    a.leaves()
    alone.reads("inside")
    assert _book(tmp_path)[2:] == ["b out", "a out", "alone in"]


def test_those_that_come_later_do_not_overtake_one_that_waits_to_be_alone(
    come: Come, tmp_path: Path
) -> None:
    a = come("a")
    a.reads("inside")
    alone = come("alone")
    _until_one_waits_to_be_alone(tmp_path)
    later = come("later")
    a.leaves()
    alone.reads("inside")
    alone.leaves()
    later.reads("inside")
    assert _book(tmp_path) == ["a in", "a out", "alone in", "alone out", "later in"]


@pytest.mark.parametrize(("killed", "next_one"), [("a", "alone"), ("alone", "a")])
def test_a_kill_frees_the_device(come: Come, killed: str, next_one: str) -> None:
    holder = come(killed)
    holder.reads("inside")
    waiting = come(next_one)
    holder.process.kill()
    waiting.reads("inside")
    waiting.leaves()


@pytest.mark.parametrize("alone", [False, True])
def test_waiting_ends_when_told_and_leaves_nothing_locked(come: Come, alone: bool) -> None:
    holder = come("alone")
    holder.reads("inside")
    stop = _StopsSoon()
    with pytest.raises(Interrupted), device_lock("d", alone=alone, stop=stop):
        pytest.fail("two are inside")
    assert stop.waits == 3
    holder.leaves()
    with device_lock("d", alone=True, stop=stop):  # stop is set: it would not wait
        pass


def test_one_that_was_stopped_at_the_door_lets_others_pass(come: Come) -> None:
    holder = come("a")
    holder.reads("inside")
    stop = _StopsSoon()
    with pytest.raises(Interrupted), device_lock("d", alone=True, stop=stop):
        pytest.fail("two are inside")
    with device_lock("d", alone=False, stop=stop):
        pass


def test_devices_do_not_know_of_each_other(come: Come) -> None:
    come("alone").reads("inside")
    with device_lock("another", alone=True, stop=_StopsSoon()):
        pass


def test_a_lock_that_cannot_be_had_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with (
        pytest.raises(DeviceError, match="cannot lock the device d: .*; set TMPDIR"),
        device_lock("d", alone=False, stop=threading.Event()),
    ):
        pytest.fail("it has no lock")
