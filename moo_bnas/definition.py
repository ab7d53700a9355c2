"""Definitions: the TOML files that say what to search, on what, and how.

A definition is all of a run but its mode and seed. It is stored whole with the study, so that a
worker needs no file of the driver's.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from moo_bnas.data import DataSet
from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import PRECISIONS, Precision
from moo_bnas.evolution.space import SearchSpace
from moo_bnas.fingerprint import EVALUATION_VERSION, fingerprint
from moo_bnas.network_options import NetworkOptions
from moo_bnas.networks import source_of
from moo_bnas.networks.cost import COSTS, FLOPS, LayerCost
from moo_bnas.networks.fitting import check_fit
from moo_bnas.networks.latency import LATENCY, LatencyTable, covering, read_table
from moo_bnas.networks.network import Network
from moo_bnas.output import one_line
from moo_bnas.reading import read_file
from moo_bnas.recipe import CandidateRecipe, ParentRecipe, Recipe
from moo_bnas.search_options import SearchOptions, SpaceOptions
from moo_bnas.section import Section
from moo_bnas.shipped import shipped

_MOST_BYTES = 2**20  # of a file


class Definition(Section):
    """A whole definition.

    Attributes:
        name: Name of the file.
        description: One line for `moo-bnas definitions`.
        network: Network that is widened.
        space: Expansion ratios that its layers may have.
        data: Data set that it learns.
        recipe: How a candidate is trained.
        parent: How the parent is trained, the uniform network of the greatest ratio, whose weights
            binary candidates start with; without it they start from scratch.
        final: How chosen networks are trained in the end, on training and validation images.
        search: How long to search, and under which limits.
        latency: Latencies of its layers, of a run that was given a table; it decides no accuracy.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    description: str
    network: NetworkOptions
    space: SpaceOptions = SpaceOptions()
    data: DataSet
    recipe: CandidateRecipe
    parent: ParentRecipe | None = None
    final: Recipe | None = None
    search: SearchOptions = SearchOptions()
    latency: LatencyTable | None = None

    @model_validator(mode="after")
    def _widths_are_positive(self) -> Definition:
        network, space = self.make_network(), self.make_space()
        for gene, base in zip(network.genes, network.base_widths, strict=True):
            if int(base * space.ratios[0]) < 1:
                raise ValueError(
                    f"{gene} would have int({base} * {space.ratios[0]:g}) = 0 channels; raise "
                    "[network] base_width, or the smallest of [space] ratios"
                )
        if network.module is None:  # another package's module may do more than its specs say
            widest = [int(base * space.ratios[-1]) for base in network.base_widths]
            try:
                check_fit(network.layers(widest, "binary"), network.image)
            except ValueError as error:
                raise ValueError(
                    f"the widest network of the space cannot be built: {error}; lower [network] "
                    "base_width, [space] ratios, or the size of the images"
                ) from error
        return self

    @model_validator(mode="after")
    def _candidates_have_weights(self) -> Definition:
        if self.recipe.epochs == 0 and self.parent is None:
            raise ValueError(
                "got [recipe] epochs 0 without [parent], expected 1 or more, since random weights "
                "cannot be scored; raise it, or add [parent]"
            )
        return self

    @model_validator(mode="after")
    def _latencies_are_known(self) -> Definition:
        if self.latency is not None:
            network, space = self.make_network(), self.make_space()
            genotypes = covering(len(space.genes), len(space.ratios))
            cost = self.latency.cost()
            cost.over(network, space).of(genotypes)  # raises if a layer is missing
            for precision in PRECISIONS:
                if cost.of(network, network.base_widths, precision) <= 0:
                    raise ValueError("the latency table has networks that take no time at all")
        elif self.search.cost == "latency" or self.search.max_latency is not None:
            raise ValueError(
                "got a search by latency without a latency table; give --latency-table FILE, or "
                'latency = "FILE" at the top of the definition, with a file of `moo-bnas latency`'
            )
        return self

    def make_network(self) -> Network:
        """The network of this definition."""
        return self.network.make(self.data.shape)

    def make_space(self) -> SearchSpace:
        """The search space of this definition."""
        return SearchSpace(self.make_network().genes, self.space.ratios)

    def costs(self) -> dict[str, LayerCost]:
        """All that a network costs, by name."""
        return COSTS if self.latency is None else {**COSTS, LATENCY: self.latency.cost()}

    @property
    def cost(self) -> LayerCost:
        """What a search weighs accuracy against."""
        return self.costs()[LATENCY if self.search.cost == "latency" else FLOPS.name]

    def keys(self) -> dict[str, Any]:
        """All keys for people to read; of a latency table only which one it is."""
        values = self.model_dump(mode="json")
        if self.latency is None:
            del values["latency"]
        else:
            values["latency"] = self.latency.named()
        return values

    def cost_range(self) -> tuple[float, float]:
        """Costs of the cheapest and of the most expensive binary network of the space."""
        return self.cost.ends(self.make_network(), self.make_space())

    def reference_cost(self) -> float:
        """Cost of the uniform 1x binary network, by which Eq. 4 divides."""
        network = self.make_network()
        return self.cost.of(network, network.base_widths)

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
                "recipe": self.recipe.identity(),
                "parent_hash": parent_hash if precision == "binary" else None,
            }
        )

    def code(self) -> dict[str, Any]:
        """What this installation makes of the definition; other code would find other accuracies.

        Its JSON must be that of every other worker of a run: `network` is a hash of the layers of
        the uniform 1x network, and of the source of a network of another package.
        """
        network = self.make_network()
        layers = [network.layers(network.base_widths, precision) for precision in PRECISIONS]
        made = [source_of(self.network.name), [[asdict(spec) for spec in each] for each in layers]]
        digest = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
        return {"evaluation_version": EVALUATION_VERSION, "network": digest}

    def parent_fingerprint(self, data_hash: str) -> str:
        """The fingerprint of the parent's training, which gives weights beside an accuracy."""
        if self.parent is None:
            raise DefinitionError(f"definition {self.name} has no [parent]; add that section")
        return fingerprint(
            {
                **self._common("binary", data_hash),
                "parent": self.parent.identity(),
                "split_seed": self.recipe.seed,
            }
        )

    def final_fingerprint(self, precision: Precision, data_hash: str) -> str:
        """The fingerprint of all final training runs of this definition.

        Args:
            precision: Precision of the networks.
            data_hash: Hash of the content of the data, test images included.
        """
        return fingerprint(
            {
                **self._common(precision, data_hash),
                "final": self.final_recipe().identity(),
                "split_seed": self.recipe.seed,
            }
        )

    def final_recipe(self) -> Recipe:
        """How networks are trained in the end.

        Raises:
            DefinitionError: Where the definition does not say.
        """
        if self.final is None:
            raise DefinitionError(
                f"definition {self.name} has no [final], which says how networks are trained in "
                "the end; add that section (see studies/digits.toml) and name the file again"
            )
        return self.final

    def _common(self, precision: Precision, data_hash: str) -> dict[str, Any]:
        """What all evaluations depend on: the network, its ratios, and the data."""
        network = self.make_network()
        layers = network.layers(network.base_widths, precision)
        return {
            "network": {
                **self.network.identity(),
                "base_widths": network.base_widths,
                "layers": [asdict(spec) for spec in layers],
                "source": source_of(self.network.name),
                "precision": precision,
            },
            "ratios": self.space.ratios,
            # wherever the same data are kept
            "data": {k: v for k, v in self.data.identity().items() if k != "path"},
            "data_hash": data_hash,
        }


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
    try:
        values = tomllib.loads(read_file(path, _MOST_BYTES).decode())
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{path} is no text file (UTF-8); give a .toml file") from error
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{path}: not valid TOML: {error}; correct that line") from error
    except RecursionError as error:
        raise DefinitionError(
            f"{path}: nested too deeply; give a .toml file as in studies/"
        ) from error
    except ValueError as error:  # an integer of thousands of digits
        raise DefinitionError(f"{path}: {error}; correct that number") from error
    except OSError as error:
        raise DefinitionError(
            f"cannot read {path}: {error.strerror}; check its permissions"
        ) from error
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
        faults = [_fault(fault) for fault in error.errors()]
    except DefinitionError as error:
        faults = [str(error)]
    raise DefinitionError("\n".join([f"{source}: {len(faults)} fault(s)", *faults]))


def stored_definition(values: dict[str, Any]) -> Definition:
    """A definition as a study's attributes hold it."""
    return parse_definition(values, source="stored definition")


def _fault(fault: Any) -> str:
    parts = fault["loc"]
    if parts[:1] == ("data",):  # then comes the data set's name, which is no key
        parts = ("data", *parts[2:])
    where = ".".join(str(part) for part in parts) or "definition"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        message = "unknown key; remove it or correct its name"
    elif fault["type"] == "missing":
        message = "missing; add it"
    elif fault["type"] == "union_tag_not_found":
        message = "name is missing; add it"
    elif fault["type"] == "union_tag_invalid":
        context = fault["ctx"]
        message = f"got name {context['tag']!r}, expected one of {context['expected_tags']}"
    elif fault["type"] != "value_error":
        message += f", got {fault['input']!r:.200}"
    return one_line(f"  {where:.200}: {message}")
