"""The notebook of the documentation, run from its first to its last cell."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs/notebook.ipynb"


def _outputs(notebook: Any) -> list[str]:
    """What each cell of code has printed on standard output."""
    return [
        "".join(
            "".join(output["text"])
            for output in cell["outputs"]
            if output["output_type"] == "stream" and output["name"] == "stdout"
        )
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def test_it_has_outputs_of_a_whole_run_from_nowhere_in_particular() -> None:
    text = NOTEBOOK.read_text()
    notebook = json.loads(text)
    counts = [c["execution_count"] for c in notebook["cells"] if c["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert "18 networks trained" in text
    assert str(Path.home()) not in text
    assert "/tmp" not in text  # noqa: S108 (no file)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    command = tmp_path / "bin" / "moo-bnas"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m moo_bnas "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", ":".join([str(NOTEBOOK.parent.parent), *sys.path]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = _outputs(notebook)
    assert outputs[1] == "18 networks trained\n"
    assert outputs[-1].count(" is called ") == 10
