"""The base class of a definition's sections, and types of numbers that several of them share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
AtLeastOne = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of a definition: frozen, refuses unknown keys, and never converts values."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
