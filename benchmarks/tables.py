"""Enumerated tables of accuracies, which benchmarks/search_quality.py searches, and their scores.

A table is a CSV file, compressed or not, with columns `g0, g1, ...` (the value of each gene),
`flops`, `acc` (the mean accuracy in percent) and `acc1, acc2, ...` (single training runs). It holds
every combination of the values; values such as 0, 2, 5 become the choices 0, 1, 2.
"""

from __future__ import annotations

import csv
import lzma
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from moo_bnas.evolution.scoring import front
from moo_bnas.evolution.space import FloatArray, Genotype, IntArray

TRADE_OFF = 4.0
_MARGIN = 1.1  # the reference point, where the front's ideal is 0 and its nadir is 1


@dataclass(frozen=True)
class Table:
    """A table of a full grid, in lexicographic order of its genotypes.

    Attributes:
        choices: The number of choices of each gene.
        costs: FLOPs of each genotype, shape (n,).
        accuracies: Columns of accuracies in percent, each of shape (n,), by name.
    """

    choices: list[int]
    costs: FloatArray
    accuracies: dict[str, FloatArray]

    def row(self, genotypes: Genotype | IntArray) -> IntArray:
        """Indices of genotypes, shape (m, genes), or of one genotype, into the columns."""
        rows: IntArray = np.ravel_multi_index(np.asarray(genotypes).T, self.choices)
        return rows

    def genotypes(self) -> IntArray:
        """All genotypes, shape (n, genes)."""
        return np.indices(self.choices).reshape(len(self.choices), -1).T

    def smoothed(self) -> FloatArray:
        """Accuracies that boosted trees predict after learning all training runs of the table.

        A part of a table's highest accuracies is luck of single training runs; what the trees
        predict of a network rests on its neighbours too.
        """
        runs = [a for name, a in self.accuracies.items() if re.fullmatch(r"acc\d", name)]
        runs = runs or [self.accuracies["acc"]]
        trees = HistGradientBoostingRegressor(
            max_iter=500, learning_rate=0.1, max_leaf_nodes=15, early_stopping=False, random_state=0
        )
        every = self.genotypes()
        trees.fit(np.tile(every, (len(runs), 1)), np.concatenate(runs))
        predicted: FloatArray = trees.predict(every)
        return predicted


def read(path: Path) -> Table:
    """Reads a table.

    Raises:
        SystemExit: Where it is not a full grid.
    """
    opened = lzma.open if path.suffix == ".xz" else open
    with opened(path, "rt") as lines:
        rows = list(csv.DictReader(lines))
    genes = [name for name in rows[0] if re.fullmatch(r"g\d+", name)]
    values = [sorted({float(row[gene]) for row in rows}) for gene in genes]
    choices = [len(each) for each in values]
    ranks = [{value: rank for rank, value in enumerate(each)} for each in values]
    genotypes = np.array(
        [[rank[float(row[g])] for g, rank in zip(genes, ranks, strict=True)] for row in rows]
    )
    order = np.argsort(np.ravel_multi_index(genotypes.T, choices))
    if len(rows) != np.prod(choices) or len(np.unique(genotypes, axis=0)) != len(rows):
        raise SystemExit(
            f"{path} has {len(rows)} rows, expected each of the {np.prod(choices)} combinations of "
            f"its genes' values once; add the missing rows"
        )

    def column(name: str) -> FloatArray:
        return np.array([float(row[name]) for row in rows])[order]

    names = [name for name in rows[0] if name == "acc" or re.fullmatch(r"acc(\d+|_\w+)", name)]
    return Table(choices, column("flops"), {name: column(name) for name in names})


class Truth:
    """Scores of genotypes by what is taken for their true accuracies.

    Args:
        accuracies: Accuracies of all genotypes of a table in percent, shape (n,).
        costs: Their costs, shape (n,).

    Attributes:
        accuracies: The accuracies.
        costs: The costs.
        front: Rows of the true front, by ascending cost.
    """

    def __init__(self, accuracies: FloatArray, costs: FloatArray) -> None:
        self.accuracies, self.costs = accuracies, costs
        self.front = np.array(front(accuracies, costs))
        self._whole = self._area(self.front)
        self._best = float(self.fitness(accuracies).max())

    def fitness(self, accuracies: FloatArray, rows: IntArray | None = None) -> FloatArray:
        """Eq. 4, unclipped, of accuracies of some rows; None: of all rows."""
        costs = self.costs if rows is None else self.costs[rows]
        return accuracies - TRADE_OFF * costs / self.costs.max()

    def hypervolume(self, rows: IntArray) -> float:
        """The area that some rows dominate, as a share of the area of the true front.

        Both axes are linear and scaled so that the true front's ends are at 0 and 1; the reference
        point is 1.1 of both.
        """
        return self._area(rows) / self._whole

    def regret(self, row: int) -> float:
        """How far the fitness of a row is below the highest one, in points."""
        rows = np.array([row])
        return self._best - float(self.fitness(self.accuracies[rows], rows)[0])

    def front_share(self, rows: IntArray) -> float:
        """The share of the true front that is among some rows."""
        return float(np.isin(self.front, rows).mean())

    def _area(self, rows: Sequence[int] | IntArray) -> float:
        best, least = self.accuracies[self.front].max(), self.accuracies[self.front].min()
        low, high = self.costs[self.front].min(), self.costs[self.front].max()
        x = (self.costs[rows] - low) / ((high - low) or 1.0)
        y = (best - self.accuracies[rows]) / ((best - least) or 1.0)
        inside = (x < _MARGIN) & (y < _MARGIN)
        x, y = x[inside], y[inside]
        on = front(-y, x)
        widths = np.diff(np.append(x[on], _MARGIN))
        return float(widths @ (_MARGIN - y[on]))
