"""The sections of a definition that say what may be chosen, and how long and how to search."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from moo_bnas.evolution.space import PAPER_RATIOS, SearchSpace
from moo_bnas.networks.bits import MOST_BITS
from moo_bnas.networks.cost import FLOPS, MEMORY
from moo_bnas.networks.latency import LATENCY
from moo_bnas.networks.network import Network
from moo_bnas.section import AtLeastOne, Positive, Section

Ratio = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Values = Annotated[tuple[int, ...], Field(strict=False, min_length=1, max_length=100)]
_Gene = Annotated[str, Field(pattern=r"^[\w.-]{1,100}$")]


class SpaceOptions(Section):
    """Which values each gene may take.

    Attributes:
        ratios: Expansion ratios of every gene of a network.
        activation_bits: Bits that activations may have; then there is one gene more for each
            binarizer of the network. Empty: what `[network]` says, without such genes.
        shared_bits: Whether there is only one such gene, for all binarizers.
        genes: Genes of a space that is not that of a network, by name, each with the whole numbers
            that it chooses from; for `[evaluator]`.
    """

    ratios: Annotated[tuple[Ratio, ...], Field(strict=False, min_length=1, max_length=100)] = (
        PAPER_RATIOS
    )
    activation_bits: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MOST_BITS)], ...], Field(strict=False)
    ] = ()
    shared_bits: bool = False
    genes: dict[_Gene, Values] = Field(default_factory=dict, max_length=1000)

    @field_validator("ratios")
    @classmethod
    def _ascend(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        SearchSpace(("any",), ratios)
        return ratios

    @field_validator("activation_bits")
    @classmethod
    def _bits_ascend(cls, bits: tuple[int, ...]) -> tuple[int, ...]:
        if bits:
            SearchSpace.of({"activation_bits": bits})
        return bits

    @field_validator("genes")
    @classmethod
    def _genes_ascend(cls, genes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        if genes:
            SearchSpace.of(genes)
        return genes

    @model_validator(mode="after")
    def _bits_are_of_networks(self) -> SpaceOptions:
        if self.genes and self.activation_bits:
            raise ValueError("got genes and activation_bits, which is for networks; remove one")
        return self

    def of(self, network: Network) -> SearchSpace:
        """The space of a network, which has the genes of bits if there are any."""
        bits, number = self.activation_bits, network.bit_genes
        return SearchSpace.with_bits(network.genes, self.ratios, number, bits)

    def bits_identity(self) -> dict[str, Any]:
        """What a fingerprint takes of the genes of bits: nothing where there are none."""
        if not self.activation_bits:
            return {}
        return {"activation_bits": self.activation_bits, "shared_bits": self.shared_bits}


_Values = Annotated[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(strict=False)]


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
        start_with: Ratios, or other values, of candidates that are evaluated first.
        repeats: Whether the search is literally the paper's: random genotypes first, and offspring
            that were evaluated before count as individuals, whose accuracies are known.
        model: Model that screens candidates: `gp`, a Gaussian process that learns accuracies from
            the candidates so far; `none` leaves the choice to the genetic algorithm.
        trade_off: Lambda of Eq. 4.
        cost: What the accuracy of networks is weighed against: `flops`, or `latency` by a table of
            the definition.
        max_flops: Limit on FLOPs: no candidate above it is trained. The references (uniform and
            full-precision networks) are trained all the same.
        max_memory: The same limit on memory, in bits.
        max_latency: The same limit on latency, in milliseconds.
        max_cost: The same limit on other costs, by the name of the cost: those that an evaluator
            of another package counts.
    """

    population: Annotated[int, Field(ge=2, le=10_000)] = 32
    generations: AtLeastOne = 50
    schedule: Literal["barrier", "steady"] = "barrier"
    max_evaluations: AtLeastOne | None = None
    max_hours: Positive | None = None
    plateau: AtLeastOne | None = None
    start_with: Annotated[tuple[_Values, ...], Field(strict=False)] = ()
    repeats: bool = False
    model: Literal["none", "gp"] = "none"
    trade_off: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 4.0
    cost: Literal["flops", "latency"] = "flops"
    max_flops: Positive | None = None
    max_memory: Positive | None = None
    max_latency: Positive | None = None
    max_cost: dict[str, Positive] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _repeats_are_of_generations(self) -> SearchOptions:
        if self.repeats and (self.schedule != "barrier" or self.model != "none"):
            raise ValueError(
                f"got repeats with schedule {self.schedule!r} and model {self.model!r}, expected "
                "'barrier' and 'none', as in the paper; leave repeats out, or set these"
            )
        return self

    @property
    def candidates(self) -> int:
        """The greatest number of candidates."""
        every = self.population * self.generations
        return every if self.max_evaluations is None else min(every, self.max_evaluations)

    @property
    def needs_latencies(self) -> bool:
        """Whether it asks for latencies, which take a table of the definition."""
        return self.cost == "latency" or self.max_latency is not None

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by the name of the cost."""
        given = {FLOPS.name: self.max_flops, MEMORY.name: self.max_memory}
        given[LATENCY] = self.max_latency
        return {n: limit for n, limit in given.items() if limit is not None} | self.max_cost
