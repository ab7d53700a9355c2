from __future__ import annotations

from pathlib import Path

from moo_bnas.definition import Definition
from moo_bnas.driver.candidates import candidate
from moo_bnas.driver.run import open_run
from moo_bnas.processes import here
from moo_bnas.results.status import read_status
from moo_bnas.storage import Storage
from tests.driver.test_lease import dead_pid  # noqa: F401 (a fixture)
from tests.fakes import evaluation


def _storage(folder: Path) -> Storage:
    return Storage(f"sqlite:///{folder}/x.db", create=True)


def test_status_tells_who_is_silent_and_who_has_left(tmp_path: Path, tiny: Definition) -> None:
    run = open_run(_storage(tmp_path), "s", tiny, "pareto", 0)
    workers = run.storage.workers
    workers.join(run.study, "at work", "elsewhere", 1, "cpu", 60.0)
    workers.join(run.study, "silent", "elsewhere", 2, "cpu", -1.0)  # its grace is over
    workers.join(run.study, "left", "elsewhere", 3, "cpu", 60.0)
    workers.leave("left")
    found = read_status(run.storage, "s")
    assert [w.row.worker for w in found.workers] == ["at work"]
    assert "workers      1 at work, 1 silent, 1 have left" in found.as_text()
    document = found.as_document()
    assert (document["workers_silent"], document["workers_gone"]) == (1, 1)


def test_no_time_is_left_while_nobody_drives(tmp_path: Path, tiny: Definition) -> None:
    run = open_run(_storage(tmp_path), "s", tiny, "pareto", 0)
    space = tiny.make_space()
    run.storage.trials.submit(run.study, space, [candidate(tiny, space.uniform(1.0), "binary")])
    workers = run.storage.workers
    workers.join(run.study, "w", "elsewhere", 1, "cpu", 60.0)
    claim = run.storage.claims.take([run.study], "w", {"binary": "f" * 64, "full": "g" * 64})
    assert claim is not None
    assert run.storage.claims.finish(
        claim,
        "w",
        evaluation(50.0, train_seconds=3.0),
        {"accuracy": 50.0, "flops": 1.0, "fitness": 49.0},
    )
    assert read_status(run.storage, "s").seconds_left is None
    assert run.storage.leases.take(run.study, "token", "elsewhere", 2, 60.0, None)
    # 18 candidates in all, one is done, one worker
    assert read_status(run.storage, "s").seconds_left == 17 * 3.0


def test_status_tells_which_driver_lives(
    tmp_path: Path,
    tiny: Definition,
    dead_pid: int,  # noqa: F811
) -> None:
    run = open_run(_storage(tmp_path), "s", tiny, "pareto", 0)
    none = "driver       none: resume with the same moo-bnas run"
    leases = run.storage.leases
    for host, pid, grace, lives in (
        ("host/boot", 123, 60.0, True),
        ("host/boot", 123, -1.0, False),
        (here()[0], dead_pid, 60.0, False),
    ):
        assert leases.take(run.study, "token", host, pid, grace, None)
        found = read_status(run.storage, "s")
        assert (none not in found.as_text()) == lives
        assert (found.as_document()["driver"] is not None) == lives
        if lives:
            assert "driver       process 123 on host, since " in found.as_text()
            assert found.as_document()["driver"].keys() == {"host", "pid", "since_seconds"}
    run.storage.studies.set_attributes(run.study, {"finished": True})
    assert "driver" not in read_status(run.storage, "s").as_text()
