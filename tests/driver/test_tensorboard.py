from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from moo_bnas.driver.progress import FinalProgress, Unfinished
from moo_bnas.driver.tensorboard import EventFiles
from moo_bnas.errors import DefinitionError
from moo_bnas.storage import Trial
from tests.fakes import evaluation

RUNNING = Unfinished("uniform 2x", "running", (2.0, 1.0), 3.0)
PROGRESS = FinalProgress((RUNNING,), networks=2, epochs=4, workers=1)
FOUND = evaluation(90.0, top5=99.0, epochs=4, loss_per_epoch=(2.0, 1.0, 0.5, 0.25))
DONE = Trial(0, "complete", (0,), "binary", {}, evaluation=FOUND)


def _read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(e.step, e.tensor_proto.float_val[0]) for e in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def test_each_epoch_is_written_once_also_by_a_command_that_continues(tmp_path: Path) -> None:
    first = EventFiles(tmp_path)
    first.write(PROGRESS)
    first.write(PROGRESS)
    assert _read(tmp_path / "uniform-2x") == {"train/loss": [(1, 2.0), (2, 1.0)]}
    again = EventFiles(tmp_path)
    again.write(replace(PROGRESS, unfinished=(replace(RUNNING, losses=(2.0, 1.0, 0.5)),)))
    again.end("uniform 2x", DONE)
    assert _read(tmp_path / "uniform-2x") == {
        "train/loss": [(1, 2.0), (2, 1.0), (3, 0.5), (4, 0.25)],
        "test/top1": [(4, 90.0)],
        "test/top5": [(4, 99.0)],
    }


def test_without_the_package_it_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    with pytest.raises(DefinitionError, match=r"pip install 'moo-bnas\[tensorboard\]'"):
        EventFiles(tmp_path)


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(DefinitionError, match="give --tensorboard another folder"):
        EventFiles(tmp_path / "taken").write(PROGRESS)


def test_a_line_says_how_far_final_training_runs_are() -> None:
    waiting = Unfinished("trial 3", "waiting", (), 0.0)
    both = replace(PROGRESS, unfinished=(RUNNING, waiting), networks=3)
    assert both.line() == "1/3 networks trained; uniform 2x: epoch 2/4, loss 1.000; 1 workers"
    assert (both.done, both.total) == (6, 12)
    assert PROGRESS.line().endswith("1 workers; 3 s left")
