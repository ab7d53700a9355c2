"""Trials: submitted, read, counted, revived, held back."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import event

from moo_bnas.errors import StorageError
from moo_bnas.evolution.space import SearchSpace
from moo_bnas.storage import SCALAR_METRICS, Candidate, Storage
from tests.storage.rows import PRINTS, RESULT, SCORES, candidate, make_study, submit, take


def test_optuna_reads_the_result_as_an_ordinary_study(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = submit(storage, space, (0, 2), (1, 1))
    storage.claims.finish(take(storage, study), "w", RESULT, SCORES)
    loaded = optuna.load_study(study_name="s", storage=storage_url)
    assert [d.name for d in loaded.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert loaded.metric_names == ["accuracy", "flops"]
    done, waiting = loaded.trials
    assert (done.number, done.state, done.values) == (0, TrialState.COMPLETE, [91.5, 7.0])
    assert done.params == {"conv1": 0.5, "conv2": 2.0}
    assert done.distributions["conv1"] == optuna.distributions.CategoricalDistribution(
        (0.5, 1.0, 2.0)
    )
    assert done.user_attrs == {
        "genotype": [0, 2],
        "precision": "binary",
        "generation": 1,
        "flops": 1.0,
        "memory_bits": 9,
        "accuracy": 91.5,
        "accuracy_per_epoch": [80.0, 91.5],
        "epochs": 2,
        "seed": 7,
        "train_seconds": 0.25,
        "images_per_second": 40.0,
        "worker": "w",
        "fitness": 80.25,
    }
    assert type(done.user_attrs["memory_bits"]) is int
    assert done.datetime_start is not None
    assert done.datetime_complete is not None
    assert done.datetime_complete >= done.datetime_start
    assert done.intermediate_values == {}  # Optuna takes none where there are several objectives
    assert (waiting.number, waiting.state) == (1, TrialState.WAITING)
    assert loaded.best_trials == [done]


def test_the_value_of_a_scalar_study_is_the_fitness(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = make_study(storage, metrics=SCALAR_METRICS)
    storage.trials.submit(study, space, [candidate((0, 0))])
    storage.claims.finish(take(storage, study), "w", RESULT, SCORES)
    loaded = optuna.load_study(study_name="s", storage=storage_url)
    assert loaded.best_value == 80.25
    assert loaded.trials[0].intermediate_values == {1: 80.0, 2: 91.5}  # of which Optuna has plots
    assert loaded.direction.name == "MAXIMIZE"


def test_submitting_again_makes_nothing_twice(storage: Storage, space: SearchSpace) -> None:
    submit(storage, space, (0, 0), (0, 1))
    study = submit(storage, space, (0, 1), (2, 2))
    trials = storage.trials.read(study)
    assert [(t.number, t.genotype) for t in trials] == [(0, (0, 0)), (1, (0, 1)), (2, (2, 2))]


def test_one_genotype_at_two_precisions_is_two_trials(storage: Storage, space: SearchSpace) -> None:
    study = make_study(storage)
    twins = [candidate((0, 0)), candidate((0, 0), precision="full")]
    storage.trials.submit(study, space, twins)
    assert [t.precision for t in storage.trials.read(study)] == ["binary", "full"]


def test_reading_some_genotypes_and_counting(storage: Storage, space: SearchSpace) -> None:
    study = submit(storage, space, (0, 0), (1, 1), (2, 2))
    storage.claims.fail(take(storage, study), "because")
    take(storage, study)
    assert storage.trials.counts(study) == {"complete": 0, "running": 1, "waiting": 1, "fail": 1}
    (read,) = storage.trials.read(study, [(0, 0)])
    assert (read.state, read.failure) == ("fail", "because")


def test_trials_made_while_others_are_read_do_not_matter(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    study = submit(storage, space, (0, 0))
    others = iter([(0, 1)])

    def meanwhile(*_: object) -> None:
        for genotype in others:  # once, after the first statement
            submit(Storage(storage_url), space, genotype)

    event.listen(storage._database.engine, "after_cursor_execute", meanwhile)
    read = storage.trials.read(study)
    assert [t.genotype for t in read] == [(0, 0)]
    assert read[0].costs == {"flops": 1.0, "memory_bits": 9}
    assert [t.genotype for t in storage.trials.read(study)] == [(0, 0), (0, 1)]


def test_a_trial_tells_when_it_was_begun_and_ended(storage: Storage, space: SearchSpace) -> None:
    study = submit(storage, space, (0, 0))
    (waiting,) = storage.trials.read(study)
    assert (waiting.started, waiting.ended) == (None, None)
    claim = take(storage, study)
    (running,) = storage.trials.read(study)
    assert running.started is not None
    assert running.ended is None
    storage.claims.finish(claim, "w", RESULT, SCORES)
    (ended,) = storage.trials.read(study)
    assert ended.started == running.started
    assert ended.ended is not None
    assert ended.ended >= running.started


def test_an_ended_trial_that_is_revived_waits_as_if_never_tried(
    storage: Storage, space: SearchSpace
) -> None:
    study = submit(storage, space, (0, 0), (0, 1), (1, 1))
    claim = take(storage, study)
    assert not storage.claims.retry(claim, "full", memory=True)
    claim = take(storage, study)
    assert claim.alone
    assert storage.claims.retry(claim, "full", memory=True)
    other = take(storage, study)
    found = replace(RESULT, fingerprint=PRINTS["binary"])
    assert storage.claims.finish(other, "w", found, SCORES)
    for trial in storage.trials.read(study):
        storage.trials.revive(study, trial.number)
    for trial in storage.trials.read(study):
        assert trial.state == "waiting"
        assert (trial.evaluation, trial.failure, trial.fitness) == (None, None, 0.0)
    for _ in range(3):
        again = take(storage, study)
        assert (again.alone, again.device_errors, again.known) == (False, 0, None)
        assert storage.claims.finish(again, "w", RESULT, SCORES)
    seen = optuna.load_study(study_name="s", storage=storage.optuna)
    assert [t.state for t in seen.trials] == [TrialState.COMPLETE] * 3
    assert [t.values for t in seen.trials] == [[91.5, 7.0]] * 3


def test_a_revived_trial_keeps_what_was_submitted_whatever_its_costs_are_called(
    storage: Storage, space: SearchSpace
) -> None:
    study = make_study(storage)
    costs = {"flops": 2.5, "latency_ms": 0.75, "parameters": 12}
    tried = Candidate((0, 1), "full", costs, generation=4, ordered_by="latency_ms")
    storage.trials.submit(study, space, [tried])
    loaded = optuna.load_study(study_name="s", storage=storage.optuna)
    (submitted,) = (t.user_attrs for t in loaded.trials)
    claim = take(storage, study)
    assert claim.cost == 0.75
    assert storage.claims.finish(claim, "w", RESULT, SCORES)
    storage.trials.revive(study, 0)
    (revived,) = (t.user_attrs for t in loaded.get_trials())
    known = {"genotype": [0, 1], "precision": "full", "generation": 4}
    assert revived == submitted == known | costs
    (trial,) = storage.trials.read(study)
    assert (trial.costs, trial.generation, trial.evaluation) == (costs, 4, None)


@pytest.mark.parametrize("name", ["accuracy", "weights_hash", "fitness", "fail_reason", "genotype"])
def test_a_cost_may_not_have_the_name_of_another_attribute(name: str) -> None:
    with pytest.raises(ValueError, match=f"got costs called {name}"):
        Candidate((0,), "binary", {"flops": 1.0, name: 1.0})


def test_a_finished_trial_holds_its_evaluation(storage: Storage, space: SearchSpace) -> None:
    study = submit(storage, space, (0, 0))
    (waiting,) = storage.trials.read(study)
    with pytest.raises(StorageError, match="trial 0 has no evaluation, its state is 'waiting'"):
        _ = waiting.result
    storage.claims.finish(take(storage, study), "w", RESULT, SCORES)
    (done,) = storage.trials.read(study)
    assert (done.result, done.fitness, done.generation) == (RESULT, 80.25, 1)


def test_only_those_final_trainings_are_taken_that_were_named_last(
    storage: Storage, space: SearchSpace
) -> None:
    study = submit(storage, space, (0, 0), (0, 1))
    storage.trials.hold_back(study, but=[((0, 0), "binary")])
    claim = take(storage, study)
    assert claim.genotype == (0, 0)
    assert storage.claims.take([study], "w", PRINTS) is None
    assert [t.state for t in storage.trials.read(study)] == ["running", "held"]
    storage.trials.hold_back(study, but=[((0, 1), "binary"), ((0, 0), "full")])
    assert [t.state for t in storage.trials.read(study)] == ["running", "waiting"]
    assert storage.claims.release(claim)
    storage.trials.hold_back(study, but=[((0, 1), "full")])
    assert [t.state for t in storage.trials.read(study)] == ["held", "held"]
