"""The one figure that says how good a search is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moo_bnas.definition import Definition
from moo_bnas.evolution.estimates import Estimate
from moo_bnas.evolution.scoring import fitness, front, hypervolume
from moo_bnas.evolution.space import Genotype
from moo_bnas.storage import Trial


def score_of(
    definition: Definition,
    mode: str,
    trials: Sequence[Trial],
    estimates: Mapping[Genotype, Estimate] | None = None,
) -> tuple[str, float | None]:
    """The one figure that says how good a search is: its name, and its value.

    Args:
        definition: Definition of the run.
        mode: `scalar` for the best fitness; `pareto` for the hypervolume (`scoring.hypervolume`).
        trials: Trials that are complete; without any, the value is None.
        estimates: Estimates of all their genotypes, to score in place of the measured accuracies;
            None: score what was measured.
    """
    name = "best fitness" if mode == "scalar" else "hypervolume"
    if not trials:
        return name, None
    if mode == "scalar" and estimates is None:
        return name, max(t.fitness for t in trials)
    accuracies = [
        t.result.accuracy if estimates is None else estimates[t.genotype].accuracy for t in trials
    ]
    cost = definition.cost.name
    costs = [t.costs[cost] for t in trials]
    if mode == "scalar":
        reference, trade_off = definition.reference_cost(), definition.search.trade_off
        pairs = zip(accuracies, costs, strict=True)
        return name, max(fitness(a, c, reference, trade_off) for a, c in pairs)
    return name, hypervolume(accuracies, costs, *definition.cost_range())


def leaders(definition: Definition, mode: str, trials: Sequence[Trial]) -> list[Trial]:
    """The complete trials that `score_of` depends on: the fittest one, or the front."""
    if mode == "scalar":
        return sorted(trials, key=lambda t: t.fitness)[-1:]
    cost = definition.cost.name
    on = front([t.result.accuracy for t in trials], [t.costs[cost] for t in trials])
    return [trials[i] for i in on]
