"""What the commands share that give their values to loggers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from moo_bnas.cli.options import PathType, options_as

if TYPE_CHECKING:
    from moo_bnas.loggers import Loggers


@dataclass(frozen=True)
class LogOptions:
    """Where values are logged, as the options of a command say.

    Attributes:
        tensorboard: Folder for event files of TensorBoard.
        mlflow: Tracking URI of MLflow.
        wandb: Project of Weights & Biases.
    """

    tensorboard: Path | None
    mlflow: str | None
    wandb: str | None

    @contextmanager
    def opened(self) -> Iterator[Loggers]:
        """The loggers that are asked for, until the block ends.

        Raises:
            DefinitionError: Where the package of one is not installed, or it cannot be used.
        """
        from moo_bnas.loggers import Logger, Loggers, MLflow, TensorBoard, WandB

        wanted: list[Logger] = []
        if self.tensorboard is not None:
            wanted.append(TensorBoard(self.tensorboard))
        if self.mlflow is not None:
            wanted.append(MLflow(self.mlflow))
        if self.wandb is not None:
            wanted.append(WandB(self.wandb))
        loggers = Loggers(wanted)
        try:
            yield loggers
        finally:
            loggers.close()


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of `LogOptions`, given as `logs`."""
    decorated: Callable[..., Any] = options_as(
        "logs",
        LogOptions,
        click.option(
            "--tensorboard",
            type=PathType(folder=True),
            metavar="FOLDER",
            help="Folder to write TensorBoard event files to.",
        ),
        click.option(
            "--mlflow",
            metavar="URI",
            help="Tracking URI of MLflow to log to, such as sqlite:///mlflow.db.",
        ),
        click.option(
            "--wandb",
            metavar="PROJECT",
            help="Project of Weights & Biases to log to; with WANDB_MODE=offline, in files.",
        ),
    )(command)
    return decorated
