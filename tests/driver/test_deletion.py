"""Runs that are deleted, and what other runs keep."""

from __future__ import annotations

import os
from pathlib import Path

import optuna
import pytest

from moo_bnas.definition import Definition
from moo_bnas.driver.deletion import delete_run, find_doomed
from moo_bnas.driver.run import open_run
from moo_bnas.errors import ArtifactsError, StorageError, StudyHeldError
from moo_bnas.processes import here
from moo_bnas.storage import Storage
from tests.conftest import TINY
from tests.driving import (
    FINAL,
    final_driver,
    finals_of,
    make_definition,
    narrow,
    search_driver,
    served,
)
from tests.fakes import fake_worker


@pytest.fixture
def definition(tmp_path: Path) -> Definition:
    return make_definition(tmp_path, TINY + FINAL)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/storage.db"


def searched(url: str, name: str, definition: Definition) -> Storage:
    """A storage in which a search of this name is finished."""
    run = open_run(Storage(url, create=True), name, definition, "pareto", 0)
    with fake_worker(run.storage.url, name):
        search_driver(run).drive()
    return run.storage


def delete(storage: Storage, name: str, *, keep_artifacts: bool = False) -> int:
    doomed = find_doomed(storage, name, None, keep_artifacts=keep_artifacts)
    return delete_run(doomed, lambda line: None)


def rows(url: str) -> dict[str, int]:
    """How many rows each table of the storage has, of those that have any."""
    from sqlalchemy import MetaData, create_engine, func, select

    engine, metadata = create_engine(url), MetaData()
    metadata.reflect(engine)
    with engine.begin() as connection:
        counts = {
            t.name: connection.scalar(select(func.count()).select_from(t)) or 0
            for t in metadata.sorted_tables
        }
    return {name: count for name, count in counts.items() if count}


def test_a_run_goes_with_all_that_belongs_to_it(
    storage_url: str, tiny: Definition, tmp_path: Path
) -> None:
    storage = searched(storage_url, "a", tiny)
    before = {k: v for k, v in rows(storage_url).items() if k != "moo_bnas_evaluations"}
    searched(storage_url, "b", tiny)  # copies all of a
    delete(storage, "b")
    assert storage.studies.names() == ["a"]
    left = {k: v for k, v in rows(storage_url).items() if k != "moo_bnas_evaluations"}
    assert left == before
    delete(storage, "a")
    names = {"alembic_version", "version_info", "moo_bnas_schema", "moo_bnas_evaluations"}
    assert set(rows(storage_url)) <= names
    # What needs no files is still known: the same run again is made of copies.
    known = rows(storage_url)["moo_bnas_evaluations"]
    searched(storage_url, "a", tiny)
    assert rows(storage_url)["moo_bnas_evaluations"] == known


def test_its_files_go_unless_another_run_shares_them(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    chosen = [narrow(definition)]
    for name in ("one", "two"):
        finals = finals_of(url, name, definition)
        with served(finals, only_final=True):
            (trial,) = final_driver(finals).train(chosen)
    assert trial.result.copied_from is not None
    store, storage = tmp_path / "storage-artifacts", finals.storage
    kept = trial.result.kept.id
    assert len(list(store.iterdir())) == 3  # a marker each, and the model
    assert delete(storage, "one") == 0
    assert (store / kept).is_file()
    assert finals.artifacts.get(trial.result.kept)
    checkpoint = finals.artifacts.put(b"state")
    stored = {"checkpoint": {"id": checkpoint.id, "sha256": checkpoint.sha256}}
    storage.studies.set_attributes(finals.study, {"training 7": stored})
    assert delete(storage, "two") == 2
    assert list(store.iterdir()) == []
    # The model is gone, so nobody copies it: it is trained again.
    finals = finals_of(url, "three", definition)
    with served(finals, only_final=True):
        (trial,) = final_driver(finals).train(chosen)
    assert trial.result.copied_from is None
    assert finals.artifacts.get(trial.result.kept)


def test_a_kill_in_between_leaves_what_can_be_deleted_again(
    definition: Definition, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finals = finals_of(url, "one", definition)
    with served(finals, only_final=True):
        final_driver(finals).train([narrow(definition)])
    storage, calls = finals.storage, list[str]()
    whole = storage.deletions.delete

    def die(study: object) -> None:
        if calls:
            raise KeyboardInterrupt
        calls.append("")
        whole(study)  # type: ignore[arg-type]

    monkeypatch.setattr(storage.deletions, "delete", die)
    with pytest.raises(KeyboardInterrupt):
        delete(storage, "one")
    monkeypatch.setattr(storage.deletions, "delete", whole)
    assert storage.studies.names() == ["one"]
    delete(storage, "one")
    assert storage.studies.names() == []
    assert optuna.get_all_study_names(storage.optuna) == []
    assert list((tmp_path / "storage-artifacts").iterdir()) == []


def test_what_is_driven_or_unknown_is_not_deleted(tiny: Definition, url: str) -> None:
    storage = Storage(url, create=True)
    run = open_run(storage, "a", tiny, "pareto", 0)
    host = here()[0]
    assert storage.leases.take(run.study, "token", host, os.getppid(), 60.0, None)
    with pytest.raises(StudyHeldError, match="study 'a' is driven by process"):
        delete(storage, "a")
    assert storage.studies.names() == ["a"]
    with pytest.raises(StorageError, match="holds no study 'b', only a"):
        find_doomed(storage, "b", None, keep_artifacts=False)


def test_a_store_that_is_not_there_is_said(
    definition: Definition, url: str, tmp_path: Path
) -> None:
    finals = finals_of(url, "one", definition)
    (tmp_path / "storage-artifacts").rename(tmp_path / "elsewhere")
    with pytest.raises(ArtifactsError, match="or give --keep-artifacts, and delete its files"):
        find_doomed(finals.storage, "one", None, keep_artifacts=False)
    assert delete(finals.storage, "one", keep_artifacts=True) == 0
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1
