from __future__ import annotations

import pytest

from moo_bnas.evolution.space import SearchSpace
from moo_bnas.results.repeats import Confirmed, confirmed
from moo_bnas.storage import Trial
from tests.fakes import evaluation


def test_mean_and_standard_error_of_each_network() -> None:
    def repeat(number: int, gene: int, accuracy: float) -> Trial:
        found = evaluation(accuracy)
        return Trial(number, "complete", (gene, 0), "binary", {}, evaluation=found, repeat=number)

    found = confirmed(
        SearchSpace(("conv1", "conv2"), (0.5, 1.0, 2.0)),
        [
            *(repeat(1, 0, 90.0), repeat(2, 0, 92.0), repeat(3, 0, 94.0), repeat(4, 1, 80.0)),
            Trial(5, "fail", (0, 0), "binary", {}, failure="diverged", repeat=5),
            Trial(6, "waiting", (2, 0), "binary", {}, repeat=6),
        ],
    )
    assert set(found) == {((0.5, 0.5), "binary"), ((1.0, 0.5), "binary")}
    three = found[(0.5, 0.5), "binary"]
    # By hand: deviations -2, 0, 2; variance 8 / 2; standard error 2 / sqrt(3).
    assert (three.mean, three.runs) == (92.0, 3)
    assert three.standard_error == pytest.approx(1.1547005383792517)
    assert found[(1.0, 0.5), "binary"] == Confirmed(80.0, None, 1)
