"""Every shipped definition, scaled down, runs through the command line."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path, PurePath

import numpy as np
import pytest

from moo_bnas.shipped import shipped
from tests.conftest import Cli
from tests.data.trees import image

SHRINK = {  # values that replace those of a definition
    "base_width": 4,
    "epochs": 2,
    "batch_size": 8,
    "train_per_class": 4,
    "validation": 2,
    "population": 2,
    "generations": 1,
}
CLASSES = 12
IMAGENET = [name for name in shipped() if "imagenet" in name]
CIFAR10 = [name for name in shipped() if "cifar10" in name]


def _shrunk(name: str, tmp_path: Path) -> Path:
    """The definition with smaller numbers and nothing else changed."""
    text = shipped()[name].read_text()
    text = re.sub(r"milestones = .*", "milestones = [1]", text)
    text = re.sub(r"ratios = .*", "ratios = [0.25, 1]", text)
    for key, value in SHRINK.items():
        text = re.sub(rf"^{key} = [^#\n]*", f"{key} = {value}", text, flags=re.MULTILINE)
    path = tmp_path / f"{name}_shrunk.toml"
    path.write_text(text)
    return path


def _plant_imagenet(folder: Path) -> None:
    """Many classes, images of odd sizes, one of them grey, one CMYK, one PNG called JPEG."""
    random = np.random.default_rng(0)
    for part, count in (("train", 7), ("val", 1)):
        for c in range(CLASSES):
            place = folder / part / f"n{c:08}"
            place.mkdir(parents=True)
            for i in range(count):
                width, height = random.integers(40, 400, 2)
                picture = image(c * 100 + i, (int(width), int(height)))
                if (c, i) == (0, 0):
                    picture = picture.convert("L")
                if (c, i) == (1, 0):
                    picture = picture.convert("CMYK")
                kind = "PNG" if (c, i) == (2, 0) else "JPEG"
                picture.save(place / f"n{c:08}_{i}.JPEG", kind)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", IMAGENET)
def test_imagenet_definitions_run_on_a_small_tree(name: str, tmp_path: Path, cli: Cli) -> None:
    _plant_imagenet(tmp_path / "data" / "imagenet")
    path = _shrunk(name, tmp_path)
    text = path.read_text().replace('name = "imagenet"', f'name = "imagenet"\nclasses = {CLASSES}')
    path.write_text(text)
    root = ("--data-root", tmp_path / "data")
    checked = cli("data", path, *root)
    assert checked.returncode == 0, checked.stderr
    assert "48 train, 24 validation, 12 test" in checked.stdout
    ran = cli("run", path, *root, "--workers", "1")
    assert ran.returncode == 0, ran.stderr
    document = json.loads((tmp_path / f"runs/{path.stem}-pareto-s0/pareto.json").read_text())
    kinds = [p["kind"] for p in document["points"]]
    assert kinds.count("search") == 2
    assert kinds.count("baseline") == 3  # two ratios and the full-precision twin
    assert (tmp_path / "moo-bnas-artifacts").is_dir()  # it has a parent
    trained = cli("train", *root, "--best", "--workers", "1")
    assert trained.returncode == 0, trained.stderr
    (card,) = (tmp_path / f"runs/{path.stem}-pareto-s0").glob("*/model.json")
    made = json.loads(card.read_text())["made"]
    assert (made["train_images"], made["test_images"]) == (7 * CLASSES, CLASSES)


def test_a_broken_image_of_imagenet_is_named(tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "data" / "imagenet"
    _plant_imagenet(folder)
    for broken in sorted((folder / "train" / "n00000003").iterdir()):
        broken.write_bytes(broken.read_bytes()[:200])
    path = _shrunk(IMAGENET[0], tmp_path)
    text = path.read_text().replace('name = "imagenet"', f'name = "imagenet"\nclasses = {CLASSES}')
    path.write_text(text)
    ran = cli("run", path, "--data-root", tmp_path / "data", "--workers", "1")
    assert ran.returncode == 3
    assert re.search(r"cannot read the image .*train/n00000003/n00000003_\d.JPEG: ", ran.stderr)
    assert "replace or remove that file" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CIFAR10)
def test_cifar10_definitions_run_on_the_jpeg_copy(name: str, tmp_path: Path, cli: Cli) -> None:
    archive = Path(__file__).parents[2] / "shared" / "data" / "cifar10-jpeg.tar.xz"
    if not archive.exists():
        pytest.skip(f"needs {archive}, the JPEG copy of CIFAR-10")
    with tarfile.open(archive) as tar:
        few = [m for m in tar if m.isdir() or int(PurePath(m.name).stem) < 8]
        tar.extractall(tmp_path / "jpeg", few, filter="data")
    path = _shrunk(name, tmp_path)
    folder = 'name = "folder"\npath = "jpeg"\nimage_size = 32\nclasses = 10'
    path.write_text(path.read_text().replace('name = "cifar10"', folder))
    ran = cli("run", path, "--data-root", tmp_path, "--workers", "1", "--mode", "scalar")
    assert ran.returncode == 0, ran.stderr
    assert "uniform 1x" in ran.stdout
    assert "full precision 1x" in ran.stdout
    trained = cli("train", "--data-root", tmp_path, "--knee", "--workers", "1")
    assert trained.returncode == 0, trained.stderr


@pytest.mark.slow
def test_the_definition_for_own_images_runs_as_it_says(tmp_path: Path, cli: Cli) -> None:
    for c in range(10):
        place = tmp_path / "mine" / "train" / f"class{c}"
        place.mkdir(parents=True)
        for i in range(12):
            image(c * 100 + i, (30 + i, 40)).save(place / f"{i}.jpg")
    text = shipped()["own_folder"].read_text()
    path = tmp_path / "mine.toml"
    path.write_text(
        re.sub(
            r"(?m)^(population|generations|epochs) = .*",
            r"\1 = 2",
            text,
        )
    )
    checked = cli("data", path, "--data-root", tmp_path)
    assert "100 train, 10 validation, 10 test" in checked.stdout
    ran = cli("run", path, "--data-root", tmp_path, "--workers", "1", "--max-flops", "2e5")
    assert ran.returncode == 0, ran.stderr


def test_every_definition_says_what_it_needs_and_costs() -> None:
    for name, path in shipped().items():
        head = path.read_text().split("\n\n")[0]
        assert head.startswith(f"# moo-bnas run {name}"), name
        assert re.search(r"# Needs|needs no download", head), name
        assert "Costs" in head, name
