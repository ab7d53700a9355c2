"""Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from moo_bnas.errors import DefinitionError
from moo_bnas.extras import not_installed
from moo_bnas.loggers.series import Series


class WandB:
    """A `Logger` of runs of Weights & Biases: a group for each run of a search, a run per series.

    A series that an earlier command logged is continued after its last step. Its variables say
    where runs are kept: WANDB_MODE=offline keeps them in files, WANDB_DIR says in which folder.

    Args:
        project: Name of the project.

    Raises:
        DefinitionError: Where wandb is not installed, or nobody is logged in.
    """

    def __init__(self, project: str) -> None:
        try:
            import wandb
        except ImportError as error:
            raise DefinitionError(f"Weights & Biases needs {not_installed('wandb')}") from error
        is_online = os.environ.get("WANDB_MODE", "online") in ("online", "run")
        if is_online and not wandb.api.api_key:
            raise DefinitionError(
                "nobody is logged in to Weights & Biases; give the command `wandb login`, or set "
                "WANDB_MODE=offline to keep the runs in files"
            )
        self._wandb: Any = wandb
        self._project = project
        self._runs: dict[str, Any] = {}

    def log(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        """Logs the values, unless they are there."""
        run = self._run(series)
        if step >= run.step:
            run.log(dict(values), step=step)

    def finish(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        """Puts the values into the summary of the run, and ends it."""
        run = self._run(series)
        run.summary.update(dict(values))
        run.finish()

    def close(self) -> None:
        """Ends the runs that have not ended; they can be continued."""
        for run in self._runs.values():
            run.finish()

    def _run(self, series: Series) -> Any:
        if series.key not in self._runs:
            self._runs[series.key] = self._wandb.init(
                project=self._project,
                group=series.run,
                name=f"{series.run} {series.title}",
                id=series.key,
                config=dict(series.settings),
                resume="allow",
                reinit="create_new",
                settings=self._wandb.Settings(console="off", silent=True),
            )
        return self._runs[series.key]
