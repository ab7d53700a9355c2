"""Several processes that share a final training, as the command starts them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from moo_bnas.models.model_file import parse_model
from tests.conftest import TINY, Cli, start_cli
from tests.driving import FINAL, PARENT
from tests.fork_server import VARIABLE
from tests.process_trees import listening, tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads processes from /proc")


@pytest.fixture
def training(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A final training of two processes that takes long, after its first epochs."""
    (tmp_path / "tiny.toml").write_text(TINY + FINAL)
    command = ("train", "tiny.toml", "--ratios", "1", "--processes", "2", "--epochs", "100000")
    # Not forked: its children are looked for.
    driver = start_cli(*command, cwd=tmp_path, TMPDIR=str(tmp_path), **{VARIABLE: ""})
    while len(list(tmp_path.glob("moo-bnas-artifacts/*"))) < 2:
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.05)
    yield driver
    driver.terminate()
    driver.communicate()


def _log(folder: Path) -> str:
    return (folder / "runs" / "tiny-pareto-s0" / "worker-0.log").read_text()


def _wait_for(pattern: str, folder: Path) -> None:
    while not re.search(pattern, _log(folder)):
        time.sleep(0.05)


@pytest.mark.slow
def test_no_port_of_several_processes_can_be_reached_from_another_machine(
    tmp_path: Path, training: subprocess.Popen[str]
) -> None:
    driver, worker, follower = tree(training.pid)
    assert listening([driver]) == set()
    found = listening([worker, follower])
    assert found, "gloo is expected to listen"
    assert all(address.is_loopback for address in found), found
    (folder,) = tmp_path.glob("moo-bnas-group-*")
    assert folder.stat().st_mode & 0o77 == 0
    training.send_signal(signal.SIGTERM)
    training.wait()
    assert not list(tmp_path.glob("moo-bnas-group-*"))
    for pid in (worker, follower):
        assert not Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_when_one_of_several_processes_is_killed_another_worker_continues(
    tmp_path: Path, training: subprocess.Popen[str]
) -> None:
    _, worker, follower = tree(training.pid)
    os.kill(follower, signal.SIGKILL)
    _wait_for("process 1 of 2 has ended with exit code -9", tmp_path)
    _wait_for(r"continuing with epoch \d+", tmp_path)
    _, worker, follower = tree(training.pid)
    os.kill(worker, signal.SIGKILL)
    _wait_for(r"(?s)continuing with epoch.*continuing with epoch", tmp_path)
    assert not Path(f"/proc/{follower}").exists()


@pytest.mark.slow
def test_two_processes_share_a_final_training(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "tiny.toml").write_text(TINY + FINAL)
    ran = cli("train", "tiny.toml", "--ratios", "1", "--processes", "2", "--workers", "1")
    assert ran.returncode == 0, ran.stderr
    (path,) = tmp_path.glob("runs/*/uniform-1x/model.safetensors")
    card = parse_model(path.read_bytes(), "it").card
    assert card.made["device"] == "2x cpu"
    assert len(card.made["loss_per_epoch"]) == 3


@pytest.mark.slow
def test_processes_that_share_a_training_begin_with_the_weights_of_the_parent(
    tmp_path: Path, cli: Cli
) -> None:
    # At such a learning rate weights stay as they are.
    standing = FINAL.replace("0.2", "1e-30").replace("[final]", "[final]\ninherits = true")
    (tmp_path / "tiny.toml").write_text(TINY + PARENT + standing)
    command = ("train", "tiny.toml", "--ratios", "1", "--processes", "2", "--workers", "1")
    refused = cli(*command)
    assert refused.returncode == 2
    assert "is not trained yet; train it with `moo-bnas parent` or" in refused.stderr
    for arguments in (("parent", "tiny.toml"), command):
        ran = cli(*arguments)
        assert ran.returncode == 0, ran.stderr
    (path,) = tmp_path.glob("runs/*/uniform-1x/model.safetensors")
    model = parse_model(path.read_bytes(), "it")
    assert model.card.made["recipe"]["inherits"]
    weights = max(tmp_path.glob("moo-bnas-artifacts/*"), key=lambda p: p.stat().st_size)
    wide = safetensors.numpy.load(weights.read_bytes())["layers.conv4.weight"]
    assert np.array_equal(model.arrays["layers.conv4.weight"], wide[:8, :8])
