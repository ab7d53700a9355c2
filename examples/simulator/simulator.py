"""An example of an evaluator that calls a simulator: no network, no data, no torch.

The space is one of its own: the size of a systolic array and of its buffer, and the number of bits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from moo_bnas.evaluators import Evaluator, OwnCost, Task


def simulator(workload: int = 4096, noise: float = 0.5) -> Evaluator:
    """Chips, scored by how much of a workload they keep up with.

    The options come from a definition: whatever [evaluator] holds beside `name` and `seed`.

    Args:
        workload: Operations per frame.
        noise: Standard deviation of the score, in points.
    """

    def evaluate(task: Task) -> float | None:
        """The score of one chip, in percent."""
        left = workload
        served = 0.0
        while left > 0:  # a simulator of yours goes here
            if task.should_stop():
                return None  # the candidate goes to another worker
            step = min(left, 256)
            served += step * _share(task.values)
            left -= step
        score = 100 * served / workload + np.random.default_rng(task.seed).normal(0, noise)
        return float(np.clip(score, 0, 100))

    def area(values: Mapping[str, float]) -> float:
        return values["rows"] * values["columns"] * values["bits"] ** 2 / 64 + values["buffer"] / 8

    def power(values: Mapping[str, float]) -> float:
        return 0.4 * area(values) + 0.02 * values["buffer"]

    return Evaluator(
        evaluate,
        costs=[
            OwnCost("area_mm2", "area", "mm2", area),  # what the search weighs the score against
            OwnCost("power_w", "power", "W", power),
        ],
    )


def _share(values: Mapping[str, float]) -> float:
    """How much of the work a chip keeps up with."""
    speed = values["rows"] * values["columns"] / 1024
    fed = values["buffer"] / (values["buffer"] + values["rows"] + values["columns"])
    exact = 1 - 2.0 ** -values["bits"]
    return speed / (speed + 0.25) * fed * exact
