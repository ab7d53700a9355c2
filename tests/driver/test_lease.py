from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from moo_bnas.driver import lease
from moo_bnas.driver.lease import driver_lease
from moo_bnas.errors import StudyHeldError
from moo_bnas.processes import has_exited, here
from moo_bnas.storage import Storage, Study, pareto_metrics


@pytest.fixture
def study(storage: Storage) -> Study:
    return storage.studies.ensure("s", pareto_metrics("flops"), {"definition": {}})


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_lease_is_held_and_given_back(storage: Storage, study: Study, lines: list[str]) -> None:
    with driver_lease(storage, study, lines.append):
        held = storage.leases.read(study)
        assert held is not None
        assert (held.host, held.pid) == here()
    assert storage.leases.read(study) is None
    assert lines == []


def test_a_second_driver_is_refused_with_who_drives(
    storage: Storage, study: Study, lines: list[str]
) -> None:
    host, living = here()[0], os.getppid()
    storage.leases.take(study, "old", host, living, 60.0, None)
    name = socket.gethostname()
    message = rf"study 's' is driven by process {living} on {name} since \d+ s; wait for it, stop"
    with (
        pytest.raises(StudyHeldError, match=message),
        driver_lease(storage, study, lines.append),
    ):
        pass


def test_the_lease_of_a_process_of_this_very_number_is_taken_over(
    storage: Storage, study: Study, lines: list[str]
) -> None:
    storage.leases.take(study, "old", *here(), 60.0, None)  # as process 1 of a restarted container
    with driver_lease(storage, study, lines.append):
        pass
    assert lines == []


def test_the_lease_of_a_dead_process_of_this_host_is_taken_over_at_once(
    storage: Storage, study: Study, lines: list[str], dead_pid: int
) -> None:
    assert has_exited(here()[0], dead_pid)
    assert storage.leases.take(study, "old", here()[0], dead_pid, 60.0, None)
    with driver_lease(storage, study, lines.append):
        held = storage.leases.read(study)
        assert held is not None
        assert held.pid == here()[1]
    assert lines == []


def test_the_lease_of_another_host_is_taken_over_once_it_has_run_out(
    storage: Storage, study: Study, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_POLL", 0.05)
    storage.leases.take(study, "old", "elsewhere", 1, 1.0, None)
    with driver_lease(storage, study, lines.append):
        held = storage.leases.read(study)
        assert held is not None
        assert held.token != "old"


def test_the_lease_of_another_host_that_is_renewed_is_respected(
    storage: Storage, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_POLL", 0.05)
    storage.leases.take(study, "old", "elsewhere", 1, 6.0, None)
    reads = storage.leases.read
    looks = iter(range(100))

    def read(of: Study) -> object:
        if next(looks) == 60:  # after three seconds, since SQLite stores whole ones
            storage.leases.renew(study, "old")
        return reads(of)

    monkeypatch.setattr(storage.leases, "read", read)
    lines: list[str] = []
    with (
        pytest.raises(StudyHeldError, match="driven by process 1 on elsewhere"),
        driver_lease(storage, study, lines.append),
    ):
        pass
    assert any("taking over in 5 s unless it is heard of" in line for line in lines)


def test_a_driver_whose_lease_was_taken_over_is_stopped(
    storage: Storage, study: Study, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with driver_lease(storage, study, lines.append, heartbeat=0.0) as renew:
        renew()
        held = storage.leases.read(study)
        assert held is not None
        assert storage.leases.take(study, "new", "elsewhere", 1, 60.0, held.token)
        with pytest.raises(StudyHeldError, match="another driver has taken over study 's'"):
            renew()
    after = storage.leases.read(study)
    assert after is not None
    assert after.token == "new"  # not given back by the one that lost it


def test_of_two_that_find_a_lease_gone_one_takes_it(storage: Storage, study: Study) -> None:
    storage.leases.take(study, "old", "elsewhere", 1, 60.0, None)
    assert storage.leases.take(study, "one", "a", 1, 60.0, "old")
    assert not storage.leases.take(study, "other", "b", 2, 60.0, "old")
