"""Final trainings, on the worker's side: kills, checkpoints, and what is scored when."""

from __future__ import annotations

import signal
import subprocess
import threading
from pathlib import Path

import pytest
import torch

from moo_bnas.data import Digits
from moo_bnas.definition import Definition
from moo_bnas.driver.finals import Finals
from moo_bnas.errors import ArtifactsError
from moo_bnas.fingerprint import candidate_seed
from moo_bnas.models.model_file import parse_model
from moo_bnas.networks.module import build
from moo_bnas.storage import Trial
from moo_bnas.task import FinalTask
from moo_bnas.training import loop as training
from moo_bnas.training.device_data import DeviceData
from moo_bnas.training.evaluator import Evaluator
from moo_bnas.worker import WorkerOptions, work
from tests.conftest import TINY
from tests.driving import FINAL, finals_of, make_definition, narrow
from tests.fork_server import PYTHON


@pytest.fixture
def definition(tmp_path: Path) -> Definition:
    return make_definition(tmp_path, TINY + FINAL)


@pytest.fixture
def finals(definition: Definition, tmp_path: Path) -> Finals:
    opened = finals_of(f"sqlite:///{tmp_path}/storage.db", "s", definition)
    opened.submit([narrow(definition)])
    return opened


def _serve(finals: Finals) -> None:
    finals.storage.studies.set_attributes(finals.study, {"finished": True})
    evaluator = Evaluator(finals.definition, "cpu", Path())
    work(finals.storage, "s", evaluator, threading.Event(), WorkerOptions(only_final=True))


def _trial(finals: Finals) -> Trial:
    (trial,) = finals.trials([narrow(finals.definition)])
    return trial


KILLED = """
import os, sys, threading
from pathlib import Path
from moo_bnas.worker import WorkerOptions, work
from moo_bnas.storage.artifacts import Artifacts
from moo_bnas.definition import stored_definition
from moo_bnas.training.evaluator import Evaluator
from moo_bnas.storage import Storage

storage = Storage(sys.argv[1])
definition = stored_definition(storage.studies.open("s.final").attributes["definition"])
written, put = [], Artifacts.put

def put_and_die(self, content):
    written.append(put(self, content))
    if len(written) == int(sys.argv[2]):
        os.kill(os.getpid(), 9)  # it is in the store, and nothing speaks of it yet
    return written[-1]

Artifacts.put = put_and_die
evaluator = Evaluator(definition, "cpu", Path())
work(storage, "s", evaluator, threading.Event(), WorkerOptions(only_final=True))
"""


@pytest.mark.parametrize("epochs", [1, 2, 3, 4], ids=["first", "second", "last", "model"])
def test_after_a_kill_another_worker_ends_with_bitwise_the_same_model(
    finals: Finals, epochs: int
) -> None:
    definition = finals.definition
    task = FinalTask(*narrow(definition), definition.final_recipe())
    whole, model = Evaluator(definition, "cpu", Path()).train_final(
        task, lambda *_: None, lambda: False
    )
    killed = subprocess.run([PYTHON, "-c", KILLED, finals.storage.url, str(epochs)], check=False)
    assert killed.returncode == -signal.SIGKILL
    told = finals.storage.studies.open("s.final").attributes.get("training 0", {})
    assert len(told.get("progress", {}).get("losses", [])) == epochs - 1
    assert finals.storage.claims.return_lost(lambda worker: True) == 1
    _serve(finals)
    found = _trial(finals).result
    assert found.loss_per_epoch == whole.loss_per_epoch
    assert finals.artifacts.get(found.kept) == model


@pytest.mark.slow
def test_a_checkpoint_cut_short_is_told_and_the_training_may_begin_anew(
    finals: Finals, tmp_path: Path
) -> None:
    subprocess.run([PYTHON, "-c", KILLED, finals.storage.url, "3"], check=False)
    kept = finals.storage.studies.open("s.final").attributes["training 0"]["checkpoint"]["id"]
    path = tmp_path / "storage-artifacts" / kept
    path.write_bytes(path.read_bytes()[:1000])
    finals.storage.claims.return_lost(lambda worker: True)
    with pytest.raises(ArtifactsError, match=r"s.final trial 0: .* is damaged .* give --restart"):
        _serve(finals)
    assert _trial(finals).state == "waiting"  # its claim was given back
    finals.restart([narrow(finals.definition)])
    _serve(finals)
    assert _trial(finals).state == "complete"


def test_the_test_images_are_scored_once_at_the_end(
    definition: Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[int] = []
    score_top = training.score_top

    def count(network: torch.nn.Module, data: DeviceData, tops: tuple[int, ...]) -> object:
        scored.append(len(data.scoring.rows))
        return score_top(network, data, tops)

    monkeypatch.setattr("moo_bnas.training.evaluator.score_top", count)
    monkeypatch.setattr("moo_bnas.training.loop.score_top", count)
    task = FinalTask(*narrow(definition), definition.final_recipe())
    found, content = Evaluator(definition, "cpu", Path()).train_final(
        task, lambda *_: None, lambda: False
    )
    assert scored == [360]
    assert found.seed == candidate_seed(task.recipe.seed, task.genotype)
    # The file alone gives these accuracies again.
    model = parse_model(content, "it")
    network = build([layer.spec() for layer in model.card.layers], model.card.binarizer)
    network.load_state_dict({k: torch.tensor(v) for k, v in model.arrays.items()})
    network.eval()
    test = Digits().load(Path(), 0, "final").scoring
    mean, std = (
        torch.tensor(v)[:, None, None] for v in (model.card.image.mean, model.card.image.std)
    )
    pixels = (torch.from_numpy(test.images[test.rows]).float() - mean) / std
    order = network(pixels).argsort(dim=1, descending=True)
    hits = order == torch.from_numpy(test.labels[test.rows])[:, None]
    assert found.accuracy == pytest.approx(100 * float(hits[:, :1].sum()) / 360)
    assert found.top5 == pytest.approx(100 * float(hits[:, :5].sum()) / 360)
    assert (model.card.accuracy, model.card.top5) == (found.accuracy, found.top5)
