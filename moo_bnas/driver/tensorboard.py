"""TensorBoard event files of final training runs, where the user wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moo_bnas.driver.finals import folder_name
from moo_bnas.driver.progress import FinalProgress
from moo_bnas.errors import DefinitionError
from moo_bnas.extras import not_installed
from moo_bnas.storage import Trial


class EventFiles:
    """Writes the losses of training runs as they become known, in a folder for each network.

    Event files that an earlier command wrote for the same network are replaced: all epochs so far
    are written again.

    Args:
        folder: Folder that TensorBoard is to read.

    Raises:
        DefinitionError: Where tensorboard is not installed, or the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboard.summary import Writer
        except ImportError as error:
            raise DefinitionError(f"--tensorboard needs {not_installed('tensorboard')}") from error
        self._make: Any = Writer
        self._folder = folder
        self._writers: dict[str, Any] = {}
        self._written: dict[str, int] = {}

    def write(self, progress: FinalProgress) -> None:
        """Writes the epochs that were not written yet."""
        for each in progress.unfinished:
            self._losses(each.title, each.losses)

    def end(self, title: str, trial: Trial) -> None:
        """Writes the last epochs of a finished training run, and its test accuracy."""
        found = trial.result
        self._losses(title, found.loss_per_epoch)
        for tag, value in (("test/top1", found.accuracy), ("test/top5", found.top5)):
            self._writer(title).add_scalar(tag, value, step=found.epochs)
        self._writer(title).flush()

    def _losses(self, title: str, losses: Sequence[float]) -> None:
        for epoch in range(self._written.get(title, 0), len(losses)):
            self._writer(title).add_scalar("train/loss", losses[epoch], step=epoch + 1)
        if len(losses) > self._written.get(title, 0):
            self._writer(title).flush()
        self._written[title] = len(losses)

    def _writer(self, title: str) -> Any:
        if title not in self._writers:
            folder = self._folder / folder_name(title)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                for old in folder.glob("events.out.tfevents.*"):
                    old.unlink()
            except OSError as error:
                raise DefinitionError(
                    f"cannot write to {folder}: {error.strerror}; give --tensorboard another folder"
                ) from error
            self._writers[title] = self._make(str(folder))
        return self._writers[title]
