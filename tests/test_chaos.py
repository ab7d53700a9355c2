"""SIGKILL of driver, workers and all at once changes nothing in the result."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from moo_bnas.errors import StorageError
from moo_bnas.storage import Storage
from tests.conftest import Cli, start_cli

RUNS = 3
VICTIMS = ("driver", "worker", "all", "all")  # of each run, in random order
POLL = 0.02


@pytest.mark.skipif(sys.platform != "linux", reason="reads the processes of a run from /proc")
@pytest.mark.timeout(300)
def test_kills_at_random_moments_change_nothing(tmp_path: Path, tiny_path: Path, cli: Cli) -> None:
    arguments: list[str | Path] = ["run", tiny_path, "--workers", "2", "--device", "cpu"]
    arguments += ["--population", "8", "--study-name"]
    undisturbed = cli(*arguments, "undisturbed", "--storage", f"sqlite:///{tmp_path}/calm.db")
    assert undisturbed.returncode == 0, undisturbed.stderr
    expected = json.loads((tmp_path / "runs/undisturbed/pareto.json").read_text())["points"]

    kills: Counter[str] = Counter()
    for number in range(RUNS):
        rng = random.Random(number)
        name, url = f"chaos{number}", f"sqlite:///{tmp_path}/chaos{number}.db"
        command: list[str | Path] = [*arguments, name, "--storage", url]
        for victim in rng.sample(VICTIMS, len(VICTIMS)):
            _run_and_kill(command, tmp_path, url, name, victim, rng)
            kills[victim] += 1
        ended = cli(*command)
        assert ended.returncode == 0, ended.stderr

        found = json.loads((tmp_path / "runs" / name / "pareto.json").read_text())["points"]
        assert found == expected
        storage = Storage(url)
        trials = storage.trials.read(storage.studies.open(name))
        assert all(t.state == "complete" for t in trials)
        assert len({t.genotype for t in trials}) == len(trials) == 24
    assert kills.total() == 12


def _run_and_kill(
    command: list[str | Path], folder: Path, url: str, name: str, victim: str, rng: random.Random
) -> None:
    """Starts the run, lets some of it happen, and kills; leaves nothing of it running."""
    before = _finished(url, name)
    driver = start_cli(*command, cwd=folder)
    progress = rng.randint(0, 4)
    while driver.poll() is None and _finished(url, name) < before + progress:
        time.sleep(POLL)
    time.sleep(rng.uniform(0, 0.3))  # a random moment of whatever is going on now
    workers = _children(driver.pid)
    if victim in ("worker", "all"):
        for pid in workers[: 1 if victim == "worker" else None]:
            _kill(pid)
    if victim == "worker":
        # The driver starts another one; let it go on for a while before it dies too.
        target = _finished(url, name) + 1
        while driver.poll() is None and _finished(url, name) < target:
            time.sleep(POLL)
        workers = _children(driver.pid)
    driver.kill()
    driver.communicate()
    for pid in workers:
        while _is_running(pid):  # orphans see their input close and leave
            time.sleep(POLL)


def _finished(url: str, name: str) -> int:
    try:
        storage = Storage(url)
        return storage.trials.counts(storage.studies.open(name))["complete"]
    except StorageError:  # not made yet
        return 0


def _children(pid: int) -> list[int]:
    try:
        return [int(i) for i in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
