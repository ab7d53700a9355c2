"""From a search to files that run elsewhere, by the commands that the README names."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moo_bnas import predict
from moo_bnas.data import Digits
from moo_bnas.errors import StorageError
from moo_bnas.report.tables import MISSING
from moo_bnas.storage import Storage
from tests.conftest import TINY, Cli, start_cli
from tests.driving import FINAL


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_search_ends_in_files_that_predict(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "tiny.toml").write_text(TINY + FINAL)

    def run(*arguments: str | Path) -> str:
        done = cli(*arguments)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    run("run", "tiny.toml", "--workers", "1")
    trained = run("train", "--knee", "--workers", "1", "--tensorboard", "events")
    again = run("train", "--knee", "--workers", "1")
    assert again == trained  # nothing is trained twice
    rows = run("baseline", "--ratios", "1", "--workers", "1")
    assert "full precision 1x" in rows
    assert "uniform 1x" in rows
    folder = tmp_path / "runs/tiny-pareto-s0"
    assert "3 networks finally trained" in (folder / "report.html").read_text()
    run("report")
    table = (folder / "table.md").read_text()
    lines = [line for line in table.splitlines() if line.startswith("|")]
    tested = [line for line in lines if not line.endswith(f"{MISSING} |")]
    assert len(tested) == 5  # header, ruler, full precision, uniform 1x, the knee
    status = json.loads(run("status", "--json"))
    assert status["final"] == {"complete": 3, "running": 0, "waiting": 0, "fail": 0}

    model = next(Path(word) for word in trained.split() if word.endswith("/model.safetensors"))
    assert (tmp_path / model).parent.name.startswith(("trial-", "uniform-"))
    document = json.loads((tmp_path / model).with_suffix(".json").read_text())
    knee = next(
        p
        for p in json.loads((folder / "pareto.json").read_text())["points"]
        if p["kind"] == "search" and p["trial"] == document["search"]["trial"]
    )
    assert document["search"]["accuracy"] == knee["accuracy"]
    assert document["ratios"] == knee["ratios"]
    run("export", model, "--format", "packed")
    test = Digits().load(Path(), 0, "final").scoring
    images = np.asarray(test.images[test.rows])
    Image.fromarray(images[0, 0]).save(tmp_path / "digit.png")
    packed = model.with_suffix(".packed.safetensors")
    printed = json.loads(run("predict", packed, "digit.png", "--json"))["predictions"][0]
    found = predict(tmp_path / packed, images)
    assert printed["probability"] == pytest.approx(found[0].top(1)[0][1])
    labels = test.labels[test.rows]
    right = sum(p.top(1)[0][0] == str(label) for p, label in zip(found, labels, strict=True))
    assert 100 * right / len(labels) == pytest.approx(document["test"]["top1"])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_after_a_kill_of_all_its_processes_the_same_command_continues(tmp_path: Path) -> None:
    command = ("train", "tiny.toml", "--ratios", "2", "--epochs", "30", "--workers", "1")
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tiny.toml").write_text(TINY + FINAL)
    process = start_cli(*command, cwd=tmp_path / "killed")
    url = f"sqlite:///{tmp_path}/killed/moo-bnas.db"
    study = "tiny-pareto-s0"
    while _epochs(url, study) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    (worker,) = Storage(url).workers.read(Storage(url).studies.open(study))
    os.kill(worker.pid, signal.SIGKILL)
    process.kill()
    process.communicate()
    before = _epochs(url, study)
    assert 2 <= before < 30
    models = []
    for name in ("killed", "whole"):
        done = start_cli(*command, cwd=tmp_path / name)
        assert done.communicate()[1].count("Traceback") == 0
        assert done.returncode == 0
        (path,) = (tmp_path / name).glob("runs/*/uniform-2x/model.safetensors")
        models.append(path.read_bytes())
    assert models[0] == models[1]
    log = (tmp_path / "killed" / "runs" / study / "worker-0.log").read_text()
    assert f"continuing with epoch {before + 1}" in log


def _epochs(url: str, study: str) -> int:
    """Number of epochs in the newest checkpoint."""
    if not Path(url.removeprefix("sqlite:///")).exists():
        return 0
    try:
        final = Storage(url).studies.find(f"{study}.final")
    except StorageError:  # its tables are being made
        return 0
    kept = {} if final is None else final.attributes.get("training 0") or {}
    return len((kept.get("progress") or {}).get("losses", []))


def test_wrong_options_are_reported(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "tiny.toml").write_text(TINY + FINAL)
    for arguments, message in (
        (("train", "tiny.toml"), "got none, expected one of --trial, --best"),
        (("train", "--best", "--knee"), "got --best and --knee, expected one of"),
        (("train", "--best", "--precision", "full"), "goes with --ratios only"),
        (("train", "tiny.toml", "--ratios", "1,2"), "got 2 ratios, expected 6"),
        (("train", "tiny.toml", "--ratios", "7"), "got ratio 7, expected each to be one of"),
        (("train", "tiny.toml", "--best"), "moo-bnas.db"),  # there is no search
        (("train", "--best", "--storage", "sqlite:///none.db"), "none.db"),
        (("baseline", "tiny.toml", "--ratios", "x"), "expected numbers joined by commas"),
    ):
        done = cli(*arguments)
        assert done.returncode in (1, 2), arguments
        assert message in done.stderr, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
