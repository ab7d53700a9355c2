"""Claims: taken, finished, released, retried, lost."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState

from moo_bnas.evolution.space import SearchSpace
from moo_bnas.storage import (
    MAX_DEVICE_ERRORS,
    MAX_LOSSES,
    Storage,
)
from tests.storage.rows import (
    PRINTS,
    RESULT,
    SCORES,
    always,
    candidate,
    lose,
    make_study,
    never,
    silence,
    submit,
    take,
)


def test_the_dearest_waiting_trial_of_the_first_study_is_claimed_first(
    storage: Storage, space: SearchSpace
) -> None:
    first, second = make_study(storage, "first"), make_study(storage, "second")
    storage.trials.submit(second, space, [candidate((2, 2), 99.0)])
    storage.trials.submit(
        first, space, [candidate((0, 0), 1.0), candidate((1, 1), 3.0), candidate((0, 1), 2.0)]
    )
    taken = [take(storage, first, second).genotype for _ in range(4)]
    assert taken == [(1, 1), (0, 1), (0, 0), (2, 2)]
    assert storage.claims.take([first, second], "w", PRINTS) is None


def test_a_finish_writes_all_or_nothing_and_only_once(storage: Storage, space: SearchSpace) -> None:
    study = submit(storage, space, (0, 0))
    claim = take(storage, study)
    assert storage.claims.finish(claim, "w", RESULT, SCORES)
    # Said again after a lost acknowledgement it has succeeded, and nothing is written twice.
    assert storage.claims.finish(claim, "w", replace(RESULT, accuracy=1.0), SCORES)
    (trial,) = storage.trials.read(study)
    assert trial.result.accuracy == 91.5


def test_a_claim_that_was_taken_away_finishes_nothing(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = submit(storage, space, (0, 0))
    lost = take(storage, study, worker="slow")
    silence(storage_url)
    lose(storage)
    fresh = take(storage, study, worker="other")
    assert (fresh.number, fresh.trial_id) == (lost.number, lost.trial_id)
    assert not storage.claims.finish(lost, "w", replace(RESULT, accuracy=1.0), SCORES)
    assert not storage.claims.fail(lost, "late")
    assert not storage.claims.release(lost)
    assert storage.claims.finish(fresh, "w", RESULT, SCORES)
    assert not storage.claims.finish(lost, "w", replace(RESULT, accuracy=1.0), SCORES)
    assert storage.trials.read(study)[0].result.accuracy == 91.5


def test_a_released_claim_waits_again_in_place(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = submit(storage, space, (0, 0))
    claim = take(storage, study)
    assert storage.claims.release(claim)
    (trial,) = optuna.load_study(study_name="s", storage=storage_url).trials
    assert (trial.number, trial.state, trial.datetime_start) == (0, TrialState.WAITING, None)
    assert take(storage, study).number == 0


def test_claims_of_dead_workers_return_at_once_and_those_of_living_ones_do_not(
    storage: Storage, space: SearchSpace
) -> None:
    study = submit(storage, space, (0, 0), (1, 1))
    for worker in ("dead", "alive"):
        storage.workers.join(study, worker, "host", 1, "cpu", 60.0)
        take(storage, study, worker=worker)
    assert storage.claims.return_lost(lambda w: w.worker == "dead") == 1
    assert storage.trials.counts(study)["running"] == 1
    assert storage.claims.return_lost(never) == 0


def test_a_heartbeat_keeps_a_claim(storage: Storage, storage_url: str, space: SearchSpace) -> None:
    study = submit(storage, space, (0, 0))
    claim = take(storage, study)
    silence(storage_url)
    storage.claims.beat("w", claim)
    assert storage.claims.return_lost(never) == 0


def test_a_claim_that_was_silent_is_lost_once_that_was_watched(
    storage: Storage, storage_url: str, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0
    monkeypatch.setattr("moo_bnas.storage.silence.time.monotonic", lambda: clock)
    study = submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "host", 1, "cpu", grace=6.0)
    claim = take(storage, study)
    for _ in range(3):
        silence(storage_url)
        assert storage.claims.return_lost(never) == 0  # the first look, after a long outage, say
        clock += 2.9
        assert storage.claims.return_lost(never) == 0
        storage.claims.beat("w", claim)  # it was only the outage
        assert storage.claims.return_lost(never) == 0
    silence(storage_url)
    assert storage.claims.return_lost(never) == 0
    clock += 3.1
    assert storage.claims.return_lost(never) == 1


def test_a_suspended_driver_blames_nobody(
    storage: Storage, storage_url: str, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0
    monkeypatch.setattr("moo_bnas.storage.silence.time.monotonic", lambda: clock)
    study = submit(storage, space, (0, 0))
    take(storage, study)  # of a worker with the usual grace of 60 s
    silence(storage_url)
    assert storage.claims.return_lost(never) == 0
    clock += 3600  # a lid was closed; one look counts for 5 s at most
    assert storage.claims.return_lost(never) == 0
    for _ in range(4):
        clock += 5
        assert storage.claims.return_lost(never) == 0
    clock += 5
    assert storage.claims.return_lost(never) == 1


def test_a_trial_that_is_lost_too_often_fails(storage: Storage, space: SearchSpace) -> None:
    study = submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "host", 1, "cpu", 60.0)
    for _ in range(MAX_LOSSES):
        assert storage.trials.counts(study)["fail"] == 0
        take(storage, study)
        assert storage.claims.return_lost(always) == 1
    (trial,) = storage.trials.read(study)
    assert trial.state == "fail"
    assert trial.failure == f"its worker was lost {MAX_LOSSES} times"
    assert storage.claims.take([study], "w", PRINTS) is None


def test_giving_back_is_not_a_loss(storage: Storage, space: SearchSpace) -> None:
    study = submit(storage, space, (0, 0))
    for _ in range(MAX_LOSSES + 1):
        storage.claims.release(take(storage, study))
    assert storage.trials.counts(study)["waiting"] == 1


def test_out_of_memory_is_tried_once_more_alone_in_place(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = submit(storage, space, (0, 0))
    claim = take(storage, study)
    assert claim.alone is False
    assert not storage.claims.retry(claim, "4 GiB are wanted", memory=True)
    (trial,) = optuna.load_study(study_name="s", storage=storage_url).trials
    assert (trial.number, trial.state, trial.datetime_start) == (0, TrialState.WAITING, None)
    storage.claims.release(take(storage, study))  # what was not tried is still to be tried alone
    claim = take(storage, study)
    assert claim.alone is True
    assert storage.claims.retry(claim, "4 GiB are wanted", memory=True)
    (failed,) = storage.trials.read(study)
    assert failed.state == "fail"
    reason = "out of memory, also alone on the device: 4 GiB are wanted"
    assert failed.failure == reason
    assert storage.claims.take([study], "w", PRINTS) is None


def test_what_was_tried_alone_may_be_finished(storage: Storage, space: SearchSpace) -> None:
    study = submit(storage, space, (0, 0))
    storage.claims.retry(take(storage, study), "4 GiB are wanted", memory=True)
    assert storage.claims.finish(take(storage, study), "w", RESULT, SCORES)
    (trial,) = storage.trials.read(study)
    assert trial.state == "complete"
    assert trial.failure is None


def test_device_errors_are_tried_again_up_to_a_number(storage: Storage, space: SearchSpace) -> None:
    study = submit(storage, space, (0, 0))
    for _ in range(MAX_DEVICE_ERRORS - 1):
        assert not storage.claims.retry(take(storage, study), "the bus is gone", memory=False)
        assert storage.trials.counts(study)["waiting"] == 1
    # Running out of memory is another matter, and takes nothing from these tries.
    assert not storage.claims.retry(take(storage, study), "4 GiB are wanted", memory=True)
    claim = take(storage, study)
    assert claim.device_errors == MAX_DEVICE_ERRORS - 1
    assert storage.claims.retry(claim, "the bus is gone", memory=False)
    (failed,) = storage.trials.read(study)
    assert failed.state == "fail"
    reason = f"the device failed {MAX_DEVICE_ERRORS} times, the last time with: the bus is gone"
    assert failed.failure == reason


def test_another_try_is_not_a_loss(storage: Storage, space: SearchSpace) -> None:
    study = submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "host", 1, "cpu", 60.0)
    storage.claims.retry(take(storage, study), "the bus is gone", memory=False)
    storage.claims.retry(take(storage, study), "4 GiB are wanted", memory=True)
    for _ in range(MAX_LOSSES):
        assert storage.trials.counts(study)["fail"] == 0
        claim = take(storage, study)
        assert (claim.alone, claim.device_errors) == (True, 1)  # and a loss is no try
        assert storage.claims.return_lost(always) == 1
    assert storage.trials.counts(study)["fail"] == 1


@pytest.mark.parametrize("memory", [False, True])
def test_a_claim_that_was_taken_away_is_not_tried_again(
    storage: Storage, storage_url: str, space: SearchSpace, memory: bool
) -> None:
    study = submit(storage, space, (0, 0))
    storage.claims.retry(take(storage, study), "4 GiB are wanted", memory=True)
    lost = take(storage, study, worker="slow")
    silence(storage_url)
    lose(storage)
    fresh = take(storage, study, worker="other")
    assert not storage.claims.retry(lost, "late", memory=memory)
    assert storage.trials.counts(study)["running"] == 1
    assert storage.claims.finish(fresh, "other", RESULT, SCORES)


def test_a_trial_that_something_else_took_is_left_alone(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = submit(storage, space, (0, 0))
    optuna.load_study(study_name="s", storage=storage_url).ask()
    assert storage.claims.take([study], "w", PRINTS) is None
    (trial,) = storage.trials.read(study)
    assert trial.state == "fail"
    assert trial.failure == "another program took it out of the queue"


def test_a_heartbeat_of_a_lost_claim_counts_for_nothing(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = submit(storage, space, (0, 0))
    lost = take(storage, study, worker="slow")
    silence(storage_url)
    lose(storage)
    take(storage, study, worker="other")
    silence(storage_url)
    storage.claims.beat("slow", lost)
    lose(storage)


def test_a_checkpoint_ends_the_count_of_losses(storage: Storage, space: SearchSpace) -> None:
    study = submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "elsewhere", 1, "cpu", 60.0)
    for _ in range(MAX_LOSSES + 2):  # more than a trial without progress may have
        claim = take(storage, study)
        storage.claims.forgive(claim)
        assert storage.claims.return_lost(always) == 1
    assert [t.state for t in storage.trials.read(study)] == ["waiting"]


def test_no_claim_begins_after_the_claims_of_a_study_were_closed(
    storage: Storage, space: SearchSpace
) -> None:
    closed, open_ = submit(storage, space, (0, 0)), make_study(storage, "other")
    storage.trials.submit(open_, space, [candidate((1, 1), 1.0)])
    storage.studies.close_claims([closed], 0.0)
    assert take(storage, closed, open_).genotype == (1, 1)
    assert storage.claims.take([closed], "w", PRINTS) is None
    storage.studies.close_claims([closed], 3600.0)
    assert take(storage, closed).genotype == (0, 0)
    storage.studies.close_claims([closed], None)
    storage.trials.submit(closed, space, [candidate((2, 2), 1.0), candidate((0, 1), 1.0)])
    storage.trials.close(closed)  # holds back what waits
    assert storage.trials.count_open([closed]) == [1]
    assert storage.claims.take([closed], "w", PRINTS) is None
    storage.trials.reopen(closed)
    assert take(storage, closed).genotype == (2, 2)
