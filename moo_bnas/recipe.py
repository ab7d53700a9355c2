"""Recipes: how a network is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from moo_bnas.errors import DefinitionError
from moo_bnas.section import AtLeastOne, Positive, Section


class Recipe(Section):
    """How a network is trained.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images a step, at least; all steps of an epoch are equal, what is left over
            (less than one image a step) waits for another epoch.
        learning_rate: At its peak.
        schedule: `one_cycle` rises to the peak and falls to 0; `steps` begins at the peak and
            falls to a tenth at each milestone.
        warmup: Of one cycle: the share of steps over which it rises, linearly; then it falls as a
            cosine to 0.
        milestones: Of steps: epochs.
        optimizer: `sgd`, with Nesterov momentum, or `adam`.
        momentum: Of SGD; of Adam the first beta.
        weight_decay: On all parameters.
        label_smoothing: Of the cross entropy.
        shift: Training images move by up to this many pixels each way (a random crop of the image
            padded by so many zeros).
        flip: Half of the training images are mirrored.
        random_resized_crop: Training images are random parts of the stored ones, resized.
        dtype: Of the layers' arithmetic in training; weights and scoring are fp32 always.
        seed: Of the split, the initial weights and the order of images.
    """

    epochs: AtLeastOne
    batch_size: Annotated[int, Field(ge=2)]  # batch norm needs two
    learning_rate: Positive
    schedule: Literal["one_cycle", "steps"] = "one_cycle"
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.2
    milestones: Annotated[tuple[AtLeastOne, ...], Field(strict=False)] = ()
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    shift: Annotated[int, Field(ge=0)] = 0
    flip: bool = False
    random_resized_crop: bool = False
    dtype: Literal["fp32", "bf16"] = "fp32"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _milestones_are_of_steps(self) -> Recipe:
        if (self.schedule == "steps") != bool(self.milestones):
            raise ValueError(
                f"got schedule {self.schedule!r} with milestones {list(self.milestones)}; steps "
                "needs milestones such as [60, 120], and only steps does"
            )
        inside = all(milestone < self.epochs for milestone in self.milestones)
        if not inside or list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(
                f"got milestones {list(self.milestones)} of {self.epochs} epochs, expected them to "
                "ascend without repeats and to lie before the end; mend them"
            )
        return self

    def lasting(self, epochs: int) -> Recipe:
        """This recipe over another number of epochs; milestones keep their shares of it.

        Raises:
            DefinitionError: Where so few epochs leave no room for a milestone.
        """
        milestones = self._milestones_of(epochs)
        if self.milestones and not milestones:
            enough = next(n for n in range(epochs, self.epochs + 1) if self._milestones_of(n))
            raise DefinitionError(
                f"got {epochs} epochs, too few for milestones {list(self.milestones)} of "
                f"{self.epochs}; give {enough} or more"
            )
        return Recipe.model_validate(
            {**self.model_dump(), "epochs": epochs, "milestones": milestones}
        )

    def _milestones_of(self, epochs: int) -> list[int]:
        places = {round(milestone * epochs / self.epochs) for milestone in self.milestones}
        return sorted(place for place in places if 0 < place < epochs)
