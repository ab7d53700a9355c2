"""`moo-bnas report` as a user types it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from moo_bnas.cli import cli as cli_group
from moo_bnas.definition import Definition
from moo_bnas.driver.run import open_run
from moo_bnas.errors import DefinitionError
from moo_bnas.storage import Storage
from tests.conftest import Cli, start_cli
from tests.driving import search_driver
from tests.fakes import fake_worker


@pytest.mark.slow
def test_a_report_whose_images_cannot_be_drawn_is_written_without_them(
    cli: Cli, tmp_path: Path, tiny: Definition
) -> None:
    pytest.importorskip("kaleido", reason="kaleido is not installed")
    storage = Storage(f"sqlite:///{tmp_path}/moo-bnas.db", create=True)
    run = open_run(storage, "s", tiny, "pareto", 0)
    with fake_worker(storage.url, "s"):
        search_driver(run).drive()
    done = cli("report", "--images", "svg", BROWSER_PATH="/nowhere/chromium")
    assert done.returncode == 1
    assert done.stderr.startswith("moo-bnas: images of figures are drawn by Chrome or Chromium")
    assert len(done.stderr.splitlines()) == 1
    assert len(list((tmp_path / "runs" / "s").iterdir())) == 7


@pytest.mark.slow
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
    (shown,) = second.stderr.splitlines()
    assert shown.startswith(f"moo-bnas: study 'tiny-pareto-s0' is driven by process {process.pid} ")
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


OUTSIDE = ["../../elsewhere", "{tmp}/elsewhere", "..", ".", "a/b", "", "x" * 300, "\x1b[2J", "a\nb"]


@pytest.mark.parametrize("name", OUTSIDE, ids=repr)
def test_nothing_is_written_where_the_stored_name_of_a_study_says(
    tmp_path: Path, tiny: Definition, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    name = name.format(tmp=tmp_path)
    here = tmp_path / "deep" / "here"
    here.mkdir(parents=True)
    url = f"sqlite:///{tmp_path}/moo-bnas.db"
    run = open_run(Storage(url, create=True), "s", tiny, "pareto", 0)
    with fake_worker(run.storage.url, "s"):
        search_driver(run).drive()
    rename(url, "s", name)
    monkeypatch.chdir(here)
    before = sorted(tmp_path.rglob("*"))
    commands = (["report"], ["train", "--best"], ["baseline"], ["train", "--ratios", "1"])
    for command in commands:
        for given in ([], ["--study-name", name]):
            with pytest.raises(DefinitionError, match="got the study name .*, expected 1 to 200"):
                cli_group.main([*command, "--storage", url, *given], standalone_mode=False)
    assert sorted(tmp_path.rglob("*")) == before


def rename(url: str, name: str, forged: str) -> None:
    """Gives a study another name, as whoever can write to the storage may do."""
    with create_engine(url).begin() as connection:
        connection.execute(
            text("UPDATE studies SET study_name = :forged WHERE study_name = :name"),
            {"forged": forged, "name": name},
        )


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write, without setpriv"
)
def test_a_file_that_may_only_be_read_is_shown_and_reported(
    tmp_path: Path, tiny: Definition
) -> None:
    folder = tmp_path / "100% somebody else's #1"  # which a URI has to quote
    folder.mkdir()
    run = open_run(Storage(f"sqlite:///{tmp_path}/s.db", create=True), "s", tiny, "pareto", 0)
    with fake_worker(run.storage.url, "s"):
        search_driver(run).drive()
    with closing(sqlite3.connect(tmp_path / "s.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / "s.db", folder)  # of a run that has ended everywhere
    (folder / "s.db").chmod(0o444)
    folder.chmod(0o555)
    as_user = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    said = []
    for command in (
        ["status"],
        ["report", "--out", "out"],
        ["run", str(tmp_path / "tiny.toml"), "--study-name", "s", "--workers", "0"],
    ):
        done = subprocess.run(
            [
                *(as_user if os.geteuid() == 0 else ()),
                *(
                    sys.executable,
                    "-m",
                    "moo_bnas",
                    *command,
                    "--storage",
                    f"sqlite:///{folder}/s.db",
                ),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        said.append((done.returncode, done.stdout, done.stderr))
    folder.chmod(0o755)
    shown, reported, refused = said
    assert shown[0] == reported[0] == 0, said
    assert shown[1].startswith("s (pareto): finished")
    assert len(json.loads((tmp_path / "out" / "pareto.json").read_text())["points"]) == 23
    assert refused[0] == 1
    assert "attempt to write a readonly database; get permission to write the file" in refused[2]
    assert len(refused[2].splitlines()) == 1
    assert [path.name for path in folder.iterdir()] == ["s.db"]
