"""Studies and their attributes."""

from __future__ import annotations

import optuna
import pytest
from sqlalchemy import text

from moo_bnas.errors import DataError, StorageError, VersionError
from moo_bnas.evolution.space import SearchSpace
from moo_bnas.storage import RunState, Storage, pareto_metrics
from tests.storage.rows import (
    PRINTS,
    RESULT,
    SCORES,
    STUDY_ATTRIBUTES,
    always,
    candidate,
    make_study,
    submit,
    take,
)


def test_a_study_is_made_once_and_opened_after(storage: Storage) -> None:
    made = make_study(storage)
    again = storage.studies.ensure(
        "s", pareto_metrics("flops"), {**STUDY_ATTRIBUTES, "mode": "scalar"}
    )
    assert made == again == storage.studies.open("s")
    assert made.attributes["mode"] == "pareto"
    assert made.metrics == pareto_metrics("flops")


def test_a_study_whose_making_was_cut_short_is_completed(
    storage: Storage, storage_url: str
) -> None:
    optuna.create_study(storage=storage_url, study_name="s", directions=["maximize", "minimize"])
    assert storage.studies.names() == []
    assert make_study(storage).attributes == STUDY_ATTRIBUTES


def test_a_study_of_another_program_is_refused(storage: Storage, storage_url: str) -> None:
    foreign = optuna.create_study(storage=storage_url, study_name="s")
    foreign.optimize(lambda _: 1.0, n_trials=1)
    with pytest.raises(StorageError, match="study 's' .* was not made by moo-bnas; choose another"):
        make_study(storage)


def test_an_unknown_study_is_answered_with_those_there_are(storage: Storage) -> None:
    for look in (lambda: storage.studies.open("two"), lambda: storage.studies.choose(None)):
        with pytest.raises(StorageError, match="holds no study; begin one with `moo-bnas run`"):
            look()
    make_study(storage, "one")
    make_study(storage, "one.baselines")
    with pytest.raises(StorageError, match="belongs to the run 'one'; give --study-name one"):
        storage.studies.choose("one.baselines")
    with pytest.raises(StorageError, match="holds no study 'two', only one; name one"):
        storage.studies.open("two")
    assert storage.studies.choose(None) == "one"


def test_without_a_name_the_run_that_was_begun_last_is_chosen(storage: Storage) -> None:
    for name in ("b", "a", "a.baselines"):
        make_study(storage, name)
    assert storage.studies.names() == ["b", "a"]
    assert storage.studies.choose(None) == "a"
    make_study(storage, "b")  # is opened
    assert storage.studies.choose(None) == "a"
    assert storage.studies.choose("b") == "b"


def test_other_data_than_the_first_workers_are_refused(storage: Storage) -> None:
    study = make_study(storage)
    storage.studies.agree_on_data(study, "a" * 64)
    storage.studies.agree_on_data(study, "a" * 64)
    with pytest.raises(DataError, match="content hash bbbbbbbbbbbb, but study 's' .* aaaaaaaaaaaa"):
        storage.studies.agree_on_data(study, "b" * 64)


def test_other_code_than_the_first_workers_is_refused_and_versions_are_recorded(
    storage: Storage,
) -> None:
    study, agree = make_study(storage), storage.studies.agree_on_code
    code = {"evaluation_version": 2, "network": "a" * 64}
    agree(study, code, {"torch": "2.15.0"})
    agree(study, code, {"torch": "2.11.0", "numpy": "2.1.0"})
    with pytest.raises(VersionError, match="evaluates by version 2 of its .* and this one by 1:"):
        agree(study, {**code, "evaluation_version": 1}, {"torch": "1.0.0"})
    with pytest.raises(VersionError, match="has another version of its network than the package"):
        agree(study, {**code, "network": "b" * 64}, {"torch": "1.0.0"})
    found = storage.studies.open("s").attributes
    assert found["worker_versions"] == {"numpy": ["2.1.0"], "torch": ["2.11.0", "2.15.0"]}


def test_a_study_that_was_deleted_with_optuna_leaves_nothing_behind(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    make_study(storage, "older")
    study = submit(storage, space, (0, 0), (1, 1))
    storage.claims.finish(take(storage, study), "w", RESULT, SCORES)
    take(storage, study)
    optuna.delete_study(study_name="s", storage=storage_url)
    again = submit(storage, space, (0, 0), (1, 1), (2, 2))
    storage.trials.forget_deleted()
    assert [t.number for t in storage.trials.read(again)] == [0, 1, 2]
    assert storage.trials.counts(again)["waiting"] == 3
    # What was finished is still known (its source is not), what was only begun begins again.
    known = [take(storage, again).known for _ in range(3)]
    assert sorted(k is None for k in known) == [False, True, True]
    assert RESULT in known
    older = submit(storage, space, (0, 1), name="older")
    assert storage.trials.counts(older)["waiting"] == 1


def test_a_study_that_is_deleted_while_it_is_used_is_told_and_takes_no_rows(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = submit(storage, space, (0, 0), (1, 1))
    held = [take(storage, study), take(storage, study)]
    assert storage.studies.look(study) is RunState.IDLE
    optuna.delete_study(study_name="s", storage=storage_url)
    assert not storage.claims.finish(held[0], "w", RESULT, SCORES)
    storage.claims.fail(held[1], "diverged")
    assert storage.studies.look(study) is RunState.GONE
    optuna.create_study(study_name="mine", storage=storage_url)  # SQLite gives it the same id
    with pytest.raises(StorageError, match="study 's' does not exist any more; was it deleted"):
        storage.studies.set_attributes(study, {"finished": True})
    with pytest.raises(StorageError, match="study 's' does not exist any more"):
        storage.trials.submit(study, space, [candidate((2, 2))])
    with storage._database.read() as connection:
        for table in ("trials", "trial_user_attributes", "trial_values", "study_user_attributes"):
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0  # noqa: S608


def test_a_foreign_study_that_got_the_ids_of_a_deleted_one_is_left_alone(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = submit(storage, space, (0, 0), (1, 1))
    storage.workers.join(study, "dead", "host", 1, "cpu", 60.0)
    take(storage, study, worker="dead")
    optuna.delete_study(study_name="s", storage=storage_url)
    foreign = optuna.create_study(study_name="mine", storage=storage_url)
    for _ in range(3):
        foreign.ask()
    foreign.enqueue_trial({})
    before = [(t.number, t.state) for t in foreign.trials]
    assert storage.claims.return_lost(always) == 0
    assert storage.claims.take([study], "w", PRINTS) is None
    again = submit(storage, space, (0, 0), name="again")
    storage.trials.forget_deleted()
    assert take(storage, again).number == 0
    assert [(t.number, t.state) for t in foreign.trials] == before
