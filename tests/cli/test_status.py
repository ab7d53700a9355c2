"""`moo-bnas status` as a user types it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import optuna
import pytest
from click.testing import CliRunner

from moo_bnas.cli import cli as commands
from moo_bnas.definition import Definition
from moo_bnas.driver.run import open_run
from moo_bnas.storage import Storage
from tests.conftest import Cli, start_cli


def test_watching_a_study_that_is_deleted_ends_with_a_line_of_its_own(
    tmp_path: Path,
    tiny: Definition,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "moo_bnas")  # the command sets it; this puts it back
    url = f"sqlite:///{tmp_path}/moo-bnas.db"
    open_run(Storage(url, create=True), "s", tiny, "pareto", 0)

    def delete(storage: Storage) -> None:
        for name in ("s", "s.baselines"):
            optuna.delete_study(study_name=name, storage=storage.optuna)

    monkeypatch.setattr(Storage, "rest", delete)  # between the first look and the second
    ended = CliRunner().invoke(commands, ["status", "--watch", "--storage", url])
    assert str(ended.exception).endswith(
        "holds no study; begin one with `moo-bnas run`, or give another --storage"
    )
    assert ended.stdout.startswith("s (pareto): not finished\n")
    assert ended.stdout.endswith("workers      0 at work\n")


@pytest.mark.slow
def test_status_shows_who_works_at_what_speed_until_the_run_is_over(
    tmp_path: Path, tiny_path: Path, cli: Cli
) -> None:
    driver = start_cli("run", tiny_path, "--workers", "0", cwd=tmp_path)
    while not cli("status").stdout.startswith("tiny-pareto-s0"):
        assert driver.poll() is None
    one = cli("worker", "--stop-after", "2")
    assert one.returncode == 0
    assert "leaving after 2 candidates, the limit" in one.stderr

    watch = start_cli("status", "--watch", cwd=tmp_path)
    driver.send_signal(signal.SIGSTOP)  # so that the run cannot end before it was looked at
    worker = start_cli("worker", cwd=tmp_path)
    assert worker.stderr is not None
    while "accuracy" not in worker.stderr.readline():
        assert worker.poll() is None
    (mine,) = json.loads(cli("status", "--json").stdout)["workers"]
    assert (mine["pid"], mine["device"]) == (worker.pid, "cpu")
    assert mine["images_per_second"] > 0
    driver.send_signal(signal.SIGCONT)
    driver.communicate(timeout=120)
    worker.communicate(timeout=120)
    assert driver.returncode == worker.returncode == 0
    out, _ = watch.communicate(timeout=60)
    assert watch.returncode == 0
    assert "tiny-pareto-s0 (pareto): finished" in out
    assert "0 at work, 2 have left" in out
