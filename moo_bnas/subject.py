"""What a definition searches: the widths of a network, or a space of its own, and what it costs.

The driver and reports ask a subject for costs and references, and need not know which kind it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import Precision
from moo_bnas.evaluators import OwnCost, checked_cost
from moo_bnas.evolution.cost import Cost
from moo_bnas.evolution.space import FloatArray, Genotype, IntArray, SearchSpace
from moo_bnas.networks.cost import LayerCost
from moo_bnas.networks.fitting import check_fit
from moo_bnas.networks.latency import LATENCY, check_known
from moo_bnas.networks.network import Network

AnyCost = LayerCost | OwnCost

_PAIRS = 64  # genotypes that are looked at beside a smaller one, to see that costs do not fall


class Subject(Protocol):
    """What is searched."""

    @property
    def space(self) -> SearchSpace:
        """The search space."""

    @property
    def costs(self) -> Mapping[str, AnyCost]:
        """All that a candidate costs, by name."""

    def costs_of(
        self, values: Sequence[float], precision: Precision = "binary"
    ) -> dict[str, float]:
        """All costs of one candidate, given by the value of each gene."""

    def each(self, genotypes: Sequence[Genotype]) -> dict[str, list[float]]:
        """All costs of many candidates."""

    def widths_of(self, values: Sequence[float]) -> tuple[int, ...]:
        """Channels of each gene that is a width; empty where genes are not widths."""

    def bits_of(self, values: Sequence[float]) -> tuple[int, ...]:
        """Bits of each gene that is bits of activations; empty where there are none."""

    def countable(self) -> dict[str, Cost]:
        """The costs as the search counts them, of many genotypes at once."""

    def reference(self) -> list[float]:
        """Values of the candidate by whose cost Eq. 4 divides."""

    def uniform(self) -> list[Genotype]:
        """Candidates that searched ones are compared with."""

    def check(self) -> None:
        """Refuses a space with candidates that cannot be made or counted.

        Raises:
            DefinitionError: If there are such candidates.
        """


@dataclass(frozen=True)
class Widths:
    """The widths of a network.

    Attributes:
        network: Network whose widths they are.
        space: Its genes and their ratios.
        costs: Costs of its layers, by name.
    """

    network: Network
    space: SearchSpace
    costs: Mapping[str, LayerCost]

    def costs_of(
        self, values: Sequence[float], precision: Precision = "binary"
    ) -> dict[str, float]:
        """All costs of one network, given by its ratios, which need not be of the space."""
        widths = (*self.widths_of(values), *self.bits_of(values))
        return {name: c.of(self.network, widths, precision) for name, c in self.costs.items()}

    def each(self, genotypes: Sequence[Genotype]) -> dict[str, list[float]]:
        """All costs of many binary networks; it takes as long as counting one network."""
        return {n: c.each(self.network, self.space, genotypes) for n, c in self.costs.items()}

    def widths_of(self, values: Sequence[float]) -> tuple[int, ...]:
        """Channels of each gene that is a width."""
        base, (ratios, bits) = self.network.base_widths, self.space.split(values)
        return tuple(int(b * r) for b, r in zip(base[: len(base) - len(bits)], ratios, strict=True))

    def bits_of(self, values: Sequence[float]) -> tuple[int, ...]:
        """Bits of each gene that is bits of activations."""
        return self.space.split(values)[1]

    def countable(self) -> dict[str, Cost]:
        """The costs of binary networks, of many genotypes at once."""
        return {name: c.over(self.network, self.space) for name, c in self.costs.items()}

    def reference(self) -> list[float]:
        """The uniform 1x network, of 1 bit per activation unless all have more."""
        return list(self.space.of_ratio(1.0, 1 if self.space.bit_genes else None))

    def uniform(self) -> list[Genotype]:
        """One uniform network for each ratio, and for each number of bits."""
        return [self.space.encode(values) for values in self.space.uniforms()]

    def check(self) -> None:
        """Looks at the narrowest and the widest network.

        Raises:
            DefinitionError: If a layer has no channels, or the widest network cannot be built.
        """
        network, ratios = self.network, self.space.ratios
        own = len(network.genes) - network.bit_genes
        for gene, base in zip(network.genes[:own], network.base_widths[:own], strict=True):
            if int(base * ratios[0]) < 1:
                raise DefinitionError(
                    f"{gene} would have int({base} * {ratios[0]:g}) = 0 channels; raise "
                    "[network] base_width, or the smallest of [space] ratios"
                )
        if LATENCY in self.costs:
            check_known(self.costs[LATENCY], network, self.space)
        if network.module is None:  # another package's module may do more than its specs say
            widest = self.space.widths_of(self.space.largest, network.base_widths)
            try:
                check_fit(network.layers(widest, "binary"), network.image)
            except ValueError as error:
                raise DefinitionError(
                    f"the widest network of the space cannot be built: {error}; lower [network] "
                    "base_width, [space] ratios, or the size of the images"
                ) from error


@dataclass(frozen=True)
class OwnSpace:
    """A space of its own, whose costs an evaluator of another package counts.

    Attributes:
        space: Its genes and their values.
        costs: What the package counts, by name.
    """

    space: SearchSpace
    costs: Mapping[str, OwnCost]

    def costs_of(
        self, values: Sequence[float], precision: Precision = "binary"
    ) -> dict[str, float]:
        """All costs of one candidate, which has no precision."""
        named = dict(zip(self.space.genes, values, strict=True))
        return {name: checked_cost(cost, named) for name, cost in self.costs.items()}

    def each(self, genotypes: Sequence[Genotype]) -> dict[str, list[float]]:
        """All costs of many candidates."""
        found = [self.costs_of(self.space.decode(genotype)) for genotype in genotypes]
        return {name: [each[name] for each in found] for name in self.costs}

    def widths_of(self, values: Sequence[float]) -> tuple[int, ...]:
        """Empty: values are no widths."""
        return ()

    def bits_of(self, values: Sequence[float]) -> tuple[int, ...]:
        """Empty: values are no bits."""
        return ()

    def countable(self) -> dict[str, Cost]:
        """The costs of many genotypes at once; those of a genotype are counted once only."""
        return {name: self._remembered(cost) for name, cost in self.costs.items()}

    def reference(self) -> list[float]:
        """The most expensive candidate."""
        return [values[-1] for values in self.space.values]

    def uniform(self) -> list[Genotype]:
        """None: values of different genes are not the same thing."""
        return []

    def check(self) -> None:
        """Counts some candidates, to see that costs are positive and do not fall with any value.

        Raises:
            DefinitionError: If the costs of some candidate are not what the search needs.
        """
        random = np.random.default_rng(0)
        choices = np.array(self.space.choices)
        for _ in range(_PAIRS):
            larger = random.integers(0, choices)
            gene = random.integers(len(choices))
            smaller = larger.copy()
            smaller[gene] = random.integers(0, larger[gene] + 1)
            before, after = (self.space.decode(g.tolist()) for g in (smaller, larger))
            low, high = self.costs_of(before), self.costs_of(after)
            for name in low:
                if low[name] > high[name]:
                    raise DefinitionError(
                        f"the cost {name} falls from {low[name]:g} to {high[name]:g} as "
                        f"{self.space.genes[gene]} grows from {before[gene]:g} to "
                        f"{after[gene]:g}, expected that no cost falls as a value grows; turn the "
                        "values of that gene around in its package"
                    )

    def _remembered(self, cost: OwnCost) -> Cost:
        known: dict[Genotype, float] = {}

        def of(genotypes: IntArray) -> FloatArray:
            rows: list[Genotype] = [tuple(row) for row in genotypes.tolist()]
            for row in rows:
                if row not in known:
                    known[row] = checked_cost(cost, self.space.named(row))
            return np.array([known[row] for row in rows])

        return Cost(cost.name, cost.unit or cost.title, of)
