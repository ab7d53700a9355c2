from __future__ import annotations

import os
from pathlib import Path

import pytest

from moo_bnas.driver.local_workers import (
    MAX_DEATHS,
    LocalOptions,
    LocalWorkers,
    local_devices,
)
from moo_bnas.errors import WorkersError


def _worker(url: str, folder: Path) -> LocalWorkers:
    return LocalWorkers("s", LocalOptions(url, ("cpu",), folder, folder))


def test_workers_that_keep_dying_end_the_run_with_their_last_words(tmp_path: Path) -> None:
    workers = _worker(f"sqlite:///{tmp_path}/none.db", tmp_path)
    workers.start()
    for _ in range(MAX_DEATHS - 1):
        workers._processes[0].wait(60)
        workers.check(progressed=False)
    workers._processes[0].wait(60)
    with pytest.raises(WorkersError) as caught:
        workers.check(progressed=False)
    message = str(caught.value)
    assert f"{MAX_DEATHS} local workers died in a row, the last with exit code 1" in message
    assert "there is no file" in message
    assert str(tmp_path / "worker-0.log") in message
    workers.stop()


def test_wrong_usage_of_a_worker_is_final(tmp_path: Path) -> None:
    workers = LocalWorkers("s", LocalOptions("sqlite:///x.db", ("gpu",), tmp_path, tmp_path))
    workers.start()
    workers._processes[0].wait(60)
    with pytest.raises(WorkersError, match="got 'gpu', expected auto, cpu or cuda:N"):
        workers.check(progressed=False)
    workers.stop()


def test_progress_forgives_deaths(tmp_path: Path) -> None:
    workers = _worker(f"sqlite:///{tmp_path}/none.db", tmp_path)
    workers.start()
    for _ in range(MAX_DEATHS):
        workers._processes[0].kill()
        workers._processes[0].wait()
        workers.check(progressed=True)
    workers.stop()
    assert not workers._processes


@pytest.mark.slow
def test_the_password_is_not_on_the_command_line(tmp_path: Path) -> None:
    workers = _worker("postgresql://me:secret@host/db", tmp_path)
    workers.start()
    arguments = workers._processes[0].args
    workers.stop()
    assert "secret" not in repr(arguments)
    assert "secret" not in (tmp_path / "worker-0.log").read_text()


def test_devices_are_counted() -> None:
    assert local_devices(3, "cpu") == ("cpu",) * 3
    assert local_devices(0, "auto") == ()
    assert local_devices(None, "cpu") == ("cpu",) * len(os.sched_getaffinity(0))


def test_gpus_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moo_bnas.driver.local_workers.count_gpus", lambda: 2)
    assert local_devices(None, "auto") == ("cuda:0", "cuda:1")
    assert local_devices(3, "auto") == ("cuda:0", "cuda:1", "cuda:0")
    assert local_devices(2, "cuda:1") == ("cuda:1", "cuda:1")


def test_processes_of_one_worker_take_the_gpus_of_their_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("moo_bnas.driver.local_workers.count_gpus", lambda: 2)
    assert local_devices(None, "auto", processes=2) == ("auto",)
    assert local_devices(3, "auto", processes=2) == ("auto",) * 3
