"""What optuna-dashboard reads of a study, by its own functions."""

from __future__ import annotations

import json

import optuna
import pytest

from moo_bnas.evaluation import Artifact
from moo_bnas.storage import Storage
from tests.storage.rows import make_study

pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")

from optuna_dashboard import get_note, save_note
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard.artifact._backend import list_study_artifacts

FIGURE = '{"data": [], "layout": {}}'


def test_note_and_figure_are_replaced_also_by_shorter_ones(storage: Storage) -> None:
    study = make_study(storage)
    theirs = optuna.load_study(study_name=study.name, storage=storage.optuna)
    for note, figure in (("a" * 5000, FIGURE + " " * 5000), ("# short", FIGURE)):
        storage.dashboard.show(study, note, {"front": figure})
        attributes = storage.optuna.get_study_system_attrs(study.id)
        assert get_note(theirs) == note
        assert get_plotly_graph_objects(attributes) == {"front": figure}
    assert storage.studies.open(study.name).metrics == study.metrics


def test_the_note_of_a_user_stays(storage: Storage) -> None:
    study = make_study(storage)
    theirs = optuna.load_study(study_name=study.name, storage=storage.optuna)
    storage.dashboard.show(study, "ours", {})
    save_note(theirs, "my own")
    storage.dashboard.show(study, "ours, newer", {"front": FIGURE})
    assert get_note(theirs) == "my own"
    save_note(theirs, "")
    storage.dashboard.show(study, "ours, newer", {})
    assert get_note(theirs) == "ours, newer"


def test_files_are_listed_by_name_once(storage: Storage) -> None:
    study = make_study(storage)
    artifact = Artifact("11111111-1111-4111-8111-111111111111", "0" * 64)
    storage.dashboard.add_files(study, {})
    for _ in range(2):
        storage.dashboard.add_files(study, {"uniform-2x.safetensors": artifact})
    (found,) = list_study_artifacts(storage.optuna.get_study_system_attrs(study.id))
    assert (found["artifact_id"], found["filename"]) == (artifact.id, "uniform-2x.safetensors")
    assert json.dumps(found)
