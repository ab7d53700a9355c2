from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from moo_bnas.driver.display import Display, _bar
from moo_bnas.driver.progress import FinalProgress, Progress, Unfinished

PROGRESS = Progress(
    generation=2,
    generations=6,
    done=25,
    total=120,
    failed=0,
    references_left=3,
    score_name="hypervolume",
    score=0.8123,
    workers=2,
    seconds_left=90.0,
)


def test_a_line_says_where_the_run_stands() -> None:
    assert PROGRESS.line() == (
        "generation 2/6, 25/120 evaluated, hypervolume 0.8123, 2 workers, 1 min 30 s left"
    )
    failed = replace(PROGRESS, score=None, failed=1, seconds_left=None)
    assert failed.line() == ("generation 2/6, 25/120 evaluated, hypervolume -, 2 workers, 1 failed")
    assert replace(PROGRESS, done=120).line().endswith("2 workers, 3 references left")


def test_without_a_terminal_a_line_is_printed_for_each_generation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Display() as display:
        for done in range(20, 40):
            display.show(replace(PROGRESS, done=done))
        display.show(replace(PROGRESS, done=40, generation=3))
        display.show(replace(PROGRESS, done=41, generation=3))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" eval")[0] for line in lines] == [
        "generation 2/6, 20/120",
        "generation 3/6, 40/120",
        "generation 3/6, 41/120",
    ]


def test_colours_that_are_wished_for_make_no_terminal_of_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a notebook
    with Display() as display:
        display.show(PROGRESS)
    assert capsys.readouterr().err == PROGRESS.line() + "\n"


def test_in_a_terminal_a_bar_stands_beside_it() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=140)
    screen.print(_bar(PROGRESS))
    assert isinstance(screen.file, io.StringIO)
    drawn = screen.file.getvalue()
    assert "━" in drawn
    assert "25/120 evaluated" in drawn


def test_a_line_says_how_far_final_training_runs_are() -> None:
    running = Unfinished("uniform 2x", "running", (2.0, 1.0), 3.0)
    alone = FinalProgress((running,), networks=2, epochs=4, workers=1)
    waiting = Unfinished("trial 3", "waiting", (), 0.0)
    both = replace(alone, unfinished=(running, waiting), networks=3)
    assert both.line() == "1/3 networks trained; uniform 2x: epoch 2/4, loss 1.000; 1 worker"
    assert (both.done, both.total) == (6, 12)
    assert alone.line().endswith("1 worker; 3 s left")
