"""How much each gene decides, estimated by Optuna's random forest. Pure data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moo_bnas.evolution.space import SearchSpace
from moo_bnas.results.points import Point, Report

ENOUGH = 10
"""Number of candidates below which a forest only repeats them."""


@dataclass(frozen=True)
class Importance:
    """The importance of one gene: its shares, from 0 to 1, in what decides accuracy and cost."""

    gene: str
    accuracy: float
    cost: float


def importances(report: Report) -> list[Importance] | None:
    """The importance of each gene over the candidates of a search, in the order of the genes.

    It is the mean decrease of impurity of a random forest (Optuna's `MeanDecreaseImpurity`,
    seeded): which genes explain the differences among the networks that the search has evaluated.
    (fANOVA takes minutes for 1,600 candidates of 12 genes.) The shares of all genes add up to 1, or
    to 0 if all outcomes are equal.

    Returns:
        None if fewer than `ENOUGH` candidates are finished.
    """
    points, space = report.search, report.definition.make_space()
    if len(points) < ENOUGH:
        return None
    accuracy = _shares(points, space, [p.accuracy for p in points])
    cost = _shares(points, space, [p.cost for p in points])
    return [Importance(gene, accuracy[gene], cost[gene]) for gene in space.genes]


def _shares(
    points: Sequence[Point], space: SearchSpace, outcomes: Sequence[float]
) -> dict[str, float]:
    import optuna

    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        gene: optuna.distributions.CategoricalDistribution(values)
        for gene, values in zip(space.genes, space.values, strict=True)
    }
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            optuna.create_trial(
                params=dict(zip(space.genes, point.ratios, strict=True)),
                distributions=distributions,
                value=outcome,
            )
            for point, outcome in zip(points, outcomes, strict=True)
        ]
    )
    found = optuna.importance.MeanDecreaseImpurityImportanceEvaluator(seed=0).evaluate(study)
    return {gene: float(found.get(gene, 0.0)) for gene in space.genes}
