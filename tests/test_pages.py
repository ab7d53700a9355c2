"""README and the pages of docs/ as they are read: their commands and snippets, run in order.

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
from tests.test_docs import FENCE, PAGES, ROOT, commands

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

WITH_COMMANDS = ["benchmarks", "data-and-networks", "definitions", "finishing", "installing"]
WITH_COMMANDS += ["machines", "searching", "tutorial"]
NOT_RUN = [
    r"run digits --study-name many --workers 0$",  # waits for a worker: run by MANY
    r"dashboard",  # serves until it is interrupted
    r"--download",  # no test downloads anything
    r"run vgg_small_cifar10_fast",  # needs that download
    r"s3://bucket",
    r"--serve-host node1",
]
"""Commands of the pages that cannot be run anywhere."""
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
def reduced(tmp_path_factory: pytest.TempPathFactory, installed: Path) -> Path:
    """A folder with a `moo-bnas` that knows the reduced definitions, and with the examples."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "studies").mkdir()
    for name, path in shipped().items():
        text = path.read_text()
        for pattern, by in REDUCED.items():
            text = re.sub(pattern, by, text)
        (folder / "studies" / f"{name}.toml").write_text(text)
    (folder / "site").symlink_to(installed)
    (folder / "reduced.py").write_text(
        f"import moo_bnas.shipped as s, pathlib\ns._PACKAGE = pathlib.Path({str(folder)!r})\n"
    )
    command = folder / "moo-bnas"
    command.write_text(
        f"#!{sys.executable}\nimport reduced\nfrom moo_bnas.cli import main\nmain()\n"
    )
    command.chmod(0o755)
    return folder


def run(line: str, folder: Path, reduced: Path) -> str:
    """What a line of a shell prints, of which everything must succeed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MOO_BNAS")}
    environment |= {
        "PATH": f"{reduced}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{reduced}:{reduced / 'site'}",
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
    shutil.copytree(ROOT / "examples", folder / "examples")
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
        elif not any(re.search(pattern, line) for pattern in NOT_RUN):
            run(f"moo-bnas {line}", folder, reduced)


def images(folder: Path) -> None:
    """Images of one's own, in ten classes, in `mine`."""
    for i in range(120):
        path = folder / "mine/train" / str(i % 10) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((32, 32, 3), 25 * (i % 10), np.uint8)
        Image.fromarray(pixels).save(path)


def trained(folder: Path, reduced: Path) -> None:
    """The files of a final training run, in `best`."""
    run("moo-bnas train --best --out best", folder, reduced)
    for form in ("packed", "c"):
        run(f"moo-bnas export best/*/model.safetensors --format {form}", folder, reduced)


def test_commands_of_the_readme(folder: Path, reduced: Path) -> None:
    images(folder / "FOLDER")
    run_all((ROOT / "README.md").read_text(), folder, reduced)


@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_commands_of_a_page(name: str, folder: Path, reduced: Path) -> None:
    images(folder / "images")
    run_all((ROOT / f"docs/{name}.md").read_text(), folder, reduced)


def test_commands_of_the_page_on_inference(folder: Path, reduced: Path) -> None:
    trained(folder, reduced)
    run_all((ROOT / "docs/inference.md").read_text(), folder, reduced)


def test_every_page_with_commands_is_run() -> None:
    pages = {path.stem for path in PAGES if commands(path.read_text())}
    assert pages == {"README", "inference", *WITH_COMMANDS}


def test_snippet_of_the_readme(folder: Path, reduced: Path) -> None:
    text = (ROOT / "README.md").read_text()
    (code,) = snippets(text)
    (folder / "page.py").write_text(code)
    (printed,) = re.findall(r"(?m)^\(\d, .*$", text)
    assert run(f"{sys.executable} page.py", folder, reduced).strip() == printed


@pytest.mark.parametrize("name", ["python", "inference", "tutorial"])
def test_snippets_of_a_page(name: str, folder: Path, reduced: Path) -> None:
    """One after the other in one program: later ones use names of earlier ones."""
    trained(folder, reduced)
    begin = ["import glob, sys, reduced, numpy as np", "pixels = np.zeros((2, 1, 8, 8), np.uint8)"]
    begin += ["sys.path += glob.glob('best/*/')"]  # the module that lies beside a packed file
    code = "\n".join([*begin, *snippets((ROOT / f"docs/{name}.md").read_text())])
    (folder / "page.py").write_text(code)
    run("cp best/*/model.packed.safetensors .", folder, reduced)
    assert run(f"{sys.executable} page.py", folder, reduced)


def snippets(text: str) -> list[str]:
    return [code for kind, code in FENCE.findall(text) if kind == "python"]
