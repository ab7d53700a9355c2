"""`moo-bnas worker` as a user types it."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import LOCAL
from tests.conftest import Cli, start_cli
from tests.data.trees import plant


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_all_workers_of_a_run_need_the_same_data(
    cli: Cli, folder_path: Path, tmp_path: Path
) -> None:
    for name in ("one", "other"):
        plant(tmp_path / name / "set" / "train", images=10, size=8)
    shutil.copy(
        tmp_path / "other" / "set" / "train" / "a" / "001.png",
        tmp_path / "other" / "set" / "train" / "a" / "000.png",
    )
    short = ("--generations", "1", "--population", "2")
    done = cli("run", folder_path, *LOCAL, *short, "--data-root", "one")
    assert done.returncode == 0, done.stderr
    wrong = cli("worker", "--data-root", "other", "--max-idle", "0.01")
    assert wrong.returncode == 3
    assert re.search(r"have the content hash \w+, but study .* was begun on", wrong.stderr)
    assert "Traceback" not in wrong.stderr


def test_a_worker_asked_to_stop_while_it_decodes_leaves_at_once(
    cli: Cli, folder_path: Path, tmp_path: Path
) -> None:
    driver = start_cli("run", folder_path, "--workers", "0", cwd=tmp_path)
    while not cli("status").stdout.startswith("folder-pareto-s0"):
        assert driver.poll() is None
    plant(tmp_path / "data" / "set" / "train", images=3, size=8)
    pipe = tmp_path / "data" / "set" / "train" / "a" / "slow.png"
    os.mkfifo(pipe)
    worker = start_cli("worker", "--data-root", "data", cwd=tmp_path)
    with pipe.open("wb"):  # blocks until the worker reads it
        worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=60)
    assert (worker.returncode, out) == (0, "")
    assert "Traceback" not in err
    driver.send_signal(signal.SIGTERM)
    driver.communicate(timeout=60)
