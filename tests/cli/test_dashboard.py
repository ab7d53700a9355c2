"""`moo-bnas dashboard` as a user types it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import LOCAL
from tests.conftest import Cli


@pytest.mark.slow
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
    shown = [process.stderr.readline() for _ in range(2)]
    assert "it has no login" in shown[1]
    address = re.search(r"http://127.0.0.1:\d+", shown[0])
    assert address is not None
    with urllib.request.urlopen(f"{address[0]}/api/studies") as answer:
        studies = json.load(answer)["study_summaries"]
    assert {s["study_name"] for s in studies} == {"tiny-pareto-s0", "tiny-pareto-s0.baselines"}
    (run,) = [s["study_id"] for s in studies if s["study_name"] == "tiny-pareto-s0"]
    with urllib.request.urlopen(f"{address[0]}/api/studies/{run}") as answer:
        shown_of_it = json.load(answer)
    assert "| Model | FLOPs |" in shown_of_it["note"]["body"]
    assert [figure["id"] for figure in shown_of_it["plotly_graph_objects"]] == ["front"]
    # A page of another site that makes its own name point here: its scripts get nothing.
    rebound = urllib.request.Request(f"{address[0]}/api/studies", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="421"):
        urllib.request.urlopen(rebound)
    taken = cli("dashboard", "--port", address[0].rpartition(":")[2])
    assert taken.returncode == 1
    assert "Address already in use; give another --port or --host" in taken.stderr
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
