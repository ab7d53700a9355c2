"""Workers that joined, and what they see."""

from __future__ import annotations

from moo_bnas.evolution.space import SearchSpace
from moo_bnas.storage import RunState, Storage
from tests.storage.rows import RESULT, SCORES, make_study, submit, take


def test_workers_are_counted(storage: Storage, space: SearchSpace) -> None:
    study = submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "host", 42, "cpu", 60.0)
    storage.claims.finish(take(storage, study), "w", RESULT, SCORES)
    storage.claims.beat("w", None)
    (worker,) = storage.workers.read(study)
    assert (worker.host, worker.pid, worker.device, worker.evaluations) == ("host", 42, "cpu", 1)
    assert worker.is_recent
    storage.workers.leave("w")
    (worker,) = storage.workers.read(study)
    assert worker.has_left
    assert not worker.is_recent


def test_a_worker_sees_final_trainings_that_were_begun_after_it_joined(
    storage: Storage, space: SearchSpace
) -> None:
    run = make_study(storage)
    look = storage.studies.look
    assert look(run, final="s.final") is RunState.IDLE
    final = submit(storage, space, (0, 0), name="s.final")
    assert look(run, final="s.final") is RunState.FINAL
    assert look(run) is RunState.IDLE  # one that does not serve them
    submit(storage, space, (0, 1))
    assert look(run, final="s.final") is RunState.WAITING  # candidates go first
    assert storage.claims.finish(take(storage, run), "w", RESULT, SCORES)
    storage.studies.set_attributes(run, {"finished": True})
    assert look(run, final="s.final") is RunState.FINAL
    claim = take(storage, final)
    assert look(run, final="s.final") is RunState.IDLE  # it may be lost, and wait again
    assert look(run) is RunState.FINISHED
    assert storage.claims.finish(claim, "w", RESULT, SCORES)
    storage.studies.set_attributes(final, {"finished": True})
    assert look(run, final="s.final") is RunState.FINISHED


def test_a_worker_sees_repeats_after_candidates_and_before_final_trainings(
    storage: Storage, space: SearchSpace
) -> None:
    run = make_study(storage)

    def look() -> RunState:
        return storage.studies.look(run, confirm="s.confirm", final="s.final")

    submit(storage, space, (0, 0), name="s.final")
    assert look() is RunState.FINAL
    confirm = submit(storage, space, (0, 1), name="s.confirm")
    assert look() is RunState.CONFIRM
    submit(storage, space, (1, 1))
    assert look() is RunState.WAITING
    assert storage.claims.finish(take(storage, run), "w", RESULT, SCORES)
    assert look() is RunState.CONFIRM
    storage.claims.finish(take(storage, confirm), "w", RESULT, SCORES)
    storage.claims.finish(take(storage, storage.studies.open("s.final")), "w", RESULT, SCORES)
    for name in ("s", "s.final", "s.confirm"):
        assert look() is RunState.IDLE  # a driver may submit more
        storage.studies.set_attributes(storage.studies.open(name), {"finished": True})
    assert look() is RunState.FINISHED
