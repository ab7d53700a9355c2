"""The storage contract, case by case, over every kind of database."""

from __future__ import annotations

import multiprocessing
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.pool import NullPool

from moo_bnas.errors import DataError, StorageAwayError, StorageError
from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import Genotype, SearchSpace
from moo_bnas.storage import (
    MAX_DEVICE_ERRORS,
    MAX_LOSSES,
    PARETO_METRICS,
    SCALAR_METRICS,
    Candidate,
    Claim,
    Storage,
    Study,
    WorkerRow,
    database,
)

ATTRIBUTES = {"definition": {"x": 1}, "mode": "pareto", "finished": False}
PRINTS = {"binary": "b" * 64, "full": "f" * 64}
RESULT = {"accuracy": 91.5, "worker": "w", "epochs": 2}
SCORES = {"accuracy": 91.5, "flops": 7.0, "fitness": 80.25}


def _candidate(genotype: Genotype, cost: float = 1.0, precision: Precision = "binary") -> Candidate:
    return Candidate(genotype, precision, cost, {"genotype": list(genotype), "generation": 1})


def _study(storage: Storage, name: str = "s", metrics: Sequence[str] = PARETO_METRICS) -> Study:
    return storage.studies.ensure(name, metrics, ATTRIBUTES)


def _submit(storage: Storage, space: SearchSpace, *genotypes: Genotype, name: str = "s") -> Study:
    study = _study(storage, name)
    storage.trials.submit(study, space, [_candidate(g) for g in genotypes])
    return study


def _take(storage: Storage, *studies: Study, worker: str = "w") -> Claim:
    claim = storage.claims.take(studies, worker, PRINTS)
    assert claim is not None
    return claim


def _silence(storage_url: str) -> None:
    """Makes the last heartbeat of every claim years old."""
    with create_engine(storage_url, poolclass=NullPool).begin() as connection:
        connection.execute(text("UPDATE moo_bnas_trials SET heartbeat = '2020-01-01 00:00:00'"))


def _lose(storage: Storage) -> None:
    """Has the silent claim returned that there is."""
    assert storage.claims.return_lost(_never) == 0
    storage.claims._silent = dict.fromkeys(storage.claims._silent, 60.0)  # half a minute later
    assert storage.claims.return_lost(_never) == 1


def _never(_: WorkerRow) -> bool:
    return False


def _always(_: WorkerRow) -> bool:
    return True


# ---- studies -------------------------------------------------------------------------------


def test_a_study_is_made_once_and_opened_after(storage: Storage) -> None:
    made = _study(storage)
    again = storage.studies.ensure("s", PARETO_METRICS, {**ATTRIBUTES, "mode": "scalar"})
    assert made == again == storage.studies.open("s")
    assert made.attributes["mode"] == "pareto"
    assert made.metrics == PARETO_METRICS


def test_a_study_whose_making_was_cut_short_is_completed(
    storage: Storage, storage_url: str
) -> None:
    optuna.create_study(storage=storage_url, study_name="s", directions=["maximize", "minimize"])
    assert storage.studies.names() == []
    assert _study(storage).attributes == ATTRIBUTES


def test_a_study_of_another_program_is_refused(storage: Storage, storage_url: str) -> None:
    foreign = optuna.create_study(storage=storage_url, study_name="s")
    foreign.optimize(lambda _: 1.0, n_trials=1)
    with pytest.raises(StorageError, match="study 's' .* was not made by moo-bnas; choose another"):
        _study(storage)


def test_an_unknown_study_is_answered_with_those_there_are(storage: Storage) -> None:
    for look in (lambda: storage.studies.open("two"), lambda: storage.studies.choose(None)):
        with pytest.raises(StorageError, match="holds no study; begin one with `moo-bnas run`"):
            look()
    _study(storage, "one")
    _study(storage, "one.baselines")
    with pytest.raises(StorageError, match="belongs to the run 'one'; give --study-name one"):
        storage.studies.choose("one.baselines")
    with pytest.raises(StorageError, match="holds no study 'two', only one; give one"):
        storage.studies.open("two")
    assert storage.studies.choose(None) == "one"
    _study(storage, "other")
    with pytest.raises(StorageError, match=r"holds 2 studies \(one, other\)"):
        storage.studies.choose(None)


def test_other_data_than_the_first_workers_are_refused(storage: Storage) -> None:
    study = _study(storage)
    storage.studies.agree_on_data(study, "a" * 64)
    storage.studies.agree_on_data(study, "a" * 64)
    with pytest.raises(DataError, match="content hash bbbbbbbbbbbb, but study 's' .* aaaaaaaaaaaa"):
        storage.studies.agree_on_data(study, "b" * 64)


# ---- submitting ----------------------------------------------------------------------------


def test_optuna_reads_the_result_as_an_ordinary_study(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = _submit(storage, space, (0, 2), (1, 1))
    storage.claims.finish(_take(storage, study), "w", RESULT, SCORES)
    loaded = optuna.load_study(study_name="s", storage=storage_url)
    assert [d.name for d in loaded.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert loaded.metric_names == ["accuracy", "flops"]
    done, waiting = loaded.trials
    assert (done.number, done.state, done.values) == (0, TrialState.COMPLETE, [91.5, 7.0])
    assert done.params == {"conv1": 0.5, "conv2": 2.0}
    assert done.distributions["conv1"] == optuna.distributions.CategoricalDistribution(
        (0.5, 1.0, 2.0)
    )
    assert done.user_attrs == {**RESULT, "genotype": [0, 2], "generation": 1}
    assert done.datetime_start is not None
    assert done.datetime_complete is not None
    assert done.datetime_complete >= done.datetime_start
    assert (waiting.number, waiting.state) == (1, TrialState.WAITING)
    assert loaded.best_trials == [done]


def test_the_value_of_a_scalar_study_is_the_fitness(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = _study(storage, metrics=SCALAR_METRICS)
    storage.trials.submit(study, space, [_candidate((0, 0))])
    storage.claims.finish(_take(storage, study), "w", RESULT, SCORES)
    loaded = optuna.load_study(study_name="s", storage=storage_url)
    assert loaded.best_value == 80.25
    assert loaded.direction.name == "MAXIMIZE"


def test_submitting_again_makes_nothing_twice(storage: Storage, space: SearchSpace) -> None:
    _submit(storage, space, (0, 0), (0, 1))
    study = _submit(storage, space, (0, 1), (2, 2))
    trials = storage.trials.read(study)
    assert [(t.number, t.genotype) for t in trials] == [(0, (0, 0)), (1, (0, 1)), (2, (2, 2))]


def test_one_genotype_at_two_precisions_is_two_trials(storage: Storage, space: SearchSpace) -> None:
    study = _study(storage)
    twins = [_candidate((0, 0)), _candidate((0, 0), precision="full")]
    storage.trials.submit(study, space, twins)
    assert [t.precision for t in storage.trials.read(study)] == ["binary", "full"]


def test_reading_some_genotypes_and_counting(storage: Storage, space: SearchSpace) -> None:
    study = _submit(storage, space, (0, 0), (1, 1), (2, 2))
    storage.claims.fail(_take(storage, study), "because")
    _take(storage, study)
    assert storage.trials.counts(study) == {"complete": 0, "running": 1, "waiting": 1, "fail": 1}
    (read,) = storage.trials.read(study, [(0, 0)])
    assert (read.state, read.attributes["fail_reason"]) == ("fail", "because")


# ---- claiming and finishing ----------------------------------------------------------------


def test_trials_made_while_others_are_read_do_not_matter(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = _submit(storage, space, (0, 0))
    others = iter([(0, 1)])

    def meanwhile(*_: object) -> None:
        for genotype in others:  # once, after the first statement
            _submit(Storage(storage_url), space, genotype)

    event.listen(storage._database.engine, "after_cursor_execute", meanwhile)
    read = storage.trials.read(study)
    assert [t.genotype for t in read] == [(0, 0)]
    assert read[0].attributes["genotype"] == [0, 0]
    assert [t.genotype for t in storage.trials.read(study)] == [(0, 0), (0, 1)]


def test_the_dearest_waiting_trial_of_the_first_study_is_claimed_first(
    storage: Storage, space: SearchSpace
) -> None:
    first, second = _study(storage, "first"), _study(storage, "second")
    storage.trials.submit(second, space, [_candidate((2, 2), 99.0)])
    storage.trials.submit(
        first, space, [_candidate((0, 0), 1.0), _candidate((1, 1), 3.0), _candidate((0, 1), 2.0)]
    )
    taken = [_take(storage, first, second).genotype for _ in range(4)]
    assert taken == [(1, 1), (0, 1), (0, 0), (2, 2)]
    assert storage.claims.take([first, second], "w", PRINTS) is None


def test_a_trial_tells_when_it_was_begun_and_ended(storage: Storage, space: SearchSpace) -> None:
    study = _submit(storage, space, (0, 0))
    (waiting,) = storage.trials.read(study)
    assert (waiting.started, waiting.ended) == (None, None)
    claim = _take(storage, study)
    (running,) = storage.trials.read(study)
    assert running.started is not None
    assert running.ended is None
    storage.claims.finish(claim, "w", RESULT, SCORES)
    (ended,) = storage.trials.read(study)
    assert ended.started == running.started
    assert ended.ended is not None
    assert ended.ended >= running.started


def test_a_finish_writes_all_or_nothing_and_only_once(storage: Storage, space: SearchSpace) -> None:
    study = _submit(storage, space, (0, 0))
    claim = _take(storage, study)
    assert storage.claims.finish(claim, "w", RESULT, SCORES)
    # Said again after a lost acknowledgement it has succeeded, and nothing is written twice.
    assert storage.claims.finish(claim, "w", {**RESULT, "accuracy": 1.0}, SCORES)
    (trial,) = storage.trials.read(study)
    assert trial.attributes["accuracy"] == 91.5


def test_a_claim_that_was_taken_away_finishes_nothing(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = _submit(storage, space, (0, 0))
    lost = _take(storage, study, worker="slow")
    _silence(storage_url)
    _lose(storage)
    fresh = _take(storage, study, worker="other")
    assert (fresh.number, fresh.trial_id) == (lost.number, lost.trial_id)
    assert not storage.claims.finish(lost, "w", {**RESULT, "accuracy": 1.0}, SCORES)
    assert not storage.claims.fail(lost, "late")
    assert not storage.claims.release(lost)
    assert storage.claims.finish(fresh, "w", RESULT, SCORES)
    assert not storage.claims.finish(lost, "w", {**RESULT, "accuracy": 1.0}, SCORES)
    assert storage.trials.read(study)[0].attributes["accuracy"] == 91.5


def test_a_released_claim_waits_again_in_place(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = _submit(storage, space, (0, 0))
    claim = _take(storage, study)
    assert storage.claims.release(claim)
    (trial,) = optuna.load_study(study_name="s", storage=storage_url).trials
    assert (trial.number, trial.state, trial.datetime_start) == (0, TrialState.WAITING, None)
    assert _take(storage, study).number == 0


def test_claims_of_dead_workers_return_at_once_and_those_of_living_ones_do_not(
    storage: Storage, space: SearchSpace
) -> None:
    study = _submit(storage, space, (0, 0), (1, 1))
    for worker in ("dead", "alive"):
        storage.workers.join(study, worker, "host", 1, "cpu", 60.0)
        _take(storage, study, worker=worker)
    assert storage.claims.return_lost(lambda w: w.worker == "dead") == 1
    assert storage.trials.counts(study)["running"] == 1
    assert storage.claims.return_lost(_never) == 0


def test_a_heartbeat_keeps_a_claim(storage: Storage, storage_url: str, space: SearchSpace) -> None:
    study = _submit(storage, space, (0, 0))
    claim = _take(storage, study)
    _silence(storage_url)
    storage.claims.beat("w", claim)
    assert storage.claims.return_lost(_never) == 0


def test_a_claim_that_was_silent_is_lost_once_that_was_watched(
    storage: Storage, storage_url: str, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0
    monkeypatch.setattr("moo_bnas.storage.claims.time.monotonic", lambda: clock)
    study = _submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "host", 1, "cpu", grace=6.0)
    claim = _take(storage, study)
    for _ in range(3):
        _silence(storage_url)
        assert storage.claims.return_lost(_never) == 0  # the first look, after a long outage, say
        clock += 2.9
        assert storage.claims.return_lost(_never) == 0
        storage.claims.beat("w", claim)  # it was only the outage
        assert storage.claims.return_lost(_never) == 0
    _silence(storage_url)
    assert storage.claims.return_lost(_never) == 0
    clock += 3.1
    assert storage.claims.return_lost(_never) == 1


def test_a_suspended_driver_blames_nobody(
    storage: Storage, storage_url: str, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0
    monkeypatch.setattr("moo_bnas.storage.claims.time.monotonic", lambda: clock)
    study = _submit(storage, space, (0, 0))
    _take(storage, study)  # of a worker with the usual grace of 60 s
    _silence(storage_url)
    assert storage.claims.return_lost(_never) == 0
    clock += 3600  # a lid was closed; one look counts for 5 s at most
    assert storage.claims.return_lost(_never) == 0
    for _ in range(4):
        clock += 5
        assert storage.claims.return_lost(_never) == 0
    clock += 5
    assert storage.claims.return_lost(_never) == 1


def test_a_trial_that_is_lost_too_often_fails(storage: Storage, space: SearchSpace) -> None:
    study = _submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "host", 1, "cpu", 60.0)
    for _ in range(MAX_LOSSES):
        assert storage.trials.counts(study)["fail"] == 0
        _take(storage, study)
        assert storage.claims.return_lost(_always) == 1
    (trial,) = storage.trials.read(study)
    assert trial.state == "fail"
    assert trial.attributes["fail_reason"] == f"its worker was lost {MAX_LOSSES} times"
    assert storage.claims.take([study], "w", PRINTS) is None


def test_giving_back_is_not_a_loss(storage: Storage, space: SearchSpace) -> None:
    study = _submit(storage, space, (0, 0))
    for _ in range(MAX_LOSSES + 1):
        storage.claims.release(_take(storage, study))
    assert storage.trials.counts(study)["waiting"] == 1


def test_out_of_memory_is_tried_once_more_alone_in_place(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = _submit(storage, space, (0, 0))
    claim = _take(storage, study)
    assert claim.alone is False
    assert not storage.claims.retry(claim, "4 GiB are wanted", memory=True)
    (trial,) = optuna.load_study(study_name="s", storage=storage_url).trials
    assert (trial.number, trial.state, trial.datetime_start) == (0, TrialState.WAITING, None)
    storage.claims.release(_take(storage, study))  # what was not tried is still to be tried alone
    claim = _take(storage, study)
    assert claim.alone is True
    assert storage.claims.retry(claim, "4 GiB are wanted", memory=True)
    (failed,) = storage.trials.read(study)
    assert failed.state == "fail"
    reason = "out of memory, also alone on the device: 4 GiB are wanted"
    assert failed.attributes["fail_reason"] == reason
    assert storage.claims.take([study], "w", PRINTS) is None


def test_what_was_tried_alone_may_be_finished(storage: Storage, space: SearchSpace) -> None:
    study = _submit(storage, space, (0, 0))
    storage.claims.retry(_take(storage, study), "4 GiB are wanted", memory=True)
    assert storage.claims.finish(_take(storage, study), "w", RESULT, SCORES)
    (trial,) = storage.trials.read(study)
    assert trial.state == "complete"
    assert "fail_reason" not in trial.attributes


def test_device_errors_are_tried_again_up_to_a_number(storage: Storage, space: SearchSpace) -> None:
    study = _submit(storage, space, (0, 0))
    for _ in range(MAX_DEVICE_ERRORS - 1):
        assert not storage.claims.retry(_take(storage, study), "the bus is gone", memory=False)
        assert storage.trials.counts(study)["waiting"] == 1
    # Running out of memory is another matter, and takes nothing from these tries.
    assert not storage.claims.retry(_take(storage, study), "4 GiB are wanted", memory=True)
    claim = _take(storage, study)
    assert claim.device_errors == MAX_DEVICE_ERRORS - 1
    assert storage.claims.retry(claim, "the bus is gone", memory=False)
    (failed,) = storage.trials.read(study)
    assert failed.state == "fail"
    reason = f"the device failed {MAX_DEVICE_ERRORS} times, at last: the bus is gone"
    assert failed.attributes["fail_reason"] == reason


def test_another_try_is_not_a_loss(storage: Storage, space: SearchSpace) -> None:
    study = _submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "host", 1, "cpu", 60.0)
    storage.claims.retry(_take(storage, study), "the bus is gone", memory=False)
    storage.claims.retry(_take(storage, study), "4 GiB are wanted", memory=True)
    for _ in range(MAX_LOSSES):
        assert storage.trials.counts(study)["fail"] == 0
        claim = _take(storage, study)
        assert (claim.alone, claim.device_errors) == (True, 1)  # and a loss is no try
        assert storage.claims.return_lost(_always) == 1
    assert storage.trials.counts(study)["fail"] == 1


@pytest.mark.parametrize("memory", [False, True])
def test_a_claim_that_was_taken_away_is_not_tried_again(
    storage: Storage, storage_url: str, space: SearchSpace, memory: bool
) -> None:
    study = _submit(storage, space, (0, 0))
    storage.claims.retry(_take(storage, study), "4 GiB are wanted", memory=True)
    lost = _take(storage, study, worker="slow")
    _silence(storage_url)
    _lose(storage)
    fresh = _take(storage, study, worker="other")
    assert not storage.claims.retry(lost, "late", memory=memory)
    assert storage.trials.counts(study)["running"] == 1
    assert storage.claims.finish(fresh, "other", RESULT, SCORES)


def test_a_trial_that_something_else_took_is_left_alone(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = _submit(storage, space, (0, 0))
    optuna.load_study(study_name="s", storage=storage_url).ask()
    assert storage.claims.take([study], "w", PRINTS) is None
    (trial,) = storage.trials.read(study)
    assert trial.state == "fail"
    assert trial.attributes["fail_reason"] == "another program took it out of the queue"


def test_workers_are_counted(storage: Storage, space: SearchSpace) -> None:
    study = _submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "host", 42, "cpu", 60.0)
    storage.claims.finish(_take(storage, study), "w", RESULT, SCORES)
    storage.claims.beat("w", None)
    (worker,) = storage.workers.read(study)
    assert (worker.host, worker.pid, worker.device, worker.evaluations) == ("host", 42, "cpu", 1)
    assert worker.is_recent
    storage.workers.leave("w")
    (worker,) = storage.workers.read(study)
    assert worker.has_left
    assert not worker.is_recent


# ---- lost acknowledgements -----------------------------------------------------------------


@pytest.fixture
def deaf(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes the next transaction commit, and then look as if the connection had been lost."""
    write, lost = storage._database.write, [False]

    @contextmanager
    def deaf_write() -> Iterator[Connection]:
        with write() as connection:
            yield connection
        if lost[0]:
            lost[0] = False
            raise StorageAwayError("the server closed the connection")

    def next_time() -> None:
        lost[0] = True

    monkeypatch.setattr(storage._database, "write", deaf_write)
    monkeypatch.setattr(database, "_FIRST_PAUSE", 0.01)
    return next_time


def test_a_finish_whose_acknowledgement_was_lost_counts_once(
    storage: Storage, space: SearchSpace, deaf: Callable[[], None]
) -> None:
    study = _submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "host", 1, "cpu", 60.0)
    claim = _take(storage, study)
    deaf()
    assert storage.claims.finish(claim, "w", RESULT, SCORES)
    assert storage.trials.counts(study)["complete"] == 1
    assert [w.evaluations for w in storage.workers.read(study)] == [1]


def test_a_failure_whose_acknowledgement_was_lost_counts_once(
    storage: Storage, space: SearchSpace, deaf: Callable[[], None]
) -> None:
    study = _submit(storage, space, (0, 0))
    claim = _take(storage, study)
    deaf()
    assert storage.claims.fail(claim, "because")
    assert storage.trials.counts(study)["fail"] == 1


def test_another_try_whose_acknowledgement_was_lost_counts_once(
    storage: Storage, space: SearchSpace, deaf: Callable[[], None]
) -> None:
    study = _submit(storage, space, (0, 0))
    deaf_retries = [(False, 1, False), (False, 2, False), (True, 2, True)]
    for memory, device_errors, alone in deaf_retries:
        claim = _take(storage, study)
        deaf()
        assert not storage.claims.retry(claim, "because", memory=memory)
        claim = _take(storage, study)
        assert (claim.device_errors, claim.alone) == (device_errors, alone)
        storage.claims.release(claim)
    claim = _take(storage, study)
    deaf()
    assert storage.claims.retry(claim, "because", memory=False)
    assert storage.trials.counts(study)["fail"] == 1


def test_a_submission_whose_acknowledgement_was_lost_makes_nothing_twice(
    storage: Storage, space: SearchSpace, deaf: Callable[[], None]
) -> None:
    study = _study(storage)
    deaf()
    storage.trials.submit(study, space, [_candidate((0, 0)), _candidate((1, 1))])
    assert [t.number for t in storage.trials.read(study)] == [0, 1]


def test_a_claim_whose_acknowledgement_was_lost_goes_stale(
    storage: Storage, storage_url: str, space: SearchSpace, deaf: Callable[[], None]
) -> None:
    study = _submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "host", 1, "cpu", 60.0)
    deaf()
    assert storage.claims.take([study], "w", PRINTS) is None  # as the worker sees it
    assert storage.trials.counts(study)["running"] == 1
    storage.claims.beat("w", None)  # the worker lives, but works on nothing
    _silence(storage_url)
    _lose(storage)
    assert _take(storage, study).number == 0


# ---- sharing evaluations -------------------------------------------------------------------


def test_a_known_evaluation_comes_with_the_claim_and_its_source(
    storage: Storage, space: SearchSpace
) -> None:
    one = _submit(storage, space, (0, 0), (1, 1), name="one")
    storage.claims.finish(_take(storage, one), "w", RESULT, SCORES)
    other = _submit(storage, space, (0, 0), name="other")
    claim = _take(storage, other)
    assert claim.known == {**RESULT, "copied_from": "one trial 0"}
    assert storage.claims.finish(claim, "w", claim.known, SCORES)


def test_an_evaluation_that_another_study_trains_is_passed_over_until_it_ends(
    storage: Storage, space: SearchSpace
) -> None:
    one = _submit(storage, space, (0, 0), name="one")
    training = _take(storage, one)
    other = _submit(storage, space, (0, 0), (1, 1), name="other")
    assert _take(storage, other).genotype == (1, 1)
    assert storage.claims.take([other], "w", PRINTS) is None
    storage.claims.release(training)
    assert _take(storage, other).known is None


def test_an_evaluation_that_is_to_be_tried_again_is_free_for_other_studies(
    storage: Storage, space: SearchSpace
) -> None:
    one = _submit(storage, space, (0, 0), name="one")
    other = _submit(storage, space, (0, 0), name="other")
    storage.claims.retry(_take(storage, one), "4 GiB are wanted", memory=True)
    claim = _take(storage, other)
    assert (claim.known, claim.alone) == (None, False)
    assert storage.claims.take([one], "w", PRINTS) is None
    storage.claims.finish(claim, "w", RESULT, SCORES)
    assert _take(storage, one).known == {**RESULT, "copied_from": "other trial 0"}


def test_a_lost_claim_of_another_study_is_returned_too(
    storage: Storage, space: SearchSpace
) -> None:
    one = _submit(storage, space, (0, 0), name="one")
    storage.workers.join(one, "dead", "host", 1, "cpu", 60.0)
    _take(storage, one, worker="dead")
    other = _submit(storage, space, (0, 0), name="other")
    assert storage.claims.take([other], "w", PRINTS) is None
    assert storage.claims.return_lost(lambda w: w.worker == "dead") == 1
    assert _take(storage, other).known is None


def test_a_study_that_was_deleted_with_optuna_leaves_nothing_behind(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    _study(storage, "older")
    study = _submit(storage, space, (0, 0), (1, 1))
    storage.claims.finish(_take(storage, study), "w", RESULT, SCORES)
    _take(storage, study)
    optuna.delete_study(study_name="s", storage=storage_url)
    again = _submit(storage, space, (0, 0), (1, 1), (2, 2))
    storage.trials.forget_deleted()
    assert [t.number for t in storage.trials.read(again)] == [0, 1, 2]
    assert storage.trials.counts(again)["waiting"] == 3
    # What was finished is still known (its source is not), what was only begun begins again.
    known = [_take(storage, again).known for _ in range(3)]
    assert sorted(k is None for k in known) == [False, True, True]
    assert RESULT in known
    older = _submit(storage, space, (0, 1), name="older")
    assert storage.trials.counts(older)["waiting"] == 1


def test_a_study_that_is_deleted_while_it_is_used_is_told_and_takes_no_rows(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = _submit(storage, space, (0, 0), (1, 1))
    held = [_take(storage, study), _take(storage, study)]
    assert storage.studies.look(study) == "idle"
    optuna.delete_study(study_name="s", storage=storage_url)
    assert not storage.claims.finish(held[0], "w", RESULT, SCORES)
    storage.claims.fail(held[1], "diverged")
    assert storage.studies.look(study) == "gone"
    optuna.create_study(study_name="mine", storage=storage_url)  # SQLite gives it the same id
    with pytest.raises(StorageError, match="study 's' is gone; was it deleted while it ran"):
        storage.studies.set_attributes(study, {"finished": True})
    with pytest.raises(StorageError, match="study 's' is gone"):
        storage.trials.submit(study, space, [_candidate((2, 2))])
    with storage._database.read() as connection:
        for table in ("trials", "trial_user_attributes", "trial_values", "study_user_attributes"):
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0  # noqa: S608


def test_a_foreign_study_that_got_the_ids_of_a_deleted_one_is_left_alone(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = _submit(storage, space, (0, 0), (1, 1))
    storage.workers.join(study, "dead", "host", 1, "cpu", 60.0)
    _take(storage, study, worker="dead")
    optuna.delete_study(study_name="s", storage=storage_url)
    foreign = optuna.create_study(study_name="mine", storage=storage_url)
    for _ in range(3):
        foreign.ask()
    foreign.enqueue_trial({})
    before = [(t.number, t.state) for t in foreign.trials]
    assert storage.claims.return_lost(_always) == 0
    assert storage.claims.take([study], "w", PRINTS) is None
    again = _submit(storage, space, (0, 0), name="again")
    storage.trials.forget_deleted()
    assert _take(storage, again).number == 0
    assert [(t.number, t.state) for t in foreign.trials] == before


def test_a_heartbeat_of_a_lost_claim_counts_for_nothing(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = _submit(storage, space, (0, 0))
    lost = _take(storage, study, worker="slow")
    _silence(storage_url)
    _lose(storage)
    _take(storage, study, worker="other")
    _silence(storage_url)
    storage.claims.beat("slow", lost)
    _lose(storage)


def test_an_evaluation_of_another_fingerprint_is_another_one(
    storage: Storage, space: SearchSpace
) -> None:
    one = _submit(storage, space, (0, 0), name="one")
    storage.claims.finish(_take(storage, one), "w", RESULT, SCORES)
    other = _submit(storage, space, (0, 0), name="other")
    claim = storage.claims.take([other], "w", {"binary": "x" * 64, "full": "y" * 64})
    assert claim is not None
    assert claim.known is None


def test_a_failed_evaluation_is_not_shared(storage: Storage, space: SearchSpace) -> None:
    one = _submit(storage, space, (0, 0), name="one")
    storage.claims.fail(_take(storage, one), "because")
    other = _submit(storage, space, (0, 0), name="other")
    assert _take(storage, other).known is None


# ---- many processes ------------------------------------------------------------------------


def _claim_all(url: str, start: Barrier, results: multiprocessing.Queue[list[int]]) -> None:
    storage = Storage(url)
    study = storage.studies.open("s")
    numbers = []
    start.wait()
    while (claim := storage.claims.take([study], "w", PRINTS)) is not None:
        numbers.append(claim.number)
        assert storage.claims.finish(claim, "w", RESULT, SCORES)
    results.put(numbers)


def test_eight_processes_claim_three_hundred_trials_once_each(
    storage: Storage, storage_url: str
) -> None:
    space = SearchSpace(tuple("abcdef"))
    genotypes = [tuple(int(i) for i in g) for g in space.genotypes()[:300]]
    study = _submit(storage, space, *genotypes)
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(8), context.Queue()
    processes = [
        context.Process(target=_claim_all, args=(storage_url, start, results)) for _ in range(8)
    ]
    for process in processes:
        process.start()
    claimed = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(n for numbers in claimed for n in numbers) == list(range(300))
    assert storage.trials.counts(study)["complete"] == 300


def test_processes_that_submit_the_same_candidates_at_once_make_them_once(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    _study(storage)
    code = (
        "import sys; from moo_bnas.storage import *\n"
        "from moo_bnas.evolution.space import SearchSpace\n"
        "s = Storage(sys.argv[1]); study = s.studies.open('s')\n"
        "space = SearchSpace(('conv1', 'conv2'), (0.5, 1.0, 2.0))\n"
        "for g in space.genotypes():\n"
        "    g = tuple(map(int, g))\n"
        "    s.trials.submit(study, space, [Candidate(g, 'binary', 1.0, {'g': 1})])\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, storage_url]) for _ in range(3)]
    assert [p.wait(60) for p in processes] == [0, 0, 0]
    trials = storage.trials.read(storage.studies.open("s"))
    assert [t.number for t in trials] == list(range(9))
    assert {t.genotype for t in trials} == {tuple(g) for g in space.genotypes().tolist()}


def test_processes_that_make_a_storage_at_once_make_it_once(storage_url: str) -> None:
    code = (
        "import sys; from moo_bnas.storage import *\n"
        "input()\n"
        "s = Storage(sys.argv[1], create=True)\n"
        "print(s.studies.ensure('s', PARETO_METRICS, {'definition': {}}).id)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, storage_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:  # all wait for their line before they begin
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0] for process in processes]
    assert answers == ["1\n"] * 4


# ---- opening -------------------------------------------------------------------------------


def test_a_storage_is_not_made_by_looking_into_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no run of moo-bnas; start one with"):
        Storage(f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_database_without_a_run_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    optuna.create_study(storage=url)
    with pytest.raises(StorageError, match="holds no run of moo-bnas"):
        Storage(url)
    assert _study(Storage(url, create=True)).name == "s"


@pytest.mark.parametrize(
    "tables",
    [
        ["studies (a INTEGER)"],
        ["alembic_version (version_num VARCHAR(32) PRIMARY KEY)"],
        ["moo_bnas_trials (trial_id INTEGER)", "other (a INTEGER)"],
    ],
)
def test_a_database_with_another_programs_tables_is_left_as_it_is(
    storage_url: str, tables: list[str]
) -> None:
    engine = create_engine(storage_url, poolclass=NullPool)
    with engine.begin() as connection:
        for table in tables:
            connection.execute(text(f"CREATE TABLE {table}"))
    path = Path(engine.url.database or "")
    before = path.read_bytes() if path.is_file() else b""
    name = tables[0].partition(" ")[0]
    message = rf"holds another program's tables \({name}\); give another --storage"
    with pytest.raises(StorageError, match=message):
        Storage(storage_url, create=True)
    assert sorted(inspect(engine).get_table_names()) == sorted(t.split()[0] for t in tables)
    assert before == (path.read_bytes() if path.is_file() else b"")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE alembic_version SET version_num = 'v2.4.0.a'", "optuna storage upgrade"),
        ("UPDATE alembic_version SET version_num = 'v9.0.0.a'", "pip install -U optuna"),
        ("UPDATE moo_bnas_schema SET version = 99", "(schema 99, expected 2); use that version"),
        ("DROP TABLE moo_bnas_schema", "(schema unknown, expected 2); use that version"),
    ],
)
def test_tables_of_another_version_are_told(
    storage: Storage, storage_url: str, change: str, message: str
) -> None:
    with create_engine(storage_url, poolclass=NullPool).begin() as connection:
        connection.execute(text(change))
    with pytest.raises(StorageError, match=re.escape(message)):
        Storage(storage_url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "expected a database URL such as sqlite:///moo-bnas.db"),
        ("sqlite://", "lives in one process"),
        ("sqlite:///{tmp}/no/such/folder/x.db", "is not a folder; make it first"),
        ("sqlite:///{tmp}", "unable to open database file; give a file that may be written, and n"),
        ("sqlite:///{tmp}/text", "file is not a database; give another file"),
        ("postgres://user:secret@host/db", "got a storage of kind postgres://; write postgresql:"),
        ("postgresql://user:secret@no-such-host.invalid/db", "mend the host in the URL"),
        ("mysql://user:secret@no-such-host.invalid/db", "mend the host in the URL"),
        ("postgresql://user:secret@127.0.0.1:9/db", "refused.*; check that the server runs, and"),
        ("postgresql://user:secret@localhost:9/db", "refused.*; check that the server runs, and"),
        ("mysql://user:secret@127.0.0.1:9/db", "refused.*; check that the server runs, and"),
        ("oracle+nothing://user:secret@host/db", "of kind oracle.nothing, expected sqlite, "),
        ("postgresql+pg8000://user:secret@host/db", "expected sqlite, postgresql.psycopg or"),
    ],
)
def test_a_storage_that_cannot_be_opened_says_why(tmp_path: Path, url: str, message: str) -> None:
    (tmp_path / "text").write_text("This is no database, whatever else it may be. " * 20)
    with pytest.raises(StorageError, match=message) as caught:
        Storage(url.format(tmp=tmp_path), create=True)
    assert "secret" not in str(caught.value)


def _claim_study(
    url: str, name: str, start: Barrier, results: multiprocessing.Queue[list[tuple[Genotype, bool]]]
) -> None:
    storage = Storage(url)
    study = storage.studies.open(name)
    trained = []
    start.wait()
    while storage.trials.counts(study)["complete"] < 60:
        claim = storage.claims.take([study], "w", PRINTS)
        if claim is not None:
            trained.append((claim.genotype, claim.known is None))
            assert storage.claims.finish(claim, "w", claim.known or RESULT, SCORES)
    results.put(trained)


def test_studies_that_want_the_same_evaluations_at_once_train_each_once(
    storage: Storage, storage_url: str
) -> None:
    space = SearchSpace(tuple("abcdef"))
    genotypes = [tuple(int(i) for i in g) for g in space.genotypes()[:60]]
    for name in ("one", "other"):
        _submit(storage, space, *genotypes, name=name)
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(4), context.Queue()
    processes = [
        context.Process(target=_claim_study, args=(storage_url, name, start, results))
        for name in ("one", "other", "one", "other")
    ]
    for process in processes:
        process.start()
    claimed = [c for _ in processes for c in results.get(timeout=50)]
    for process in processes:
        process.join()
    assert sorted(g for g, trained in claimed if trained) == sorted(genotypes)
    assert sorted(g for g, trained in claimed if not trained) == sorted(genotypes)


# ---- final trainings ------------------------------------------------------------------------


def test_a_worker_sees_final_trainings_that_were_begun_after_it_joined(
    storage: Storage, space: SearchSpace
) -> None:
    run = _study(storage)
    look = storage.studies.look
    assert look(run, final="s.final") == "idle"
    final = _submit(storage, space, (0, 0), name="s.final")
    assert look(run, final="s.final") == "final"
    assert look(run) == "idle"  # one that does not serve them
    _submit(storage, space, (0, 1))
    assert look(run, final="s.final") == "waiting"  # candidates go first
    assert storage.claims.finish(_take(storage, run), "w", RESULT, SCORES)
    storage.studies.set_attributes(run, {"finished": True})
    assert look(run, final="s.final") == "final"
    claim = _take(storage, final)
    assert look(run, final="s.final") == "idle"  # it may be lost, and wait again
    assert look(run) == "finished"
    assert storage.claims.finish(claim, "w", RESULT, SCORES)
    storage.studies.set_attributes(final, {"finished": True})
    assert look(run, final="s.final") == "finished"


def test_an_ended_trial_that_is_revived_waits_as_if_never_tried(
    storage: Storage, space: SearchSpace
) -> None:
    study = _submit(storage, space, (0, 0), (0, 1), (1, 1))
    claim = _take(storage, study)
    assert not storage.claims.retry(claim, "full", memory=True)
    claim = _take(storage, study)
    assert claim.alone
    assert storage.claims.retry(claim, "full", memory=True)
    other = _take(storage, study)
    found = {**RESULT, "fingerprint": PRINTS["binary"]}
    assert storage.claims.finish(other, "w", found, SCORES)
    for trial in storage.trials.read(study):
        storage.trials.revive(study, trial.number)
    for trial in storage.trials.read(study):
        assert trial.state == "waiting"
        assert set(trial.attributes) == {"genotype", "generation"}
    for _ in range(3):
        again = _take(storage, study)
        assert (again.alone, again.device_errors, again.known) == (False, 0, None)
        assert storage.claims.finish(again, "w", RESULT, SCORES)
    seen = optuna.load_study(study_name="s", storage=storage.optuna)
    assert [t.state for t in seen.trials] == [TrialState.COMPLETE] * 3
    assert [t.values for t in seen.trials] == [[91.5, 7.0]] * 3


def test_only_those_final_trainings_are_taken_that_were_named_last(
    storage: Storage, space: SearchSpace
) -> None:
    study = _submit(storage, space, (0, 0), (0, 1))
    storage.trials.hold_back(study, but=[((0, 0), "binary")])
    claim = _take(storage, study)
    assert claim.genotype == (0, 0)
    assert storage.claims.take([study], "w", PRINTS) is None
    assert [t.state for t in storage.trials.read(study)] == ["running", "held"]
    storage.trials.hold_back(study, but=[((0, 1), "binary"), ((0, 0), "full")])
    assert [t.state for t in storage.trials.read(study)] == ["running", "waiting"]
    assert storage.claims.release(claim)
    storage.trials.hold_back(study, but=[((0, 1), "full")])
    assert [t.state for t in storage.trials.read(study)] == ["held", "held"]


def test_a_checkpoint_ends_the_count_of_losses(storage: Storage, space: SearchSpace) -> None:
    study = _submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "elsewhere", 1, "cpu", 60.0)
    for _ in range(MAX_LOSSES + 2):  # more than a trial without progress may have
        claim = _take(storage, study)
        storage.claims.forgive(claim)
        assert storage.claims.return_lost(_always) == 1
    assert [t.state for t in storage.trials.read(study)] == ["waiting"]
