"""Definitions: the TOML files that say what to search, on what, and how.

A definition is all of a run but its mode and seed. It is stored whole with the study, so that a
worker needs no file of the driver's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from moo_bnas.data import DataSet, Own
from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import Precision
from moo_bnas.evaluators import EvaluatorOptions
from moo_bnas.evolution.space import Genotype, SearchSpace
from moo_bnas.faults import fault_line
from moo_bnas.fingerprint import EVALUATION_VERSION, fingerprint
from moo_bnas.network_options import NetworkOptions
from moo_bnas.networks.cost import LayerCost
from moo_bnas.networks.latency import NO_TABLE, LatencyTable, costs_with
from moo_bnas.networks.latency_file import read_table
from moo_bnas.networks.network import Network
from moo_bnas.output import one_line
from moo_bnas.reading import read_toml
from moo_bnas.recipe import CandidateRecipe, FinalRecipe, ParentRecipe
from moo_bnas.search_options import SearchOptions, SpaceOptions
from moo_bnas.section import Section
from moo_bnas.shipped import shipped
from moo_bnas.subject import AnyCost, OwnSpace, Subject, Widths
from moo_bnas.units import count

_MOST_BYTES = 2**20  # of a file


class Definition(Section):
    """A whole definition.

    Attributes:
        name: Name of the file.
        description: One line for `moo-bnas definitions`.
        network: Network that is widened; None with a space of its own.
        evaluator: Evaluator of another package; then there is no recipe, parent or final.
        space: Values that the genes may have.
        data: Data set that is learned; None if an evaluator needs none.
        recipe: How a candidate is trained; None if an evaluator scores it.
        parent: How the parent is trained, the uniform network of the greatest ratio, whose weights
            binary candidates start with; without it they start from scratch.
        final: How chosen networks are trained in the end, on training and validation images.
        search: How long to search, and under which limits.
        latency: Latencies of its layers, of a run that was given a table; it decides no accuracy.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    description: str
    network: NetworkOptions | None
    evaluator: EvaluatorOptions | None = None
    space: SpaceOptions = SpaceOptions()
    data: DataSet | None
    recipe: CandidateRecipe | None
    parent: ParentRecipe | None = None
    final: FinalRecipe | None = None
    search: SearchOptions = SearchOptions()
    latency: LatencyTable | None = None

    @model_validator(mode="before")
    @classmethod
    def _evaluators_need_less(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("evaluator") is not None:
            return {"network": None, "data": None, "recipe": None, **values}
        return values

    @model_validator(mode="after")
    def _sections_fit(self) -> Definition:
        if self.evaluator is None:
            missing = [k for k in ("network", "data", "recipe") if getattr(self, k) is None]
            if missing or self.space.genes:
                told = f"no [{missing[0]}]" if missing else "[space] genes"
                raise ValueError(f"got {told} without [evaluator]; correct it, or add [evaluator]")
            return self
        unused = [k for k in ("recipe", "parent", "final") if getattr(self, k) is not None]
        if unused:
            raise ValueError(
                f"got [{unused[0]}] with [evaluator], which says itself how candidates are scored; "
                f"remove [{unused[0]}]"
            )
        self.evaluator.check_space(
            has_network=self.network is not None,
            has_genes=bool(self.space.genes),
        )
        if self.network is not None and self.data is None:
            raise ValueError("got [network] without [data], whose images it takes; add [data]")
        return self

    @model_validator(mode="after")
    def _subject_is_sound(self) -> Definition:
        if self.latency is None and self.search.needs_latencies:
            raise ValueError(NO_TABLE)
        if self.latency is not None and self.network is None:
            raise ValueError("got a latency table without [network]; leave the table out")
        if self.latency is not None and self.network is not None:
            self.latency.check_network(self.network.name, self.network.binarizer)
        subject = self.subject()
        subject.check()
        for name in self.search.limits.keys() - subject.costs.keys():
            raise ValueError(
                f"got a limit on {name}, expected one on {' or '.join(subject.costs)}; give it as "
                "[search] max_cost"
            )
        return self

    @model_validator(mode="after")
    def _candidates_have_weights(self) -> Definition:
        if self.recipe is not None and self.recipe.epochs == 0 and self.parent is None:
            raise ValueError(
                "got [recipe] epochs 0 without [parent], expected 1 or more, since random weights "
                "cannot be scored; raise it, or add [parent]"
            )
        if self.final is not None and self.final.inherits and self.parent is None:
            raise ValueError("got [final] inherits without [parent]; remove it, or add [parent]")
        return self

    @property
    def seed(self) -> int:
        """Seed of the split of the data, and of every candidate."""
        return self.evaluator.seed if self.evaluator is not None else self.training().seed

    @property
    def title(self) -> str:
        """What is searched, and on what, in a few words."""
        scored = "" if self.evaluator is None else self.evaluator.name
        named = scored if self.network is None else self.network.name
        data = "" if self.data is None else f" on {self.data.name}"
        return f"{named}{data}" + (f", scored by {scored}" if scored not in ("", named) else "")

    def training(self) -> CandidateRecipe:
        """How moo-bnas trains candidates; a DefinitionError if an evaluator scores them."""
        if self.recipe is None:
            raise self._has_evaluator()
        return self.recipe

    def images(self) -> DataSet:
        """The data set; a DefinitionError if there is none, as an evaluator may need none."""
        if self.data is None:
            raise DefinitionError(f"definition {self.name} has no [data]; there are no images")
        return self.data

    def network_options(self) -> NetworkOptions:
        """Which network is searched; a DefinitionError in a space of its own."""
        if self.network is None:
            raise self._has_evaluator()
        return self.network

    def make_network(self) -> Network:
        """The network of this definition; a DefinitionError as by `network_options`."""
        bits, shared = self.space.activation_bits, self.space.shared_bits
        return self.network_options().make(self.images().shape, bits, shared=shared)

    def subject(self) -> Subject:
        """What is searched, and what it costs."""
        if self.network is None and self.evaluator is not None:
            return OwnSpace(SearchSpace.of(self.space.genes), self.evaluator.costs())
        network = self.make_network()
        return Widths(network, self.space.of(network), self._layer_costs())

    def make_space(self) -> SearchSpace:
        """The search space of this definition."""
        return self.subject().space

    def costs(self) -> Mapping[str, AnyCost]:
        """All that a candidate costs, by name; the first is the one that the search weighs."""
        if self.network is None and self.evaluator is not None:
            return self.evaluator.costs()
        return self._layer_costs()

    @property
    def cost(self) -> AnyCost:
        """What a search weighs accuracy against."""
        return next(iter(self.costs().values()))

    def _layer_costs(self) -> Mapping[str, LayerCost]:
        return costs_with(self.latency, first=self.search.cost == "latency")

    def cost_range(self) -> tuple[float, float]:
        """Costs of the cheapest and of the most expensive candidate of the space."""
        subject = self.subject()
        ends = [subject.space.smallest, subject.space.largest]
        least, most = subject.each(ends)[self.cost.name]
        return least, most

    def reference_cost(self) -> float:
        """Cost that Eq. 4 divides by: of the uniform 1x network, or the greatest of a space."""
        return (subject := self.subject()).costs_of(subject.reference())[self.cost.name]

    def references(self) -> list[tuple[Genotype, Precision]]:
        """What is evaluated beside the search: uniform networks and the full-precision twin.

        The twin inherits nothing, so without training there is nothing to score; evaluators of
        other packages score binary networks only.
        """
        subject = self.subject()
        found: list[tuple[Genotype, Precision]] = [(g, "binary") for g in subject.uniform()]
        if self.recipe is not None and self.recipe.epochs and 1.0 in subject.space.ratios:
            found.append((subject.space.uniform(1.0), "full"))
        return found

    def fingerprint(
        self, precision: Precision, data_hash: str, parent_hash: str | None = None
    ) -> str:
        """The fingerprint of all evaluations of this definition.

        Args:
            precision: Precision of the networks.
            data_hash: Hash of the content of the data.
            parent_hash: Hash of the weights that binary candidates start with.
        """
        return fingerprint(
            {
                **self._common(precision, data_hash),
                **self._scored_by(),
                "parent_hash": parent_hash if precision == "binary" else None,
            }
        )

    def code(self) -> dict[str, Any]:
        """What this installation makes of the definition; other code would find other accuracies.

        Its JSON must be that of every other worker of a run: `network` is a hash of the layers of
        the uniform 1x network, and of the source of a network of another package.
        """
        found: dict[str, Any] = {"evaluation_version": EVALUATION_VERSION}
        if self.network is not None:
            found["network"] = self.network.code_of(self.make_network())
        if self.evaluator is not None:
            found["evaluator"] = " ".join(self.evaluator.package().values())
        if isinstance(self.data, Own):
            found["data"] = " ".join(self.data.package().values())
        return found

    def parent_fingerprint(self, data_hash: str) -> str:
        """The fingerprint of the parent's training, which gives weights beside an accuracy."""
        if self.parent is None:
            raise DefinitionError(f"definition {self.name} has no [parent]; add that section")
        return fingerprint(
            {
                **self._common("binary", data_hash),
                "parent": self.parent.identity(),
                "split_seed": self.seed,
            }
        )

    def final_fingerprint(
        self, precision: Precision, data_hash: str, parent_hash: str | None = None
    ) -> str:
        """The fingerprint of all final training runs of this definition.

        Args:
            precision: Precision of the networks.
            data_hash: Hash of the content of the data, test images included.
            parent_hash: Hash of the weights that binary networks start with, if [final] inherits.
        """
        recipe, parts = self.final_recipe(), self._common(precision, data_hash)
        if recipe.inherits and precision == "binary":
            parts["parent_hash"] = parent_hash
        return fingerprint({**parts, "final": recipe.identity(), "split_seed": self.seed})

    def final_recipe(self) -> FinalRecipe:
        """How networks are trained in the end.

        Raises:
            DefinitionError: Where the definition does not say.
        """
        self.training()  # an evaluator has none
        if self.final is None:
            raise DefinitionError(
                f"definition {self.name} has no [final], which says how networks are trained in "
                "the end; add that section (see studies/digits.toml) and name the file again"
            )
        return self.final

    def _common(self, precision: Precision, data_hash: str) -> dict[str, Any]:
        """What all evaluations depend on: the network and its ratios, or the genes; the data."""
        found: dict[str, Any] = {"data_hash": data_hash}
        if self.data is not None:  # wherever the same data are kept
            found["data"] = {k: v for k, v in self.data.identity().items() if k != "path"}
        if self.network is None:
            return found | {"genes": list(self.space.genes.items())}
        found["network"] = self.network.identity_of(self.make_network(), precision)
        return found | {"ratios": self.space.ratios} | self.space.bits_identity()

    def _scored_by(self) -> dict[str, Any]:
        """What evaluations of candidates depend on beside: the recipe, or the evaluator."""
        if self.evaluator is not None:
            return {"evaluator": self.evaluator.identity()}
        return {"recipe": self.training().identity()}

    def _has_evaluator(self) -> DefinitionError:
        name = "" if self.evaluator is None else self.evaluator.name
        return DefinitionError(
            f"definition {self.name} leaves networks and their training to the evaluator {name} of "
            "another package, so there is nothing of moo-bnas to train, export or inherit from; "
            "use what that package offers, or a definition without [evaluator]"
        )


def load_definition(name_or_path: str) -> Definition:
    """Reads a definition, by its shipped name or from a file.

    Raises:
        DefinitionError: Where it is missing or wrong; the message names all faults at once.
    """
    path = shipped().get(name_or_path)
    if path is None:
        path = Path(name_or_path)
        if not os.path.isfile(path):  # Path.is_file raises if a name is too long
            there = f"expected one of {', '.join(shipped())} or the path of a .toml file"
            is_path = path.suffix == ".toml" or os.sep in name_or_path
            if is_path and not os.path.exists(path):
                raise DefinitionError(f"there is no file {name_or_path!r:.300}; {there}")
            raise DefinitionError(f"got the definition {name_or_path!r:.300}, {there}")
    values = read_toml(path, _MOST_BYTES)
    if isinstance(table := values.get("latency"), str):
        values["latency"] = read_table(path.parent / table).model_dump()
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)
    return parse_definition({"name": name, **values}, source=str(path))


def parse_definition(values: dict[str, Any], source: str) -> Definition:
    """Checks the values of a definition.

    Raises:
        DefinitionError: Naming `source` and all faults.
    """
    try:
        return Definition.model_validate(values)
    except ValidationError as error:
        faults = [fault_line(fault) for fault in error.errors()]
    except DefinitionError as error:
        faults = [one_line(str(error))]
    raise DefinitionError("\n".join([f"{source}: {count(len(faults), 'fault')}", *faults]))


def stored_definition(values: dict[str, Any]) -> Definition:
    """A definition as a study's attributes hold it."""
    return parse_definition(values, source="stored definition")
