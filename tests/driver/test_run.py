"""Runs that are refused leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from sqlalchemy import create_engine, inspect, make_url
from sqlalchemy.pool import NullPool

from moo_bnas.definition import Definition
from moo_bnas.driver.run import open_run
from moo_bnas.errors import ArtifactsError, DefinitionError, StorageError
from moo_bnas.storage import Storage
from tests.conftest import TINY
from tests.driving import PARENT, make_definition


@pytest.fixture
def heirs(tmp_path: Path) -> Definition:
    """A definition whose candidates inherit, for which an artifact store is needed."""
    return make_definition(tmp_path, TINY + PARENT)


def _tables(url: str) -> list[str]:
    """The tables of a database; of an SQLite file that does not exist none."""
    place = make_url(url)
    if place.get_backend_name() == "sqlite" and not Path(place.database or "").exists():
        return []
    return sorted(inspect(create_engine(url, poolclass=NullPool)).get_table_names())


def test_a_run_that_is_refused_leaves_no_tables_in_anybodys_database(
    storage_url: str, heirs: Definition, tmp_path: Path
) -> None:
    with create_engine(storage_url, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE of_somebody (note INTEGER)")
    (tmp_path / "file").touch()
    for error, options in (
        (ArtifactsError, {"artifacts_url": str(tmp_path / "file")}),
        (DefinitionError, {"artifacts_url": "ftp://nowhere"}),
        (DefinitionError, {"artifacts_url": str(tmp_path / "store"), "source": "nobody"}),
    ):
        with pytest.raises(error):
            open_run(Storage(storage_url, create=True), "s", heirs, "pareto", 0, **options)
        assert _tables(storage_url) == ["of_somebody"]


def test_a_run_that_is_refused_makes_no_file(tiny: Definition, tmp_path: Path) -> None:
    storage = Storage(f"sqlite:///{tmp_path}/s.db", create=True)
    with pytest.raises(DefinitionError, match="holds no such study, only none"):
        open_run(storage, "s", tiny, "pareto", 0, source="nobody")
    assert not (tmp_path / "s.db").exists()


@pytest.mark.parametrize("name", ["s", "s.baselines"])
def test_a_run_of_the_name_of_somebody_elses_study_leaves_that_alone(
    storage_url: str, tiny: Definition, name: str
) -> None:
    theirs = optuna.create_study(storage=storage_url, study_name=name)
    theirs.optimize(lambda _: 1.0, n_trials=1)
    before = _tables(storage_url)
    with pytest.raises(StorageError, match=f"study '{name}' .* was not made by moo-bnas"):
        open_run(Storage(storage_url, create=True), "s", tiny, "pareto", 0)
    assert _tables(storage_url) == before
    assert optuna.get_all_study_names(storage_url) == [name]
