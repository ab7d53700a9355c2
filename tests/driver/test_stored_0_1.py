"""Runs that were stored by moo-bnas 0.1 continue, also once definitions have further keys.

`stored_0_1` holds such a run of 12 candidates and one final training run: its storage as SQL, its
artifacts, its definition, and the pareto.json that 0.1 wrote.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Annotated

import pytest

from moo_bnas import definition as definitions
from moo_bnas.definition import Definition, load_definition
from moo_bnas.driver.choosing import Choice
from moo_bnas.driver.run import open_run
from moo_bnas.errors import DefinitionError
from moo_bnas.models.model_file import read_model
from moo_bnas.overrides import override
from moo_bnas.recipe import CandidateRecipe, FinalRecipe
from moo_bnas.report.files import as_json
from moo_bnas.results.points import collect
from moo_bnas.results.status import read_status
from moo_bnas.search_options import SearchOptions
from moo_bnas.section import ADDED
from moo_bnas.storage import Storage, upgrade
from tests.driving import final_driver, finals_of, search_driver, served

STORED = Path(__file__).parent / "stored_0_1"
NAME = "tiny-pareto-s0"


class GrownRecipe(FinalRecipe):
    momentum_of_statistics: Annotated[float, ADDED] = 0.1


class GrownCandidateRecipe(CandidateRecipe):
    momentum_of_statistics: Annotated[float, ADDED] = 0.1


class GrownSearch(SearchOptions):
    pool: int = 7


class GrownDefinition(Definition):
    recipe: GrownCandidateRecipe
    final: GrownRecipe | None = None
    search: GrownSearch = GrownSearch()


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    shutil.copytree(STORED / "moo-bnas-artifacts", tmp_path / "moo-bnas-artifacts")
    path = tmp_path / "moo-bnas.db"
    with sqlite3.connect(path) as connection:
        connection.executescript((STORED / "moo-bnas.sql").read_text())
    connection.close()
    url = f"sqlite:///{path}"
    upgrade(url)  # of tables, where this version has others
    return Storage(url)


@pytest.fixture(params=["same keys", "more keys"])
def definition(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Definition:
    """The definition of the stored run, as this version reads it, or one that has more keys."""
    if request.param == "more keys":
        monkeypatch.setattr(definitions, "Definition", GrownDefinition)
    return load_definition(str(STORED / "tiny.toml"))


@pytest.mark.usefixtures("definition")
def test_it_reports_what_0_1_reported(storage: Storage) -> None:
    reported = json.loads(as_json(collect(storage, NAME)))
    for point in reported["points"]:
        # Keys since then: 12 candidates are too few for estimates, so the front is as measured.
        assert (point.pop("estimate"), point.pop("estimate_sd")) == (None, None)
        assert point.pop("on_measured_front") == point["on_front"]
    assert json.dumps(reported, indent=1) + "\n" == (STORED / "pareto.json").read_text()
    (final,) = collect(storage, NAME).finals
    assert (final.ratios, final.accuracy, final.epochs) == ((0.25, 0.25, 0.25, 2, 1, 2), 37.5, 3)
    status = read_status(storage, NAME)
    assert status.finished
    assert (status.evaluations, status.total, status.parent) == (12, 12, None)


def test_it_is_opened_and_is_over(storage: Storage, definition: Definition) -> None:
    assert open_run(storage, NAME, definition, "pareto", 0).is_over


def test_it_resumes_with_more_generations_and_loses_nothing(
    storage: Storage, definition: Definition
) -> None:
    study = storage.studies.open(NAME)
    before = {t.number: t for t in storage.trials.read(study)}
    run = open_run(storage, NAME, override(definition, generations=3), "pareto", 0)
    assert not run.is_over
    with served(run):
        search_driver(run).drive()
    after = {t.number: t for t in storage.trials.read(study)}
    assert {number: after[number] for number in before} == before
    assert Counter(t.state for t in after.values()) == {"complete": 18}
    assert Counter(t.generation for t in after.values()) == {1: 6, 2: 6, 3: 6}
    assert open_run(storage, NAME, override(definition, generations=3), "pareto", 0).is_over


def test_its_networks_are_chosen_and_their_models_fetched(
    storage: Storage, definition: Definition, tmp_path: Path
) -> None:
    finals = finals_of(storage.url, NAME, definition)
    best = Choice(storage, finals.run).best()
    assert best == storage.trials.read(finals.run)[5].genotype
    (trial,) = final_driver(finals).train([(best, "binary")])  # it is trained; nobody serves it
    model = read_model(finals.fetch(trial, tmp_path / "model"))
    assert (model.card.accuracy, model.card.ratios) == (37.5, (0.25, 0.25, 0.25, 2, 1, 2))
    assert "trial 5" in (tmp_path / "model" / "model.json").read_text()


def test_its_evaluations_are_still_known(storage: Storage, definition: Definition) -> None:
    search, final = (storage.studies.open(name) for name in (NAME, f"{NAME}.final"))
    prints = {t.result.fingerprint for t in storage.trials.read(search)}
    assert prints == {definition.fingerprint("binary", search.attributes["data_hash"])}
    prints = {t.result.fingerprint for t in storage.trials.read(final)}
    assert prints == {definition.final_fingerprint("binary", final.attributes["data_hash"])}


def test_a_key_that_came_later_counts_where_it_is_not_at_its_default(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(definitions, "Definition", GrownDefinition)
    text = (STORED / "tiny.toml").read_text()
    path = tmp_path / "tiny.toml"
    path.write_text(text.replace("[search]", "momentum_of_statistics = 0.2\n[search]\npool = 8"))
    changed = load_definition(str(path))
    unchanged = load_definition(str(STORED / "tiny.toml"))
    assert changed.fingerprint("binary", "data") != unchanged.fingerprint("binary", "data")
    with pytest.raises(DefinitionError) as caught:
        open_run(storage, NAME, changed, "pareto", 0)
    assert "recipe.momentum_of_statistics was 0.1, now 0.2" in str(caught.value)
    assert "search.pool was 7, now 8" in str(caught.value)
