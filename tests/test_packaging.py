"""What users get who install the wheel instead of cloning the repository."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml  # type: ignore[import-untyped]

import moo_bnas
from moo_bnas import predict
from moo_bnas.extras import EXTRAS
from moo_bnas.models.model_file import to_bytes
from moo_bnas.models.writing import export
from moo_bnas.shipped import shipped
from tests.conftest import Cli, start_cli
from tests.models.trained import trained

ROOT = Path(__file__).parent.parent


def test_the_wheel_carries_the_definitions_and_its_types(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(unpacked)  # noqa: S202 (built above)
    names = {str(p.relative_to(unpacked)) for p in unpacked.rglob("*") if p.is_file()}
    assert "moo_bnas/py.typed" in names
    assert {n.split("/")[0] for n in names} == {"moo_bnas", "moo_bnas-0.1.0.dist-info"}
    code = "from moo_bnas.shipped import shipped; print(*shipped())"
    listed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.split() == list(shipped())


def _hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_package_index_shows_a_readme_whose_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    project = "https://host/owner/moo-bnas"
    shown = _hook().readme(text, project, "1.2.3")
    links = re.findall(r"\]\(([^)\s]+)\)", shown)
    assert all(link.startswith("https://") for link in links)
    ours = [link.removeprefix(f"{project}/blob/v1.2.3/") for link in links if project in link]
    assert "![Accuracy against FLOPs: 96 binary networks" in shown
    assert f"{project}/raw/v1.2.3/docs/pareto.png" in ours
    pages = [page.partition("#")[0] for page in ours if not page.startswith("https://")]
    assert len(pages) > 10
    assert all((ROOT / page).exists() for page in pages)
    unknown = _hook().readme(text, "", "1.2.3")
    assert all(link.startswith("https://") for link in re.findall(r"\]\(([^)\s]+)\)", unknown))
    assert "docs/installing.md. More about" in unknown
    assert "pareto.png" not in unknown


def test_metadata_have_the_address_that_the_release_gives(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "metadata"]
    known: dict[str, dict[str, str]] = {}
    for project in ("", "https://host/owner/moo-bnas/"):
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PROJECT_URL": project},
            capture_output=True,
            text=True,
            check=True,
        )
        known[project] = json.loads(done.stdout)["urls"]
    without, given = known.values()
    assert set(without) == {"Paper"}
    assert given["Issues"] == "https://host/owner/moo-bnas/issues"
    assert given["Changelog"] == "https://host/owner/moo-bnas/blob/v0.1.0/CHANGELOG.md"


def test_the_sdist_holds_all_that_its_tests_read(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    git = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    listed = git.stdout.split("\n")[:-1] if git.returncode == 0 else []  # an sdist is no clone
    there = {name for name in listed if (ROOT / name).exists()}
    assert there <= names
    assert {"Makefile", ".ci/run", "constraints.txt", "CITATION.cff", "tests/conftest.py"} <= names


def test_extras_are_those_that_errors_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    for package, extra in EXTRAS.items():
        assert any(re.split(r"[\[>=<]", each)[0] == package for each in optional[extra]), package
    base = {re.split(r"[\[>=<]", each)[0] for each in project["dependencies"]}
    assert not base & set(EXTRAS)
    pinned = set(re.findall(r"(?m)^([\w.-]+)==", (ROOT / "constraints.txt").read_text()))
    wanted = base | {p for p in EXTRAS if p != "google-cloud-storage"}
    assert {name.lower() for name in wanted} <= pinned


WITHOUT_TORCH = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds no torch."""
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "sitecustomize.py").write_text(WITHOUT_TORCH)
    return {"PYTHONPATH": str(tmp_path / "bare")}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "run tiny.toml",
            "a local worker needs the Python package torch, which is not installed; "
            "pip install 'moo-bnas[train]', or give --workers 0 for workers on other machines",
        ),
        ("run tiny.toml --dry-run", "--dry-run, which trains to measure the pace, needs"),
        ("train digits --ratios 1", "a local worker needs"),
        ("export none --format packed", "an export needs the Python package torch"),
        ("data vgg_small_cifar10 --download", "CIFAR-10 needs the Python package torchvision"),
    ],
)
def test_what_needs_torch_says_what_to_install(
    cli: Cli, bare: dict[str, str], tmp_path: Path, tiny_path: Path, command: str, said: str
) -> None:
    done = cli(*command.split(), MOO_BNAS_DATA=str(tmp_path / "data"), **bare)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"moo-bnas: {said}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "moo-bnas.db").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_path")
def test_the_driver_and_reports_need_no_torch(
    cli: Cli, bare: dict[str, str], tmp_path: Path
) -> None:
    command = ("run", "tiny.toml", "--workers", "0", "--generations", "1")
    driver = start_cli(*command, cwd=tmp_path, **bare)
    while cli("worker").returncode != 0:  # there is no study yet
        assert driver.poll() is None
    out, err = driver.communicate(timeout=60)
    assert driver.returncode == 0, err
    assert "written: runs/tiny-pareto-s0/report.html" in out
    for line in ("status", "report", "runs", "definitions", "cost digits", "env"):
        assert cli(*line.split(), **bare).returncode == 0, line
    refused = cli("worker", **bare)
    assert refused.returncode == 2
    assert "training needs the Python package torch, which is not installed; pip" in refused.stderr


@pytest.mark.usefixtures("tiny_path")
def test_packed_networks_run_without_torch_and_others_say_what_to_install(
    bare: dict[str, str], tmp_path: Path
) -> None:
    model = tmp_path / "model.safetensors"
    model.write_bytes(to_bytes(trained("vgg_small dorefa")))
    packed = next(iter(export(model, "packed").files))
    images = np.zeros((2, 1, 8, 8), np.uint8)
    code = (
        "import sys, numpy as np; from moo_bnas import predict\n"
        "images = np.zeros((2, 1, 8, 8), np.uint8)\n"
        "print(predict(sys.argv[1], images)[0].probabilities.tolist())\n"
        "try: predict(sys.argv[2], images)\n"
        "except ImportError as error: print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{bare['PYTHONPATH']}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code, packed, model],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found, said = done.stdout.splitlines()
    here = predict(packed, images)[0].probabilities
    np.testing.assert_allclose(json.loads(found), here, rtol=1e-6)
    assert said.startswith(f"{model} needs the Python package torch, which is not installed; pip")
    assert said.endswith("or export it with --format packed where torch is installed")


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert moo_bnas.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("name", ["workflows/test.yml", "workflows/release.yml"])
def test_workflows_are_yaml_and_run_what_there_is(name: str) -> None:
    jobs = yaml.safe_load((ROOT / ".github" / name).read_text())["jobs"]
    steps = [step.get("run", "") for job in jobs.values() for step in job.get("steps", ())]
    targets = {target for run in steps for target in re.findall(r"make (\w+)", run)}
    assert targets <= set(re.findall(r"(?m)^(\w+):", (ROOT / "Makefile").read_text()))
    extras = {
        e for run in steps for found in re.findall(r"\.\[([\w,]+)\]", run) for e in found.split(",")
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extras <= set(project["optional-dependencies"])
