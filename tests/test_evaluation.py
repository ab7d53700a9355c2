"""Evaluations as trials store them, now and in 0.1."""

from __future__ import annotations

import json

import pytest

from moo_bnas.errors import StorageError
from moo_bnas.evaluation import ATTRIBUTES, Artifact, Evaluation, Source

CANDIDATE = Evaluation(
    accuracy=30.0,
    epochs=2,
    seed=2**62,
    train_seconds=0.274,
    images_per_second=31281.6,
    accuracy_per_epoch=(15.5, 30.0),
    fingerprint="f" * 64,
    worker="host-7-abc",
    device="cpu",
)
FINAL = Evaluation(
    accuracy=0.0,
    epochs=1,
    seed=0,
    train_seconds=1.5,
    images_per_second=10.0,
    loss_per_epoch=(2.5,),
    top5=0.0,
    artifact=Artifact("id", "hash"),
    copied_from=Source("one.final", 3),
)


@pytest.mark.parametrize("evaluation", [CANDIDATE, FINAL])
def test_an_evaluation_is_read_back_from_its_attributes_and_others(evaluation: Evaluation) -> None:
    stored = json.loads(json.dumps(evaluation.to_attributes()))
    assert set(stored) <= ATTRIBUTES
    others = {"genotype": [0], "precision": "binary", "flops": 1.0, "fitness": 2.0}
    assert Evaluation.from_attributes({**others, **stored}) == evaluation


def test_attributes_have_the_names_that_they_have_had_since_0_1() -> None:
    assert CANDIDATE.to_attributes() == {
        "accuracy": 30.0,
        "epochs": 2,
        "seed": 2**62,
        "train_seconds": 0.274,
        "images_per_second": 31281.6,
        "accuracy_per_epoch": (15.5, 30.0),
        "fingerprint": "f" * 64,
        "worker": "host-7-abc",
        "device": "cpu",
    }
    assert FINAL.to_attributes() == {
        "accuracy": 0.0,
        "epochs": 1,
        "seed": 0,
        "train_seconds": 1.5,
        "images_per_second": 10.0,
        "loss_per_epoch": (2.5,),
        "top5": 0.0,
        "artifact": "id",
        "weights_hash": "hash",
        "copied_from": {"study": "one.final", "trial": 3},
    }


def test_the_source_of_a_copy_is_read_as_0_1_wrote_it() -> None:
    stored = {**CANDIDATE.to_attributes(), "copied_from": "a trial 1 trial 7"}
    found = Evaluation.from_attributes(stored)
    assert found is not None
    assert found.copied_from == Source("a trial 1", 7)


def test_a_trial_that_is_not_complete_holds_no_evaluation() -> None:
    attributes = {"genotype": [0], "flops": 1.0, "fail_reason": "why"}
    assert Evaluation.from_attributes(attributes) is None


def test_only_parents_and_final_trainings_keep_an_artifact() -> None:
    assert FINAL.kept == Artifact("id", "hash")
    with pytest.raises(StorageError, match="got an evaluation without an artifact"):
        _ = CANDIDATE.kept
