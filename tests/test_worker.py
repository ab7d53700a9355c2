from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from moo_bnas import worker
from moo_bnas.definition import Definition
from moo_bnas.driver import Run, open_run
from moo_bnas.errors import DataError, DefinitionError
from moo_bnas.fingerprint import candidate_seed
from moo_bnas.networks.layers import Precision
from moo_bnas.scoring import fitness
from moo_bnas.storage import Candidate
from moo_bnas.training import train_and_score
from tests.conftest import start_cli


@pytest.fixture
def run(storage_url: str, tiny: Definition) -> Run:
    return open_run(storage_url, "s", tiny, "pareto", 0)


def _submit(run: Run, *ratios: float, precision: Precision = "binary") -> None:
    space = run.definition.make_space()
    run.storage.trials.submit(
        run.study,
        space,
        [Candidate(space.uniform(r), precision, r, {"flops": 0.0}) for r in ratios],
    )


def _work(run: Run, stop: threading.Event | None = None) -> int:
    run.storage.studies.set_attributes(run.study, {"finished": True})  # no waiting for more
    return worker.work(run.storage, "s", "cpu", stop or threading.Event())


def test_a_worker_finishes_all_that_waits_and_says_how(run: Run) -> None:
    _submit(run, 0.25, 1.0)
    assert _work(run) == 2
    for trial in run.storage.trials.read(run.study):
        found = trial.attributes
        assert trial.state == "complete"
        assert found["accuracy"] == found["accuracy_per_epoch"][-1]
        assert found["epochs"] == len(found["accuracy_per_epoch"]) == 1
        assert found["seed"] == candidate_seed(0, trial.genotype)
        assert found["device"] == "cpu"
        assert found["worker"].split("-")[-2] == str(os.getpid())
        data_hash = run.storage.studies.open("s").attributes["data_hash"]
        assert found["fingerprint"] == run.definition.fingerprint("binary", data_hash)
        assert found["train_seconds"] > 0


def test_fitness_weighs_accuracy_against_flops(run: Run) -> None:
    _submit(run, 1.0)
    _work(run)
    (trial,) = run.storage.trials.read(run.study)
    reference = run.definition.reference_flops()
    assert trial.attributes["fitness"] == fitness(
        trial.attributes["accuracy"], reference, reference, 4.0
    )


def test_an_evaluation_known_from_another_study_is_not_trained_again(
    run: Run, storage_url: str, tiny: Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    _submit(run, 1.0)
    _work(run)
    other = open_run(storage_url, "other", tiny, "scalar", 0)
    space, storage = tiny.make_space(), run.storage
    storage.trials.submit(
        other.study, space, [Candidate(space.uniform(1.0), "binary", 1.0, {"flops": 0.0})]
    )
    storage.studies.set_attributes(other.study, {"finished": True})
    monkeypatch.setattr(worker, "train_and_score", lambda *_: pytest.fail("trained again"))
    assert worker.work(storage, "other", "cpu", threading.Event()) == 1
    (copied,) = storage.trials.read(other.study)
    (source,) = storage.trials.read(run.study)
    assert copied.attributes["accuracy"] == source.attributes["accuracy"]
    assert copied.attributes["copied_from"] == "s trial 0"


@pytest.mark.parametrize("error", [RuntimeError("no such kernel"), MemoryError()])
def test_an_exception_fails_its_trial_and_the_worker_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    train = train_and_score
    failures = iter([error])

    def sometimes(*arguments: Any) -> list[float]:
        for failure in failures:
            raise failure
        return train(*arguments)

    monkeypatch.setattr(worker, "train_and_score", sometimes)
    _submit(run, 0.5, 1.0)
    assert _work(run) == 1
    states = {t.genotype[0]: t for t in run.storage.trials.read(run.study)}
    assert states[2].state == "fail"  # ratio 1.0, the dearer, was taken first
    assert states[2].attributes["fail_reason"] == f"{type(error).__name__}: {error}"
    assert states[1].state == "complete"


def test_a_stopped_worker_gives_its_claim_back(run: Run) -> None:
    _submit(run, 1.0)
    stop = threading.Event()
    stop.is_set = iter([False, False, True, True, True]).__next__  # type: ignore[method-assign]
    assert _work(run, stop) == 0
    assert run.storage.trials.counts(run.study)["waiting"] == 1


def test_a_worker_with_other_data_refuses(run: Run) -> None:
    run.storage.studies.agree_on_data(run.study, "0" * 64)
    with pytest.raises(DataError, match="use the same data on every machine"):
        _work(run)


def test_a_worker_without_the_device_says_so(run: Run) -> None:
    with pytest.raises(DefinitionError, match="got --device cuda:99, but this machine has"):
        worker.work(run.storage, "s", "cuda:99", threading.Event())


def test_sigterm_ends_a_worker_cleanly(run: Run, storage_url: str, tmp_path: Path) -> None:
    process = start_cli("worker", "--storage", storage_url, "--study-name", "s", cwd=tmp_path)
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
        "worker", "--storage", storage_url, "--until-stdin-closes", cwd=tmp_path
    )  # start_cli gives it an input that is closed already
    try:
        assert process.wait(60) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        raise
