"""`run --serve` as a user types it: a private PostgreSQL, which workers join by what is printed."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import TINY, start_cli


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that PostgreSQL can reach if root runs the tests: pytest's own are private."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        (Path(made) / "tiny.toml").write_text(TINY)
        yield Path(made)


def _printed(process: subprocess.Popen[str], pattern: str) -> str:
    """The next line of a process's standard error, or of all that it prints, with a pattern."""
    lines = process.stderr or process.stdout
    assert lines is not None
    for line in lines:
        if re.search(pattern, line):
            return line.strip()
    raise AssertionError(f"the process has ended without {pattern}")


def _join(place: Path, export: str) -> subprocess.Popen[str]:
    """A worker in another folder that types what the driver printed."""
    (place / "elsewhere").mkdir(exist_ok=True)
    command = shlex.join([sys.executable, "-m", "moo_bnas", "worker", "--heartbeat", "1"])
    return subprocess.Popen(
        ["sh", "-c", f"{export}; exec {command}"],
        cwd=place / "elsewhere",
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_worker_joins_by_what_is_printed_and_outlasts_a_kill_of_the_driver(place: Path) -> None:
    command = ("run", "tiny.toml", "--serve", "--workers", "0", "--heartbeat", "1")
    driver = start_cli(*command, cwd=place)
    served = _printed(driver, "^serving ")
    assert re.match(r"serving postgresql://moo_bnas:\*\*\*@127.0.0.1:\d+/postgres; ", served)
    export = _printed(driver, "export")
    _printed(driver, "waiting for workers")
    worker = _join(place, export)
    _printed(worker, "trial .*accuracy")  # a first evaluation is stored
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    again = start_cli(*command, cwd=place)
    out, err = again.communicate(timeout=400)
    assert again.returncode == 0, err
    assert err.startswith(served)  # the same port, and the password that the worker has
    assert "written: runs/tiny-pareto-s0/report.html" in out
    said, _ = worker.communicate(timeout=60)  # it has learned that the run is over
    assert worker.returncode == 0, said
    assert "the run is over" in said
    url = (place / "moo-bnas-server" / "url").read_text().strip()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)
    printed = out + err + said
    assert url.split(":")[2].partition("@")[0] not in printed
    server = start_cli("storage", "serve", cwd=place)
    _printed(server, "export")
    status = start_cli("status", "--storage", url, cwd=place)
    assert "finished" in status.communicate(timeout=60)[0]
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=60)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)


def test_a_server_and_another_storage_are_one_too_many(place: Path) -> None:
    done = start_cli("run", "tiny.toml", "--serve-host", "127.0.0.1", cwd=place)
    assert "got --serve-host without --serve; give both" in done.communicate(timeout=60)[1]
    done = start_cli("run", "none.toml", "--serve", cwd=place)
    assert "none.toml" in done.communicate(timeout=60)[1]
    assert done.returncode == 2
    assert [path.name for path in place.iterdir()] == ["tiny.toml"]
