"""Forked processes are started, fed, stopped and killed as those of `subprocess` are."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Cli, start_cli
from tests.fork_server import Forked


def test_it_ends_with_its_own_code_and_output(cli: Cli) -> None:
    version = cli("--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith("moo-bnas, version ")
    wrong = cli("run", "nothing")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "got the definition 'nothing'" in wrong.stderr


def test_it_works_in_its_folder_with_its_environment(cli: Cli, tmp_path: Path) -> None:
    status = cli("status", MOO_BNAS_STORAGE="sqlite:///elsewhere.db")
    assert status.returncode == 1
    assert "elsewhere.db" in status.stderr
    assert cli("new", "own.toml").returncode == 0
    assert (tmp_path / "own.toml").is_file()


def test_it_can_be_killed(tmp_path: Path) -> None:
    process = start_cli("worker", "--wait", cwd=tmp_path)
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0)
    process.kill()
    assert process.wait() == process.poll() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_another_import_path_starts_python(tmp_path: Path) -> None:
    process = start_cli("--version", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert isinstance(process, Forked)
    assert b"fork_server" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert process.communicate()[1] == ""
