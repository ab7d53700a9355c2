"""Data sets of other packages.

A package offers a function under the entry point group `moo_bnas.datasets`. It takes options of its
own, the keys of `[data]`, and returns an `OwnDataSet`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, model_validator

from moo_bnas.data.image_data import ImageData, Purpose
from moo_bnas.errors import DataError, MooBnasError
from moo_bnas.networks.layers import ImageShape
from moo_bnas.plugins import Plugins
from moo_bnas.section import Section

OWN = Plugins("moo_bnas.datasets", "data set", "data")
"""Data sets that installed packages offer."""


@dataclass(frozen=True)
class OwnDataSet:
    """A data set of another package.

    Attributes:
        shape: Size and channels of the images, and the number of classes.
        load: Function from the data root, the seed of the split and the purpose (`search` or
            `final`) to the images; see `moo_bnas.data`.
        needs: Where the images come from, in words.
    """

    shape: ImageShape
    load: Callable[[Path, int, Purpose], ImageData]
    needs: str = "what its package says"


class Own(Section):
    """A data set that an installed package offers; further keys are options of its own."""

    model_config = ConfigDict(extra="allow")

    name: str

    @model_validator(mode="after")
    def _exists(self) -> Own:
        _ = self.made
        return self

    @cached_property
    def made(self) -> OwnDataSet:
        """The data set.

        Raises:
            DefinitionError: If it does not have such an option, or its package is faulty.
        """
        made: OwnDataSet = OWN.make(self.name, OwnDataSet, self.model_extra or {})
        return made

    @property
    def shape(self) -> ImageShape:
        """Size, channels and classes, as its package says."""
        return self.made.shape

    @property
    def needs(self) -> str:
        """Where the images come from."""
        return self.made.needs

    def load(self, root: Path, seed: int, purpose: Purpose) -> ImageData:
        """The images for a purpose, as its package reads them.

        Raises:
            DataError: If its package raises an error, or returns something else.
        """
        try:
            found = self.made.load(root, seed, purpose)
            if not isinstance(found, ImageData):
                raise TypeError(f"it returned {type(found).__name__}, expected ImageData")
        except MooBnasError:
            raise
        except Exception as error:
            raise DataError(
                f"data set {self.name} cannot be loaded: {type(error).__name__}: {error}; fix its "
                "package, or the options in [data]"
            ) from error
        return found

    def identity(self) -> dict[str, Any]:
        """What a fingerprint takes of it: the options, and the version of the package."""
        return {**super().identity(), "package": self.package()}

    def package(self) -> dict[str, str]:
        """What identifies its code."""
        return OWN.identity(self.name)
