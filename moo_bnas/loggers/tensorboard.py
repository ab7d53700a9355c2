"""TensorBoard event files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moo_bnas.errors import DefinitionError
from moo_bnas.extras import not_installed
from moo_bnas.loggers.series import Series


class TensorBoard:
    """A `Logger` of event files, in a folder for each series: `<folder>/<run>/<title>`.

    Event files that an earlier command wrote for the same series are replaced, since all of its
    steps come again.

    Args:
        folder: Folder that TensorBoard is to read.

    Raises:
        DefinitionError: Where tensorboard is not installed, or the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboard.summary import Writer
        except ImportError as error:
            raise DefinitionError(f"TensorBoard needs {not_installed('tensorboard')}") from error
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DefinitionError(
                f"cannot write to {folder}: {error.strerror}; give --tensorboard another folder"
            ) from error
        self._make: Any = Writer
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def log(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        """Writes a point for each value."""
        writer = self._writer(series)
        for name, value in values.items():
            writer.add_scalar(name, value, step=step)
        writer.flush()

    def finish(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        """Writes a point for each value."""
        self.log(series, step, values)

    def close(self) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, series: Series) -> Any:
        if series.key not in self._writers:
            folder = self._folder / series.run / series.folder
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
            self._writers[series.key] = self._make(str(folder))
        return self._writers[series.key]
