"""What the sections of a definition are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
AtLeastOne = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of a definition: unknown keys are refused, and nothing is converted or changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
