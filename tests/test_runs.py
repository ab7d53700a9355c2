"""Runs from Python: made, resumed and read; and a definition as a problem of pymoo."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

import moo_bnas
from moo_bnas.definition import parse_definition
from moo_bnas.driver.run import open_run
from moo_bnas.errors import DefinitionError, MissingPackageError, StorageError
from moo_bnas.runs import StoredRun
from moo_bnas.storage import Storage
from tests.conftest import EXAMPLES, TINY
from tests.driving import search_driver
from tests.fakes import accuracy_of, fake_worker

CHIPS = tomllib.loads((EXAMPLES / "simulator/chips.toml").read_text())


@pytest.fixture
def finished(tmp_path: Path) -> str:
    """The URL of a storage with a run that trained nothing."""
    url = f"sqlite:///{tmp_path}/storage.db"
    definition = parse_definition({"name": "tiny", **tomllib.loads(TINY)}, "test")
    run = open_run(Storage(url, create=True), "tiny", definition, "pareto", 0)
    with fake_worker(url, "tiny"):
        search_driver(run).drive()
    return url


def test_a_run_is_made_resumed_and_read(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    url = f"sqlite:///{tmp_path}/storage.db"
    seen: list[object] = []
    options: dict[str, Any] = {
        "storage": url,
        "name": "chips",
        "workers": 1,
        "folder": tmp_path / "logs",
    }
    done = moo_bnas.run(
        CHIPS, **options, population=4, generations=2, model="none", callback=seen.append
    )
    assert seen
    assert (tmp_path / "logs/worker-0.log").exists()
    status = done.status()
    assert (status.finished, status.evaluations) == (True, 8)
    front = done.front
    assert {p.trial for p in front} == {p.trial for p in done.results().points if p.on_front}
    assert [p.cost for p in front] == sorted(p.cost for p in front)
    assert sorted(path.name for path in done.report(tmp_path / "out")) == sorted(
        path.name for path in (tmp_path / "out").iterdir()
    )
    # nothing is left to do: no worker is started, so none can fail
    monkeypatch.setattr("moo_bnas.runs.local_devices", None)
    again = moo_bnas.run(CHIPS, **options, population=4, generations=2, model="none")
    assert again.front == front
    with pytest.raises(DefinitionError, match="begun with another definition: search.population"):
        moo_bnas.run(CHIPS, **options, population=6, generations=2, model="none")


def test_arguments_are_checked_before_anything_is_stored(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/storage.db"
    with pytest.raises(DefinitionError, match="search.speed: unknown key"):
        moo_bnas.run("digits", storage=url, speed=3)
    with pytest.raises(DefinitionError, match="there is no file 'nope.toml'"):
        moo_bnas.run(Path("nope.toml"), storage=url)
    with pytest.raises(DefinitionError, match="this machine has 0 CUDA devices"):
        moo_bnas.run("digits", storage=url, device="cuda:0", workers=1)
    with pytest.raises(StorageError, match="is no file"):
        moo_bnas.load_run(url)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"workers": -1}, "workers is -1, expected an integer of at least 0, or None"),
        ({"workers": "2"}, "workers is '2', expected an integer"),
        ({"mode": "x"}, "mode is 'x', expected 'scalar' or 'pareto'"),
        ({"seed": -1}, "seed is -1, expected an integer of at least 0"),
        ({"storage": None}, "storage is None, expected the URL of a storage"),
    ],
)
def test_arguments_that_make_no_sense_are_named(
    tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    path = tmp_path / "moo-bnas.db"
    with pytest.raises(DefinitionError, match=said):
        moo_bnas.run("digits", **{"storage": f"sqlite:///{path}", **arguments})
    assert not path.exists()


def test_the_latest_run_is_loaded_and_its_trials_are_a_frame(finished: str) -> None:
    pandas = pytest.importorskip("pandas")
    found = moo_bnas.load_run(finished)
    assert isinstance(found, StoredRun)
    assert found.name == "tiny"
    frame = found.trials()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == 18
    assert list(frame["trial"]) == list(range(18))
    assert set(frame["state"]) == {"complete"}
    space = found.definition.make_space()
    for _, row in frame.iterrows():
        genotype = space.encode([row[gene] for gene in space.genes])
        assert row["accuracy"] == accuracy_of(genotype)
    assert {"flops", "memory_bits", "fitness", "seconds", "worker", "device"} <= {*frame.columns}
    with pytest.raises(StorageError, match="no study 'other', only tiny"):
        moo_bnas.load_run(finished, "other")


def test_a_frame_needs_pandas(finished: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'moo-bnas\[pandas\]'"):
        moo_bnas.load_run(finished).trials()


@pytest.mark.usefixtures("offered")
def test_algorithms_of_others_search_a_definition() -> None:
    values = {**CHIPS, "evaluator": {"name": "simulator", "noise": 0.0}}
    problem = moo_bnas.make_problem(values, max_cost={"power_w": 60.0})
    algorithm = NSGA2(
        pop_size=10,
        sampling=IntegerRandomSampling(),
        repair=RoundingRepair(),
        eliminate_duplicates=True,
    )
    found = minimize(problem, algorithm, ("n_gen", 4), seed=1)
    subject = problem.definition.subject()
    assert len(found.X)
    for genotype, (accuracy, log_cost) in zip(found.X.tolist(), found.F, strict=True):
        costs = subject.costs_of(subject.space.decode(genotype))
        assert log_cost == pytest.approx(np.log(costs["area_mm2"]))
        assert costs["power_w"] <= 60
        evaluation = problem.evaluations[tuple(genotype)]
        assert evaluation is not None
        assert -accuracy == evaluation.accuracy
    # what is over the limit was never evaluated
    assert all(
        subject.costs_of(subject.space.decode(genotype))["power_w"] <= 60
        for genotype in problem.evaluations
    )


def test_a_problem_trains_networks_each_once_and_scores_failures_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"name": "tiny", **tomllib.loads(TINY)}
    problem = moo_bnas.make_problem(values, mode="scalar", device="cpu")
    X = np.array([[0, 0, 0, 0, 0, 0], [0.4, -0.4, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]])
    out = problem.evaluate(X, return_as_dictionary=True)
    assert len(problem.evaluations) == 2
    first = problem.evaluations[(0,) * 6]
    assert first is not None
    assert first.accuracy > 0
    flops = problem.definition.subject().costs_of([0.25] * 6)["flops"]
    reference = problem.definition.reference_cost()
    assert out["F"][0] == pytest.approx(-(first.accuracy - 4 * flops / reference))
    assert out["F"][0] == out["F"][1]

    def fails(*_: object, **__: object) -> None:
        raise ArithmeticError("it diverged")

    monkeypatch.setattr(problem._evaluator, "evaluate", fails)
    failed = problem.evaluate(np.full((1, 6), 2), return_values_of=["F"])
    assert problem.evaluations[(2,) * 6] is None
    assert failed[0, 0] == pytest.approx(4.0)  # accuracy 0 at the cost of uniform 1x
    with pytest.raises(DefinitionError, match=r"has a \[parent\]"):
        moo_bnas.make_problem("digits_inherited")
