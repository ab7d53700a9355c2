"""README as it is read: its commands and its snippet, run in order.

The definitions that come with moo-bnas are reduced to seconds of training; all else is as printed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from moo_bnas.shipped import shipped
from tests.test_docs import FENCE, ROOT, commands

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WAITS = "run digits --study-name many --workers 0"  # for the next command
MANY = """
moo-bnas run digits --study-name many --workers 0 &
trap 'kill $! 2>/dev/null || true' EXIT
until moo-bnas status --study-name many 2>/dev/null; do sleep 1; done
moo-bnas worker --study-name many
wait
"""
REDUCED = {
    r"population = \d+": "population = 4",
    r"generations = \d+": "generations = 2",
    r"epochs = \d\d?\b": "epochs = 1",
    r"milestones = .*": "milestones = []",
    r'schedule = "steps"': 'schedule = "one_cycle"',
}


@pytest.fixture(scope="session")
def reduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `moo-bnas` and `python` that know the reduced definitions."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "studies").mkdir()
    for name, path in shipped().items():
        text = path.read_text()
        for pattern, by in REDUCED.items():
            text = re.sub(pattern, by, text)
        (folder / "studies" / f"{name}.toml").write_text(text)
    begin = f"import moo_bnas.shipped as s, pathlib\ns._PACKAGE = pathlib.Path({str(folder)!r})\n"
    command = folder / "moo-bnas"
    command.write_text(f"#!{sys.executable}\n{begin}from moo_bnas.cli import main\nmain()\n")
    command.chmod(0o755)
    return folder


def run(line: str, folder: Path, reduced: Path) -> str:
    """What a line of a shell prints, of which everything must succeed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MOO_BNAS")}
    environment |= {
        "PATH": f"{reduced}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "WANDB_MODE": "offline",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env=environment,
        input="y\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (line, done.stdout[-2000:], done.stderr[-3000:])
    assert "Traceback" not in done.stderr, (line, done.stderr)
    return done.stdout


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, reduced: Path) -> Path:
    """A folder after the demo."""
    folder = tmp_path_factory.mktemp("prepared")
    digits = load_digits().images * 255 / 16
    Image.fromarray(digits[0].round().astype(np.uint8)).save(folder / "zero.png")
    run("moo-bnas run digits --mode pareto --workers 2", folder, reduced)
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared folder."""
    return Path(shutil.copytree(prepared, tmp_path / "work"))


def run_all(text: str, folder: Path, reduced: Path) -> None:
    for command in commands(text):
        line = command.partition("  #")[0].strip()
        if line == "worker --study-name many":  # beside the driver that waits for it
            run(MANY, folder, reduced)
        elif line != WAITS:
            run(f"moo-bnas {line}", folder, reduced)


def images(folder: Path) -> None:
    """Images of one's own, in ten classes, in `mine`."""
    for i in range(120):
        path = folder / "mine/train" / str(i % 10) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((32, 32, 3), 25 * (i % 10), np.uint8)
        Image.fromarray(pixels).save(path)


def test_commands_of_the_readme(folder: Path, reduced: Path) -> None:
    images(folder / "FOLDER")
    run_all((ROOT / "README.md").read_text(), folder, reduced)


def test_snippet_of_the_readme(folder: Path, reduced: Path) -> None:
    text = (ROOT / "README.md").read_text()
    (code,) = [code for kind, code in FENCE.findall(text) if kind == "python"]
    (folder / "page.py").write_text(code)
    (printed,) = re.findall(r"(?m)^\(2, 2, .*$", text)
    assert run(f"{sys.executable} page.py", folder, reduced).strip() == printed
