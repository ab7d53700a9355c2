"""The sections of a definition on the search: which networks, how long, by which cost."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from moo_bnas.evolution.space import PAPER_RATIOS, SearchSpace
from moo_bnas.networks.cost import FLOPS, MEMORY
from moo_bnas.networks.latency import LATENCY
from moo_bnas.section import AtLeastOne, Positive, Section

Ratio = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]


class SpaceOptions(Section):
    """Which expansion ratios each gene may take."""

    ratios: Annotated[tuple[Ratio, ...], Field(strict=False, min_length=1, max_length=100)] = (
        PAPER_RATIOS
    )

    @field_validator("ratios")
    @classmethod
    def _ascend(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        SearchSpace(("any",), ratios)
        return ratios


_Ratios = Annotated[tuple[Ratio, ...], Field(strict=False)]


class SearchOptions(Section):
    """How long to search, and under which limits.

    Attributes:
        population: Candidates per generation.
        generations: Number of generations.
        schedule: `barrier`: a generation is proposed once the one before is evaluated; `steady`:
            every finished evaluation makes room for a new candidate.
        max_evaluations: Number of candidates after which the search ends, in the middle of a
            generation too.
        max_hours: Hours of driving after which no candidate is begun.
        plateau: The search ends once this many evaluations have raised the hypervolume, or the
            best fitness, by less than a thousandth.
        start_with: Ratios of networks that are evaluated first.
        model: Model that screens candidates: `gp`, a Gaussian process that learns accuracies from
            the candidates so far; `none` leaves the choice to the genetic algorithm.
        trade_off: Lambda of Eq. 4.
        cost: What accuracy is weighed against: `flops`, or `latency` by a table of the definition.
        max_flops: Limit on FLOPs: no candidate above it is trained. The references (uniform and
            full-precision networks) are trained all the same.
        max_memory: The same limit on memory, in bits.
        max_latency: The same limit on latency, in milliseconds.
    """

    population: Annotated[int, Field(ge=2, le=10_000)] = 32
    generations: AtLeastOne = 50
    schedule: Literal["barrier", "steady"] = "barrier"
    max_evaluations: AtLeastOne | None = None
    max_hours: Positive | None = None
    plateau: AtLeastOne | None = None
    start_with: Annotated[tuple[_Ratios, ...], Field(strict=False)] = ()
    model: Literal["none", "gp"] = "none"
    trade_off: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 4.0
    cost: Literal["flops", "latency"] = "flops"
    max_flops: Positive | None = None
    max_memory: Positive | None = None
    max_latency: Positive | None = None

    @property
    def candidates(self) -> int:
        """The greatest number of candidates."""
        every = self.population * self.generations
        return every if self.max_evaluations is None else min(every, self.max_evaluations)

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by the name of the cost."""
        given = {
            FLOPS.name: self.max_flops,
            MEMORY.name: self.max_memory,
            LATENCY: self.max_latency,
        }
        return {name: limit for name, limit in given.items() if limit is not None}
