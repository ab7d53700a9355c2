"""The one figure that says how good a search is."""

from __future__ import annotations

from collections.abc import Sequence

from moo_bnas.definition import Definition
from moo_bnas.evolution.scoring import front, hypervolume
from moo_bnas.storage import Trial


def score_of(
    definition: Definition, mode: str, trials: Sequence[Trial]
) -> tuple[str, float | None]:
    """The one figure that says how good a search is: its name, and its value.

    Args:
        definition: Definition of the run.
        mode: `scalar` for the best fitness; `pareto` for the hypervolume (`scoring.hypervolume`).
        trials: Trials that are complete; without any, the value is None.
    """
    name = "best fitness" if mode == "scalar" else "hypervolume"
    if not trials:
        return name, None
    if mode == "scalar":
        return name, max(t.fitness for t in trials)
    cheapest, most_expensive = definition.cost_range()
    accuracies = [t.result.accuracy for t in trials]
    costs = [t.costs[definition.cost.name] for t in trials]
    return name, hypervolume(accuracies, costs, cheapest, most_expensive)


def leaders(mode: str, trials: Sequence[Trial]) -> list[Trial]:
    """The complete trials that `score_of` depends on: the fittest one, or the front."""
    if mode == "scalar":
        return sorted(trials, key=lambda t: t.fitness)[-1:]
    on = front([t.result.accuracy for t in trials], [t.costs["flops"] for t in trials])
    return [trials[i] for i in on]
