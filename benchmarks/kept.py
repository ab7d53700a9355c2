"""Results of benchmarks that take long: made once, then read from a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Kept:
    """Files in a folder, each named after what decides its content.

    A benchmark that was stopped and is started again continues where it was.

    Args:
        folder: The folder; None: nothing is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def values(self, key: list[Any], make: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Numbers by name; `make` is called if the folder has none of this key."""
        found: dict[str, float] = json.loads(
            self.content(key, lambda: json.dumps(make()).encode(), ".json")
        )
        return found

    def content(self, key: list[Any], make: Callable[[], bytes], ending: str) -> bytes:
        """Bytes; `make` is called if the folder has none of this key."""
        if self._folder is None:
            return make()
        name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
        path = self._folder / f"{name}{ending}"
        if not path.is_file():
            part = path.with_suffix(".part")
            part.write_bytes(make())
            part.replace(path)
        return path.read_bytes()
