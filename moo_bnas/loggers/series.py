"""What a logger shows as one piece of work."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Series:
    """A search, or the final training of one network.

    Attributes:
        run: Name of the run.
        title: `search`, or what the network is called.
        identity: Text that tells the run from others of the same name.
        settings: What was decided before it began, by key, such as `recipe.epochs`.
    """

    run: str
    title: str
    identity: str
    settings: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The same 16 letters and digits whenever this series is continued."""
        text = f"{self.identity}\n{self.run}\n{self.title}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def folder(self) -> str:
        """The title as the name of a folder."""
        return re.sub(r"[^A-Za-z0-9.+_-]", "-", self.title.replace(",", ""))
