"""The base class of a definition's sections, and types of numbers that several of them share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
AtLeastOne = Annotated[int, Field(ge=1, le=2**31 - 1)]


ADDED = "added after 0.1"
"""Marks a key that definitions of 0.1 did not have: `key: Annotated[float, ADDED] = 0.5`.

At its default such a key changes no fingerprint, so that evaluations made before it was added are
still known. Its default must therefore mean what the code did before.
"""


class Section(BaseModel):
    """A part of a definition: frozen, refuses unknown keys, and never converts values."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def identity(self) -> dict[str, Any]:
        """What a fingerprint takes of it: all but `ADDED` keys that have their default."""
        return self.model_dump(
            exclude={
                key
                for key, field in type(self).model_fields.items()
                if ADDED in field.metadata and getattr(self, key) == field.default
            }
        )
