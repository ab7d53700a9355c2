"""Recipes: how a network is trained.

Every key enters the fingerprint of an evaluation.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from moo_bnas.errors import DefinitionError
from moo_bnas.section import ADDED, AtLeastOne, Positive, Section
from moo_bnas.units import count


class Recipe(Section):
    """How a network is trained.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Smallest number of images per step. All steps of an epoch have equally many;
            the images left over, fewer than one per step, are left out of that epoch.
        learning_rate: Peak learning rate.
        schedule: `one_cycle` rises to the peak and falls to 0; `steps` begins at the peak and
            falls to a tenth at each milestone; `linear` begins at the peak and falls to 0.
        warmup: Share of the steps over which `one_cycle` rises, linearly, before it falls to 0 as a
            cosine.
        milestones: Epochs at which `steps` lowers the learning rate.
        optimizer: `sgd` or `adam`.
        momentum: Momentum of SGD, or the first beta of Adam.
        nesterov: Whether the momentum of SGD is Nesterov's; Adam has no such choice.
        weight_decay: Weight decay of all parameters.
        label_smoothing: Label smoothing of the cross entropy.
        shift: Pixels by which training images move at most in each direction: random crops of the
            image padded with that many zeros.
        flip: Whether half of the training images are mirrored.
        random_resized_crop: Whether training images are random parts of the stored ones, resized.
        dtype: Number format of the layers' arithmetic in training; weights and scoring are always
            fp32.
        seed: Seed of the split, the initial weights and the order of images.
    """

    epochs: AtLeastOne
    batch_size: Annotated[int, Field(ge=2, le=2**24)]  # batch norm needs two
    learning_rate: Positive
    schedule: Literal["one_cycle", "steps", "linear"] = "one_cycle"
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.2
    milestones: Annotated[tuple[AtLeastOne, ...], Field(strict=False)] = ()
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: Annotated[bool, ADDED] = True
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    shift: Annotated[int, Field(ge=0, le=4096)] = 0
    flip: bool = False
    random_resized_crop: bool = False
    dtype: Literal["fp32", "bf16"] = "fp32"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _milestones_are_of_steps(self) -> Recipe:
        if (self.schedule == "steps") != bool(self.milestones):
            raise ValueError(
                f"got schedule {self.schedule!r} with milestones {list(self.milestones)}, expected "
                "milestones such as [60, 120] with 'steps' and none with another; add or remove "
                "them"
            )
        inside = all(milestone < self.epochs for milestone in self.milestones)
        if not inside or list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(
                f"got milestones {list(self.milestones)} of {count(self.epochs, 'epoch')}, "
                f"expected them to ascend without repeats and to be below {self.epochs}; correct "
                "them"
            )
        return self

    def lasting(self, epochs: int) -> Self:
        """This recipe over another number of epochs; milestones keep their relative places.

        Raises:
            DefinitionError: If so few epochs leave no room for a milestone.
        """
        milestones = self._milestones_of(epochs)
        if self.milestones and not milestones:
            enough = next(n for n in range(epochs, self.epochs + 1) if self._milestones_of(n))
            raise DefinitionError(
                f"got {count(epochs, 'epoch')}, too few for milestones {list(self.milestones)} of "
                f"{self.epochs}; give {enough} or more"
            )
        return self.model_validate(
            {**self.model_dump(), "epochs": epochs, "milestones": milestones}
        )

    def _milestones_of(self, epochs: int) -> list[int]:
        places = {round(milestone * epochs / self.epochs) for milestone in self.milestones}
        return sorted(place for place in places if 0 < place < epochs)


class ParentRecipe(Recipe):
    """How a parent is trained.

    Attributes:
        rule: `plain` trains the widest network as any other; `sandwich` trains the narrowest one
            and random ones in each step, too (`training.sandwich`).
    """

    rule: Annotated[Literal["plain", "sandwich"], ADDED] = "plain"


class CandidateRecipe(Recipe):
    """How a candidate is trained.

    Attributes:
        epochs: Passes over the training images; 0: a candidate is scored with the weights that it
            inherits, after its batch norm statistics are recalibrated.
    """

    epochs: Annotated[int, Field(ge=0, le=2**31 - 1)]


class FinalRecipe(Recipe):
    """How chosen networks are trained in the end.

    Attributes:
        inherits: Whether binary networks begin with the first channels of the parent, as candidates
            do, and not with random weights.
    """

    inherits: Annotated[bool, ADDED] = False
