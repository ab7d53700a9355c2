"""Evaluators of other packages: what scores a candidate, where moo-bnas does not train it.

A package offers a function under the entry point group `moo_bnas.evaluators`. It takes options of
its own, which are the keys of `[evaluator]` in a definition, and returns an `Evaluator`. Nothing
here needs torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from moo_bnas.data import ImageData
from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import ATTRIBUTES
from moo_bnas.evolution.space import Genotype
from moo_bnas.networks.layers import LayerSpec
from moo_bnas.plugins import Plugins
from moo_bnas.section import Section
from moo_bnas.units import quantity

_NAME = re.compile(r"[A-Za-z]\w{0,99}", re.ASCII)
_RESERVED = ATTRIBUTES | {
    *("genotype", "precision", "generation", "told", "repeat", "fitness", "fail_reason"),
    *("trial", "kind", "values", "on_front", "estimate", "estimate_sd", "on_measured_front"),
    *("model", "search_top1"),
}

OWN = Plugins("moo_bnas.evaluators", "evaluator", "evaluator")
"""Evaluators that installed packages offer."""


@dataclass(frozen=True)
class Task:
    """One candidate that an evaluator is to score.

    Attributes:
        genotype: Index of the value of each gene.
        values: Value of each gene by its name, in the order of the genes: the numbers of `[space]`
            genes, or the expansion ratios of a network.
        seed: Seed of all that is random, from the seed of `[evaluator]` and the genotype; another
            one for each repeat of an evaluation (`moo-bnas run --confirm`).
        device: `cpu` or `cuda:N`.
        data_root: Folder of data sets on this machine.
        should_stop: Says whether the evaluation is to be given up. Ask it every few seconds, and
            return None once it says so: the candidate goes to another worker.
        data: Images to train and score on, if the definition has `[data]`.
        layers: Layer specs of the binary network, if the definition has `[network]`.
        binarizer: Name of its binarizer.
    """

    genotype: Genotype
    values: Mapping[str, float]
    seed: int
    device: str
    data_root: Path
    should_stop: Callable[[], bool]
    data: ImageData | None = None
    layers: tuple[LayerSpec, ...] = ()
    binarizer: str | None = None

    @property
    def images(self) -> ImageData:
        """The data, of a definition that has `[data]`.

        Raises:
            DefinitionError: If it has none.
        """
        if self.data is None:
            raise DefinitionError("this evaluator needs images; add [data] to the definition")
        return self.data


@dataclass(frozen=True)
class Result:
    """What an evaluator found.

    Attributes:
        accuracy: Score in percent, from 0 to 100, of which more is better.
        epochs: Number of epochs that were trained, if any were.
        images: Number of images that the score was counted on, if any were.
        accuracy_per_epoch: Score after each epoch.
    """

    accuracy: float
    epochs: int = 0
    images: int | None = None
    accuracy_per_epoch: tuple[float, ...] = ()


@dataclass(frozen=True)
class OwnCost:
    """One thing that a candidate of an own space costs, of which less is better.

    Attributes:
        name: Key in JSON, in the attributes of a trial, and of the study's metric.
        title: What people read in tables and on axes.
        unit: What stands behind a quantity, as in `3.2 mJ`; empty for counts.
        of: Function from the value of each gene, by name, to the cost, a positive number. It must
            not fall as a value grows, and is counted by the driver before anything is evaluated.
        note: What a reader must know of how it is counted; may be empty.
    """

    name: str
    title: str
    unit: str
    of: Callable[[Mapping[str, float]], float]
    note: str = ""

    def amount(self, value: float) -> str:
        """A quantity of it for people: `3.2 mJ`."""
        return f"{quantity(value)}{self.unit}".strip()


@dataclass(frozen=True)
class Evaluator:
    """How candidates are scored.

    Attributes:
        evaluate: Function that scores one candidate: it returns a `Result` or just the accuracy in
            percent, or None once `Task.should_stop` says so. An exception fails the candidate;
            `moo_bnas.errors.DeviceError` has it tried again by another process.
        costs: What a candidate costs, for a space of its own; the first one is weighed against the
            accuracy. None for the space of a network, whose layers are counted.
    """

    evaluate: Callable[[Task], Result | float | None]
    costs: Sequence[OwnCost] = ()


class EvaluatorOptions(Section):
    """Which evaluator scores the candidates; further keys are options of its own.

    Attributes:
        name: Name under which an installed package offers it.
        seed: Seed of the split of the data and of every candidate.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @cached_property
    def made(self) -> Evaluator:
        """The evaluator.

        Raises:
            DefinitionError: If no installed package offers it, it does not have such an option, or
                its package is faulty.
        """
        made: Evaluator = OWN.make(self.name, Evaluator, self.model_extra or {})
        return made

    def costs(self) -> dict[str, OwnCost]:
        """The costs that it counts, by name; the first is the one that a search weighs.

        Raises:
            DefinitionError: If one has a name that rows or files have for something else.
        """
        names = [cost.name for cost in self.made.costs]
        for name in names:
            if not _NAME.fullmatch(name) or name in _RESERVED or names.count(name) > 1:
                raise DefinitionError(
                    f"got a cost called {name!r:.100}, expected a name of its own of letters, "
                    "digits and '_', which is not that of another attribute or column; rename it "
                    "in the package of the evaluator"
                )
        return dict(zip(names, self.made.costs, strict=True))

    def check_space(self, *, has_network: bool, has_genes: bool) -> None:
        """Refuses a definition whose space does not go with the costs of the evaluator.

        Args:
            has_network: Whether there is a network whose widths would be searched.
            has_genes: Whether there is a space of its own.

        Raises:
            ValueError: If there is none or both of them, or the costs are of the other one.
        """
        if has_network == has_genes:
            raise ValueError(
                "got [evaluator], expected beside it either [network] or [space] genes; correct it"
            )
        if bool(self.made.costs) != has_genes:
            raise ValueError(
                f"evaluator {self.name} counts {len(self.made.costs)} costs, expected at least one "
                "with [space] genes, and none with [network], whose layers are counted; correct "
                "its package"
            )

    def identity(self) -> dict[str, Any]:
        """What a fingerprint takes of it: the options, and the version of the package."""
        return {**super().identity(), "package": self.package()}

    def package(self) -> dict[str, str]:
        """What identifies its code."""
        return OWN.identity(self.name)


def checked_result(name: str, found: Any) -> Result:
    """What an evaluator returned, as a result of Python's own numbers.

    Raises:
        ValueError: If it is neither a result nor a number of percent.
    """
    given = found if isinstance(found, Result) else Result(found)
    scores = (given.accuracy, *given.accuracy_per_epoch)
    try:
        accuracy, *per_epoch = (float(score + 0) for score in scores)  # no text, no list
        images = None if given.images is None else int(given.images)
        result = Result(accuracy, int(given.epochs), images, tuple(per_epoch))
    except (TypeError, ValueError):
        result = None
    if result is None or not all(0 <= score <= 100 for score in (accuracy, *per_epoch)):
        raise ValueError(
            f"evaluator {name} returned {found!r:.200}, expected an accuracy from 0 to 100 or a "
            "Result with one; correct that package"
        )
    return result


def checked_cost(cost: OwnCost, values: Mapping[str, float]) -> float:
    """What a candidate costs.

    Raises:
        DefinitionError: If its package counts something else than a positive number.
    """
    try:
        found = float(cost.of(values))
    except Exception as error:
        raise _fault(cost, values, f"{type(error).__name__}: {error}") from error
    if not (math.isfinite(found) and 0 < found < 1e30):
        raise _fault(cost, values, str(found))
    return found


def _fault(cost: OwnCost, values: Mapping[str, float], got: str) -> DefinitionError:
    return DefinitionError(
        f"the cost {cost.name} of {dict(values)} is {got}, expected a positive number; correct the "
        "package of the evaluator"
    )
