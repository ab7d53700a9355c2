"""README and docs as they are read: their commands and snippets, run in order.

The definitions that come with moo-bnas are reduced to seconds of training; all else is as printed.
What is left out says why.
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

LEFT_OUT = {
    "dashboard": "serves until Ctrl-C; tests/cli/test_dashboard.py",
    "run digits --study-name many --workers 0": "waits for the next command, which is run first",
    "train --best --mlflow": "with a server of MLflow's; tests/loggers/test_loggers.py",
}
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
    (folder / "begin.py").write_text(begin)
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
            both = "moo-bnas run digits --study-name many --workers 0 & sleep 5; moo-bnas {}; wait"
            run(both.format(line), folder, reduced)
        elif not any(line.startswith(each) for each in LEFT_OUT):
            run(f"moo-bnas {line}", folder, reduced)


def images(folder: Path) -> None:
    """Images of one's own, in ten classes, in `mine`."""
    for i in range(120):
        path = folder / "mine/train" / str(i % 10) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((32, 32, 3), 25 * (i % 10), np.uint8)
        Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("page", ["README.md", "docs/finishing.md"])
def test_commands_of_a_page(page: str, folder: Path, reduced: Path) -> None:
    images(folder / "FOLDER")
    run_all((ROOT / page).read_text(), folder, reduced)


def test_commands_of_the_tutorial(tmp_path: Path, prepared: Path, reduced: Path) -> None:
    shutil.copy(prepared / "zero.png", tmp_path)
    text = (ROOT / "docs/tutorial.md").read_text()
    run_all(text, tmp_path, reduced)


def test_commands_of_each_section_about_searching(folder: Path, reduced: Path) -> None:
    sections = re.split(r"(?m)^## ", (ROOT / "docs/searching.md").read_text())
    for section in sections:
        here = folder
        if section.startswith("Start from what is known"):  # a run begins with it
            here = folder / "new"
            here.mkdir()
        run_all(section, here, reduced)


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_snippets_of_a_page(page: str, folder: Path, reduced: Path) -> None:
    for line in (
        "moo-bnas train --best --out best",
        "moo-bnas export best/*/model.safetensors --format packed",
    ):
        run(line, folder, reduced)
    code = [code for kind, code in FENCE.findall((ROOT / page).read_text()) if kind == "python"]
    begin = (reduced / "begin.py").read_text()
    main = "if __name__ == '__main__':\n    print('all of it')\n"
    (folder / "page.py").write_text("\n".join([begin, *code, main]))
    assert "all of it" in run(f"{sys.executable} page.py", folder, reduced)
