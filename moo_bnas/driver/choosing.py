"""Choosing a network of a search: by its number, as the best, the knee, or within a limit.

Accuracies are the estimates of `results.estimates`, and the measured ones where there are too few.
"""

from __future__ import annotations

from collections.abc import Sequence

from moo_bnas.definition import Definition, stored_definition
from moo_bnas.errors import DefinitionError, StorageError
from moo_bnas.evolution.space import Genotype
from moo_bnas.results.estimates import believed, measured_elsewhere
from moo_bnas.results.points import Point, Searched, searched
from moo_bnas.storage import Storage, Study, Trial


class Choice:
    """The networks of a search, to choose one from.

    Args:
        storage: Storage that holds the run.
        run: Study of the run.
    """

    def __init__(self, storage: Storage, run: Study) -> None:
        self._name = run.name
        self._definition: Definition = stored_definition(run.attributes["definition"])
        self._trials: Sequence[Trial] = storage.trials.read(run)
        self._elsewhere: Sequence[Trial] = measured_elsewhere(storage, run.name)

    def trial(self, number: int) -> Genotype:
        """The network of a trial, finished or not.

        Raises:
            StorageError: Where there is no trial of this number.
        """
        if not self._trials:
            raise self._nothing()
        for trial in self._trials:
            if trial.number == number:
                return trial.genotype
        raise StorageError(
            f"got trial {number}, but {self._name!r} has only {len(self._trials)} (from 0); see "
            "its report"
        )

    def best(self) -> Genotype:
        """The fittest network by Eq. 4.

        Raises:
            StorageError: Where no candidate is finished.
        """
        return self._genotype(self._finished().best)

    def knee(self) -> Genotype:
        """The knee of the front.

        Raises:
            StorageError: Where no candidate is finished.
        """
        return self._genotype(self._finished().knee)

    def within(self, cost: str, limit: float) -> Genotype:
        """The most accurate network of at most so much of a cost; of equal ones the cheapest.

        Args:
            cost: Name of the cost.
            limit: Highest cost of the network.

        Raises:
            DefinitionError: Where the run has no such cost.
            StorageError: Where there is none, or no candidate is finished.
        """
        costs = self._definition.costs()
        if cost not in costs:
            raise DefinitionError(
                f"the run {self._name!r} has no {cost}, which takes a latency table; choose in "
                "another way"
            )
        points = self._finished().points
        within = [p for p in points if p.costs[cost] <= limit]
        if not within:
            what = f"{costs[cost].unit} {costs[cost].title}".strip()
            raise StorageError(
                f"no searched network of {self._name!r} has at most {limit:g} {what}; the cheapest "
                f"has {min(p.costs[cost] for p in points):g}"
            )
        return self._genotype(max(within, key=lambda p: (p.believed, -p.costs[cost])))

    def _finished(self) -> Searched:
        estimates = believed(self._definition, [*self._trials, *self._elsewhere])
        found = searched(self._definition, self._trials, estimates)
        if not found.points:
            raise self._nothing()
        return found

    def _genotype(self, point: Point | None) -> Genotype:
        if point is None:
            raise self._nothing()
        return self._definition.make_space().encode(point.ratios)

    def _nothing(self) -> StorageError:
        return StorageError(
            f"the search {self._name!r} has no finished candidate to choose from; begin or "
            "resume it with `moo-bnas run`, or give --ratios"
        )
