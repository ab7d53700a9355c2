"""`moo-bnas runs`, `compare` and `delete` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from moo_bnas.cli import cli as cli_group
from moo_bnas.definition import Definition
from moo_bnas.driver.run import open_run
from moo_bnas.evolution.space import Genotype
from moo_bnas.overrides import with_keys
from moo_bnas.processes import here
from moo_bnas.storage import Storage
from tests.conftest import Cli
from tests.driving import search_driver
from tests.fakes import accuracy_of, fake_worker


def better(genotype: Genotype) -> float:
    return accuracy_of(genotype) + 5


@pytest.fixture
def storage(tmp_path: Path, tiny: Definition) -> Storage:
    """Two finished runs, of which the second trained better; and one that is only begun."""
    storage = Storage(f"sqlite:///{tmp_path}/moo-bnas.db", create=True)
    longer = with_keys(tiny, ["recipe.epochs=2", "search.model=gp"])
    for name, definition, accuracy in (("a", tiny, accuracy_of), ("b", longer, better)):
        run = open_run(storage, name, definition, "pareto", 0)
        with fake_worker(storage.url, name, accuracy):
            search_driver(run).drive()
    open_run(storage, "c", tiny, "scalar", 3)
    return storage


@pytest.mark.slow
def test_runs_are_listed_compared_reported_and_deleted(
    cli: Cli, storage: Storage, tmp_path: Path
) -> None:
    assert storage.leases.take(storage.studies.open("c"), "token", "box/1", 7, 600.0, None)
    header, *lines = cli("runs").stdout.splitlines()
    assert header.split("  ")[0] == "run"
    assert [line.split()[:2] for line in lines] == [
        *(["a", "pareto"], ["b", "pareto"], ["c", "scalar"])
    ]
    assert "3 of 3" in lines[0]
    assert "18 of 18" in lines[0]
    assert "finished" in lines[0]
    assert "0 of 18" in lines[2]
    assert "7 on box" in lines[2]
    listed = json.loads(cli("runs", "--json").stdout)["runs"]
    assert [r["generation"] for r in listed] == [3, 3, 0]
    assert listed[1]["best"] > listed[0]["best"]

    compared = cli("compare", "a", "b")
    assert compared.returncode == 0, compared.stderr
    found = {line.split("  ")[0]: line.split()[-2:] for line in compared.stdout.splitlines()}
    assert found["recipe.epochs"] == ["1", "2"]
    assert found["search.model"] == ["none", "gp"]
    assert "search.population" not in found
    assert found["evaluations"] == ["18", "18"]
    document = json.loads(cli("compare", "a", "b", "--json").stdout)
    assert document["differences"]["recipe.epochs"] == [1, 2]
    first, second = map(float, document["results"]["hypervolume"])
    assert second > first
    assert document["joint"][1] > 0

    written = cli("report", "--study-name", "a", "--study-name", "b", "--study-name", "a")
    assert written.stdout == "written: runs/a+b/report.html\n", written.stderr
    assert "<h1>2 runs: a, b</h1>" in (tmp_path / "runs/a+b/report.html").read_text()

    host, pid = here()
    assert storage.leases.take(storage.studies.open("b"), "token", host, pid, 600.0, None)
    held = cli("delete", "b")
    assert held.returncode == 1
    assert f"study 'b' is driven by process {pid} on " in held.stderr
    assert "[y/N]" not in held.stderr  # nobody is asked for nothing
    storage.leases.release(storage.studies.open("b"), "token")

    kept = cli("delete", "b")  # standard input is closed: nobody says yes
    assert kept.returncode == 130
    assert " trials of b, b.baselines in sqlite:///moo-bnas.db? [y/N]" in kept.stderr
    assert kept.stderr.endswith("\nnot deleted; --yes deletes without asking\n")
    assert storage.studies.names() == ["a", "b", "c"]
    done = cli("delete", "b", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("deleted: ")
    assert " trials of b, b.baselines" in done.stdout
    assert storage.studies.names() == ["a", "c"]


def test_a_run_that_somebody_forged_is_named_beside_the_others(
    storage: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    with create_engine(storage.url).begin() as connection:
        for statement, values in (
            ("UPDATE studies SET study_name = :new WHERE study_name = 'b'", {"new": "b\nz\x1b[2J"}),
            (
                "UPDATE study_user_attributes SET value_json = '\"x\"' WHERE key = 'mode' AND "
                "study_id = (SELECT study_id FROM studies WHERE study_name = 'c')",
                {},
            ),
        ):
            assert connection.execute(text(statement), values).rowcount == 1
    cli_group.main(["runs", "--storage", storage.url], standalone_mode=False)
    shown, said = capsys.readouterr()
    assert [line.split()[0] for line in shown.splitlines()] == ["run", "a", r"b\nz\x1b[2J"]
    assert said.startswith("c cannot be read here: study 'c' has 'x' as its mode, which moo-bnas")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("compare", "a"), 2, "expected the names of two runs or more"),
        (("compare", "a", "c"), 1, "study 'c' has no finished candidate yet"),
        (("compare", "a", "none"), 1, "holds no study 'none'"),
        (("delete", "none", "--yes"), 1, "holds no study 'none'"),
        (("delete", "a.baselines", "--yes"), 1, "belongs to the run 'a'"),
    ],
)
def test_what_cannot_be_is_said(
    cli: Cli, storage: Storage, arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = cli(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert storage.studies.names() == ["a", "b", "c"]
