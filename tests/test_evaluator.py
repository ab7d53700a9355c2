from __future__ import annotations

from pathlib import Path

import pytest

from moo_bnas.definition import Definition
from moo_bnas.errors import DefinitionError
from moo_bnas.evaluator import Evaluator
from moo_bnas.fingerprint import candidate_seed


def test_an_evaluation_says_how_it_came_about(tiny: Definition) -> None:
    genotype = tiny.make_space().uniform(0.5)
    found = Evaluator(tiny, "cpu", Path()).evaluate(genotype, "binary", lambda: False)
    assert found["accuracy"] == found["accuracy_per_epoch"][-1]
    assert found["epochs"] == len(found["accuracy_per_epoch"]) == 1
    assert found["seed"] == candidate_seed(0, genotype)
    images = 1797 * 3 // 5  # the digits, of which 60 % train
    assert found["images_per_second"] * found["train_seconds"] == pytest.approx(images, rel=0.01)


def test_a_device_that_is_not_there_is_told(tiny: Definition) -> None:
    with pytest.raises(DefinitionError, match="got --device cuda:99, but this machine has"):
        Evaluator(tiny, "cuda:99", Path())
