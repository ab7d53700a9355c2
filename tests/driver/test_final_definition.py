"""Which run final training runs belong to, and which recipe counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from moo_bnas.definition import Definition
from moo_bnas.driver.run import open_run
from moo_bnas.errors import DefinitionError, StorageError
from moo_bnas.recipe import Recipe
from moo_bnas.storage import Storage
from tests.conftest import TINY
from tests.driving import FINAL, finals_of, make_definition


@pytest.fixture
def definition(tmp_path: Path) -> Definition:
    return make_definition(tmp_path, TINY + FINAL)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/storage.db"


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
    with pytest.raises(DefinitionError, match="got 1 epoch, too few for milestones"):
        paper.lasting(1)


def test_a_definition_without_a_final_recipe_is_refused(tiny: Definition, url: str) -> None:
    with pytest.raises(DefinitionError, match=r"has no \[final\].*add that section"):
        finals_of(url, None, tiny)
    assert not Path(url.removeprefix("sqlite:///")).exists()  # nothing is made


def test_a_run_gets_its_final_recipe_from_the_definition_that_is_named(
    tiny: Definition, definition: Definition, url: str
) -> None:
    open_run(Storage(url, create=True), "s", tiny, "scalar", 3)
    with pytest.raises(DefinitionError, match=r"has no \[final\]"):
        finals_of(url)
    opened = finals_of(url, "s", definition)
    assert opened.definition.final == definition.final
    assert opened.run.attributes["mode"] == "scalar"
    again = finals_of(url)  # the only run; known from now on
    assert again.definition.final == definition.final


def test_how_long_a_search_is_does_not_matter_but_what_it_searches(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    open_run(Storage(url, create=True), "s", definition, "pareto", 0)
    other = TINY.replace("generations = 3", "generations = 1").replace(
        "population = 6", "population = 4"
    )
    assert finals_of(url, "s", make_definition(tmp_path, other + FINAL))
    wider = make_definition(tmp_path, TINY.replace("base_width = 4", "base_width = 8") + FINAL)
    with pytest.raises(DefinitionError, match="network.base_width was 4, now 8"):
        finals_of(url, "s", wider)


def test_a_command_that_is_refused_makes_nothing(
    definition: Definition, url: str, tiny: Definition, tmp_path: Path
) -> None:
    with pytest.raises(DefinitionError, match="too few for milestones.*; give 2 or more"):
        finals_of(url, None, definition, epochs=1)
    with pytest.raises(DefinitionError, match="has no"):
        finals_of(url, None, tiny)
    with pytest.raises(StorageError):  # a network of a search that there is not
        finals_of(url, None, definition, create=False)
    assert not (tmp_path / "storage.db").exists()
