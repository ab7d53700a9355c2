from __future__ import annotations

import pytest

from moo_bnas.recipe import FinalRecipe
from moo_bnas.task import FinalTask

RECIPE = FinalRecipe(
    epochs=3,
    batch_size=2,
    learning_rate=0.1,
    schedule="steps",
    milestones=(1, 2),
    inherits=True,
)


@pytest.mark.parametrize("checkpoint", [None, b"\n\x00 {bytes}\n"])
def test_a_task_arrives_as_it_was_sent(checkpoint: bytes | None) -> None:
    task = FinalTask((0, 5, 2), "full", RECIPE, checkpoint)
    assert FinalTask.from_bytes(task.to_bytes()) == task
