"""Loggers, each with its own local store, and what stands between them and a run."""

from __future__ import annotations

import logging
import struct
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from moo_bnas.errors import DefinitionError
from moo_bnas.loggers import Logger, Loggers, MLflow, Series, TensorBoard, WandB

SERIES = Series("run", "uniform 2x", "id", {"final.epochs": 4, "odd key!": None})
OTHER = Series("run", "search", "id", {"mode": "pareto"})


def first(logger: Logger) -> None:
    """What a command gives before it is killed."""
    logger.log(SERIES, 1, {"train/loss": 2.0})
    logger.log(OTHER, 0, {"accuracy": 50.0, "flops": 7.0})
    logger.log(SERIES, 2, {"train/loss": 1.0})
    logger.close()


def again(logger: Logger) -> None:
    """What the command that resumes it gives."""
    for epoch, loss in enumerate((2.0, 1.0, 0.5), start=1):
        logger.log(SERIES, epoch, {"train/loss": loss})
    logger.finish(SERIES, 3, {"test/top1": 90.0})
    logger.log(OTHER, 0, {"accuracy": 50.0, "flops": 7.0})
    logger.finish(OTHER, 1, {})
    logger.close()


def test_event_files_of_a_resumed_run_have_each_step_once(tmp_path: Path) -> None:
    first(TensorBoard(tmp_path))
    again(TensorBoard(tmp_path))
    events = EventAccumulator(str(tmp_path / "run" / "uniform-2x"))
    events.Reload()
    found = {
        tag: [(e.step, e.tensor_proto.float_val[0]) for e in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }
    assert found == {
        "train/loss": [(1, 2.0), (2, 1.0), (3, 0.5)],
        "test/top1": [(3, 90.0)],
    }
    assert len(list((tmp_path / "run" / "search").iterdir())) == 1


@pytest.mark.slow
def test_mlflow_continues_where_a_run_was_killed(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    first(MLflow(uri))
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("run").experiment_id
    assert {r.info.status for r in client.search_runs([experiment])} == {"RUNNING"}
    again(MLflow(uri))
    again(MLflow(uri))  # once more, of a run that is over
    runs = {r.info.run_name: r for r in client.search_runs([experiment])}
    assert set(runs) == {"uniform 2x", "search"}
    assert {r.info.status for r in runs.values()} == {"FINISHED"}
    trained = runs["uniform 2x"]
    assert trained.data.params == {"final.epochs": "4", "odd key_": "None"}
    assert trained.data.metrics == {"train/loss": 0.5, "test/top1": 90.0}
    history = client.get_metric_history(trained.info.run_id, "train/loss")
    assert [(m.step, m.value) for m in history] == [(1, 2.0), (2, 1.0), (3, 0.5)]
    renewed = Series("run", "search", "another id", {})  # a run that was deleted and made again
    MLflow(uri).log(renewed, 0, {"accuracy": 1.0})
    assert len(client.search_runs([experiment])) == 3


def test_weights_and_biases_keeps_runs_in_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    wandb.teardown()  # wandb reads the variables once a process: another test may have had it do so
    again(WandB("project"))
    found: dict[str, list[dict[str, str]]] = {}
    for path in tmp_path.glob("wandb/offline-run-*/*.wandb"):
        records = _records(path.read_bytes())
        (run,) = (r.run for r in records if r.WhichOneof("record_type") == "run")
        assert (run.project, run.run_group) == ("project", "run")
        found[run.display_name] = [
            {"/".join(item.nested_key): item.value_json for item in record.history.item}
            for record in records
            if record.WhichOneof("record_type") == "history"
        ]
        summaries = [r.summary.update for r in records if r.WhichOneof("record_type") == "summary"]
        tested = [item.value_json for each in summaries for item in each if item.key == "test/top1"]
        assert tested == ["90.0"] * (run.display_name == "run uniform 2x")
    assert set(found) == {"run uniform 2x", "run search"}
    steps = [(row["_step"], row["train/loss"]) for row in found["run uniform 2x"]]
    assert steps == [("1", "2"), ("2", "1"), ("3", "0.5")]
    assert found["run search"][0]["flops"] == "7"


def _records(content: bytes) -> list[Any]:
    """The records of a file of wandb, which are framed as in a log of LevelDB."""
    from wandb.proto.wandb_internal_pb2 import Record

    found, at = [], 7  # after the file's header
    while at < len(content):
        _, size, kind = struct.unpack_from("<IHB", content, at)
        assert kind == 1  # a whole record
        found.append(Record.FromString(content[at + 7 : at + 7 + size]))
        at += 7 + size
    return found


def test_weights_and_biases_needs_a_login_or_offline_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(type(wandb.api), "api_key", None)
    with pytest.raises(DefinitionError, match="`wandb login`, or set WANDB_MODE=offline"):
        WandB("project")


@pytest.mark.parametrize(
    ("make", "module", "extra"),
    [
        (lambda: TensorBoard(Path("there")), "tensorboard.summary", "tensorboard"),
        (lambda: MLflow("sqlite://"), "mlflow", "mlflow"),
        (lambda: WandB("project"), "wandb", "wandb"),
    ],
)
def test_without_its_package_it_is_an_error(
    make: Any, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DefinitionError, match=rf"pip install 'moo-bnas\[{extra}\]'"):
        make()


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(DefinitionError, match="give --tensorboard another folder"):
        TensorBoard(tmp_path / "taken")


class Recorder:
    """A logger that keeps what it gets, and fails where a test says so."""

    def __init__(self, fails_at: int | None = None, wait: threading.Event | None = None) -> None:
        self.got: list[tuple[str, str, int, Mapping[str, float]]] = []
        self.fails_at, self.wait = fails_at, wait

    def log(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        if self.wait is not None:
            assert self.wait.wait(60)
        if step == self.fails_at:
            raise ConnectionError("no server")
        self.got.append(("log", series.title, step, values))

    def finish(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        self.got.append(("finish", series.title, step, values))

    def close(self) -> None:
        self.got.append(("close", "", 0, {}))


def test_a_logger_that_is_slow_or_fails_holds_up_nothing(caplog: pytest.LogCaptureFixture) -> None:
    event = threading.Event()
    slow, fails, works = Recorder(wait=event), Recorder(fails_at=2), Recorder()
    loggers = Loggers([slow, fails, works])
    with caplog.at_level(logging.WARNING):
        for step in (1, 2, 3):
            loggers.log(SERIES, step, {"train/loss": 1.0})
        assert slow.got == []  # and this thread is here
        event.set()
        loggers.finish(SERIES, 3, {})
        loggers.close()
    assert [step for kind, _, step, _ in slow.got if kind == "log"] == [1, 2, 3]
    assert [each[:3] for each in fails.got] == [("log", "uniform 2x", 1)]
    assert works.got[-2:] == [("finish", "uniform 2x", 3, {}), ("close", "", 0, {})]
    (record,) = caplog.records
    assert "Recorder failed and gets no more values" in record.message
    assert "ConnectionError: no server" in record.message


def test_there_may_be_none() -> None:
    none = Loggers([])
    assert not none
    none.log(SERIES, 1, {})
    none.close()
