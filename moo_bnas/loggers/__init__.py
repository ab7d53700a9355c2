"""Where results are watched beside the report: TensorBoard, MLflow, Weights & Biases.

A logger gets *series* of values: the search of a run, with a step for each trial, and the final
training of each network, with a step for each epoch. A command that resumes a run gives all steps
again; a logger drops those that it has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from moo_bnas.loggers.mlflow import MLflow
from moo_bnas.loggers.series import Series
from moo_bnas.loggers.tensorboard import TensorBoard
from moo_bnas.loggers.wandb import WandB

log = logging.getLogger(__name__)

__all__ = ["Logger", "Loggers", "MLflow", "Series", "TensorBoard", "WandB"]


class Logger(Protocol):
    """What takes the values of series; all calls come from one thread."""

    def log(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        """Takes the values of one step; the steps of a series ascend."""

    def finish(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        """Takes what is known once a series has ended with this step; the values may be empty."""

    def close(self) -> None:
        """Writes what is left; nothing comes after it."""


@dataclass(frozen=True)
class _Served:
    logger: Logger
    thread: ThreadPoolExecutor


class Loggers:
    """Gives the same values to several loggers, or to none.

    Each has a thread of its own, and one that fails gets nothing more: no server that is slow or
    down holds up a run.

    Args:
        loggers: Loggers, which are closed with this.
    """

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self._served = [_Served(each, ThreadPoolExecutor(1)) for each in loggers]
        self._failed: list[Logger] = []

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._served)

    def log(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        """See `Logger.log`; returns at once."""
        for each in self._served:
            self._later(each, lambda to: to.log(series, step, values))

    def finish(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        """See `Logger.finish`; returns at once."""
        for each in self._served:
            self._later(each, lambda to: to.finish(series, step, values))

    def close(self) -> None:
        """Waits until the loggers have taken everything."""
        for each in self._served:
            self._later(each, lambda to: to.close())
        for each in self._served:
            each.thread.shutdown()

    def _later(self, served: _Served, call: Callable[[Logger], None]) -> None:
        served.thread.submit(self._now, served.logger, call)

    def _now(self, logger: Logger, call: Callable[[Logger], None]) -> None:
        if logger in self._failed:
            return
        try:
            call(logger)
        except Exception as error:  # of another package; the run is worth more than its log
            self._failed.append(logger)
            said = f"{type(error).__name__}: {error}"
            log.warning(
                "%s failed and gets no more values; the run continues without it (%.300s). Give "
                "the same command again for what is missing there",
                type(logger).__name__,
                said,
            )
