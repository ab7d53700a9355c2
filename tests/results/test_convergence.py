from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from moo_bnas.definition import Definition
from moo_bnas.results.convergence import convergence
from moo_bnas.results.score import score_of
from moo_bnas.storage import Trial
from tests.fakes import evaluation

BEGUN = datetime(2026, 1, 1, 12)


def trial(
    number: int, accuracy: float | None, flops: float, started: float, ended: float | None
) -> Trial:
    """One that began and ended so many hours after noon; without an accuracy it failed."""
    state = "running" if ended is None else "fail" if accuracy is None else "complete"
    return Trial(
        number,
        state,
        (0,) * 6,
        "binary",
        {"flops": flops},
        evaluation=None if accuracy is None or ended is None else evaluation(accuracy),
        fitness=(accuracy or 0) - flops / 1000,
        started=BEGUN + timedelta(hours=started),
        ended=None if ended is None else BEGUN + timedelta(hours=ended),
    )


TRIALS = [
    trial(0, 60.0, 3000.0, 1.0, 4.0),
    trial(1, None, 1000.0, 0.5, 1.0),
    trial(2, 50.0, 1000.0, 0.5, 2.5),
    trial(3, 40.0, 2000.0, 2.0, 3.0),
    trial(4, 99.0, 1000.0, 3.0, None),
]


def test_a_step_stands_for_each_evaluation_in_the_order_of_their_ends(tiny: Definition) -> None:
    steps = convergence(tiny, "scalar", TRIALS)
    assert [(s.evaluations, s.seconds / 3600, s.score) for s in steps] == [
        (2, 2.0, 49.0),  # the first one has failed
        (3, 2.5, 49.0),
        (4, 3.5, 57.0),
    ]


def test_pauses_do_not_count(tiny: Definition) -> None:
    trials = [
        trial(0, 50.0, 1000.0, 0.0, 1.0),
        trial(1, 60.0, 1000.0, 0.5, 1.5),
        trial(2, 70.0, 1000.0, 60.0, 61.0),  # after a weekend
        trial(3, 80.0, 1000.0, 62.0, 64.0),
    ]
    steps = convergence(tiny, "scalar", trials)
    assert [s.seconds / 3600 for s in steps] == [1.0, 1.5, 2.5, 4.5]


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_each_step_has_the_score_of_all_that_was_finished_by_then(
    tiny: Definition, mode: str
) -> None:
    chance = random.Random(0)
    trials = [
        trial(i, chance.choice([None, 50.0, 60.0, 70.0 + i]), 720.0 + chance.randrange(7000), 0, i)
        for i in range(1, 60)
    ]
    steps = convergence(tiny, mode, trials)
    assert len(steps) > 50
    for step in steps:
        so_far = [t for t in trials[: step.evaluations] if t.state == "complete"]
        assert step.score == pytest.approx(score_of(tiny, mode, so_far)[1])


def test_nothing_finished_is_no_step(tiny: Definition) -> None:
    assert convergence(tiny, "pareto", []) == ()
    assert convergence(tiny, "pareto", [TRIALS[1], TRIALS[4]]) == ()
