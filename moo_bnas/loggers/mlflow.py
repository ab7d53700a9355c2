"""MLflow."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from moo_bnas.errors import DefinitionError
from moo_bnas.extras import not_installed
from moo_bnas.loggers.series import Series

_TAG = "moo_bnas.series"
_MOST_PARAMS = 100  # of one request
_LONGEST_URI = 2000  # letters; MLflow tries for two minutes to open what no file system has


class MLflow:
    """A `Logger` of runs of MLflow: an experiment for each run of a search, a run for each series.

    A series that an earlier command logged is continued after its last step.

    Args:
        uri: Tracking URI, such as `sqlite:///mlflow.db` or that of a server.

    Raises:
        DefinitionError: Where mlflow is not installed, or does not take the URI.
    """

    def __init__(self, uri: str) -> None:
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise DefinitionError(f"MLflow needs {not_installed('mlflow-skinny')}") from error
        try:
            if not uri.strip() or len(uri) > _LONGEST_URI:
                raise ValueError(f"it has {len(uri)} letters")
            self._client = MlflowClient(tracking_uri=uri)
        except Exception as error:  # of whatever library the URI leads to
            raise DefinitionError(
                f"MLflow does not take {uri!r:.100} as a tracking URI ({error!s:.200}); give one "
                "such as sqlite:///mlflow.db, or that of a server"
            ) from error
        self._runs: dict[str, str] = {}
        self._last: dict[str, int] = {}

    def log(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        """Logs a point for each value, unless it is there."""
        run = self._run(series)
        if step > self._last[run]:
            self._log(run, step, values)
            self._last[run] = step

    def finish(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        """Logs a point for each value, unless the run has ended before."""
        run = self._run(series)
        if self._client.get_run(run).info.status == "RUNNING":
            self._log(run, step, values)
            self._client.set_terminated(run)

    def close(self) -> None:
        """Nothing is left."""

    def _log(self, run: str, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(_name(n), v, now, step) for n, v in values.items()]
        self._client.log_batch(run, metrics=metrics)

    def _run(self, series: Series) -> str:
        if series.key not in self._runs:
            run = self._found(series) or self._made(series)
            self._runs[series.key] = run.info.run_id
            histories = [
                self._client.get_metric_history(run.info.run_id, name) for name in run.data.metrics
            ]
            self._last[run.info.run_id] = max((m.step for h in histories for m in h), default=-1)
        return self._runs[series.key]

    def _found(self, series: Series) -> Any:
        experiment = self._client.get_experiment_by_name(series.run)
        if experiment is None:
            return None
        wanted = f"tags.`{_TAG}` = '{series.key}'"
        return next(iter(self._client.search_runs([experiment.experiment_id], wanted)), None)

    def _made(self, series: Series) -> Any:
        from mlflow.entities import Param

        experiment = self._client.get_experiment_by_name(series.run)
        number = (
            self._client.create_experiment(series.run)
            if experiment is None
            else experiment.experiment_id
        )
        run = self._client.create_run(number, tags={_TAG: series.key}, run_name=series.title)
        params = [Param(_name(key), str(value)[:500]) for key, value in series.settings.items()]
        for begin in range(0, len(params), _MOST_PARAMS):
            some = params[begin : begin + _MOST_PARAMS]
            self._client.log_batch(run.info.run_id, params=some)
        return run


def _name(text: str) -> str:
    """A text of the characters that MLflow has in names."""
    return re.sub(r"[^\w.:/ -]", "_", text)
