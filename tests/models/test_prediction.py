from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import moo_bnas
from moo_bnas.cli import cli as commands
from moo_bnas.errors import DataError, ModelFileError
from moo_bnas.models.model_file import Model, to_bytes
from moo_bnas.models.prediction import Predictor
from moo_bnas.models.writing import Format, export
from tests.conftest import Cli
from tests.models.trained import digits_images, logits_of, trained

VGG = "vgg_small dorefa"
FORMATS: tuple[Format | None, ...] = (None, "packed", "onnx", "torch")


@pytest.fixture
def make(tmp_path: Path) -> Callable[[Format | None], Path]:
    """Writes a trained network, and returns its file or an export of it."""

    def make(form: Format | None) -> Path:
        path = tmp_path / "model.safetensors"
        path.write_bytes(to_bytes(trained(VGG)))
        return path if form is None else next(iter(export(path, form).files))

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve test images of digits, in two folders and three formats."""
    folder = tmp_path / "images"
    for i, image in enumerate(digits_images()[:12]):
        path = folder / "ab"[i % 2] / f"{i:02}.{('png', 'bmp', 'pgm')[i % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(path)
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_text("no image")
    return folder


def _expected() -> np.ndarray:
    logits = logits_of(trained(VGG)).astype(np.float64)
    powers = np.exp(logits)
    probabilities: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def _predict(*arguments: str | Path) -> Result:
    return CliRunner().invoke(commands, ["predict", *map(str, arguments)])


@pytest.mark.parametrize("form", FORMATS)
def test_an_array_of_images(make: Callable[[Format | None], Path], form: Format | None) -> None:
    found = moo_bnas.predict(make(form), digits_images())
    assert len(found) == 360
    probabilities = np.stack([one.probabilities for one in found])
    np.testing.assert_allclose(probabilities, _expected(), atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    assert found[0].path is None
    (best, highest), (_, second) = found[0].top(2)
    assert best == found[0].classes[int(probabilities[0].argmax())]
    assert highest == probabilities[0].max() > second
    assert len(found[0].top(99)) == 10


@pytest.mark.parametrize("form", FORMATS)
def test_a_folder_of_images(
    make: Callable[[Format | None], Path], form: Format | None, folder: Path
) -> None:
    found = moo_bnas.predict(make(form), folder)
    names = [one.path.name for one in found if one.path]
    assert [one.path.parent.name for one in found if one.path] == ["a"] * 6 + ["b"] * 6
    expected = _expected()
    for name, one in zip(names, found, strict=True):
        np.testing.assert_allclose(one.probabilities, expected[int(name[:2])], atol=1e-5)


def test_images_of_any_size_become_those_of_the_network(
    make: Callable[[Format | None], Path], tmp_path: Path
) -> None:
    """Images are prepared as in training: read at the stored size, then cropped to the centre."""
    model = trained(VGG)
    image = model.card.image.model_copy(update={"stored_size": 12})
    card = model.card.model_copy(update={"image": image})
    path = tmp_path / "crop.safetensors"
    path.write_bytes(to_bytes(Model(card, model.arrays)))
    large = np.zeros((1, 1, 12, 12), np.uint8)
    large[:, :, 2:10, 2:10] = digits_images()[:1]
    Image.fromarray(large[0, 0]).save(tmp_path / "large.png")
    Image.fromarray(large[0, 0]).convert("RGB").save(tmp_path / "colour.png")
    (direct,) = moo_bnas.predict(make(None), digits_images()[:1])
    for given in (large, tmp_path / "large.png", [tmp_path / "colour.png"]):
        (one,) = moo_bnas.predict(path, given)
        assert np.array_equal(one.probabilities, direct.probabilities)
    (one,) = moo_bnas.predict(make(None), tmp_path / "large.png")  # scaled from 12 to 8
    assert one.path == tmp_path / "large.png"


def test_the_command_prints_a_line_an_image(
    cli: Cli, make: Callable[[Format | None], Path], folder: Path
) -> None:
    file = make("packed")
    done = cli("predict", file, "images", "--top", "2")
    assert done.returncode == 0
    assert re.fullmatch(rf"{file} runs with numba kernels for .+\n", done.stderr)
    lines = done.stdout.splitlines()
    assert len(lines) == 12
    assert re.fullmatch(r"images/a/00.png  \d [<>]?\d+\.\d %  \d [<>]?\d+\.\d %", lines[0])
    expected = _expected()
    for line in lines:
        path, best, share = line.split()[:3]
        row = expected[int(Path(path).stem)]
        assert int(best) == row.argmax()
        assert float(share.lstrip("<>")) == pytest.approx(100 * row.max(), abs=0.1)


def test_the_command_as_json_with_a_broken_image(
    cli: Cli, make: Callable[[Format | None], Path], folder: Path
) -> None:
    (folder / "b" / "04.png").write_bytes(b"no image")
    path = make("onnx")
    done = cli("predict", path, "images/b", "images/a/02.pgm", "none.png", "--json", "--top", "1")
    assert done.returncode == 3
    document = json.loads(done.stdout)
    assert (document["kind"], document["network"]) == ("onnx", "vgg_small")
    assert document["runtime"] == "onnxruntime"
    assert document["file"] == str(path)
    assert [Path(p["path"]).stem for p in document["predictions"]] == [
        *("01", "03", "05", "07", "09", "11", "02")
    ]
    first = document["predictions"][0]
    assert first["top"] == [{"class": first["class"], "probability": first["probability"]}]
    assert first["probability"] == pytest.approx(_expected()[1].max(), abs=1e-5)
    assert [b["path"] for b in document["broken"]] == ["images/b/04.png", "none.png"]
    lines = done.stderr.splitlines()
    assert lines[0].startswith("moo-bnas: cannot read the image images/b/04.png: ")
    assert lines[1].startswith("moo-bnas: there is no image none.png; ")
    assert lines[2].startswith("moo-bnas: 2 of 9 images could not be read, as reported above; fix")


def test_broken_images_are_left_out_in_python_too(
    make: Callable[[Format | None], Path], folder: Path
) -> None:
    packed = make("packed")
    whole = {p.path: p.top(1) for p in moo_bnas.predict(packed, folder)}
    broken = folder / "a" / "06.png"
    broken.write_bytes(b"no image")
    with pytest.warns(UserWarning, match="left out: cannot read the image .*06.png") as warned:
        found = moo_bnas.predict(packed, folder)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    del whole[broken]
    assert {p.path: p.top(1) for p in found} == whole
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(DataError, match="cannot read the image .*06.png.*; 1 more cannot be read"),
    ):
        moo_bnas.predict(packed, [broken, folder / "none.png"])


def test_a_folder_without_images_is_refused(
    make: Callable[[Format | None], Path], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    done = _predict(make("packed"), tmp_path / "empty")
    assert isinstance(done.exception, DataError)
    assert str(done.exception).startswith(f"the folder {tmp_path}/empty has no images (*.bmp, *.")


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 3, 8, 8), np.uint8),
        np.zeros((2, 1, 8, 7), np.uint8),
        np.zeros((1, 8, 8), np.uint8),
        np.zeros((2, 1, 8, 8), np.float32),
    ],
)
def test_arrays_of_another_kind_are_refused(
    make: Callable[[Format | None], Path], images: np.ndarray
) -> None:
    message = (
        f"got images of type {images.dtype} and shape {list(images.shape)}, expected uint8 of "
        "n x 1 x 8 x 8 or larger; convert them, or give paths of image files"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        Predictor(make("packed")).probabilities(images)


def test_files_that_are_no_networks_are_refused(
    make: Callable[[Format | None], Path], tmp_path: Path, folder: Path
) -> None:
    import onnx
    from safetensors.numpy import save_file

    def refused(path: Path) -> str:
        done = _predict(path, folder)
        assert isinstance(done.exception, ModelFileError)
        return str(done.exception)

    for form in FORMATS:
        path = make(form)
        path.write_bytes(path.read_bytes()[:-100])
        assert "incomplete or damaged" in refused(path)
        path.unlink()
        assert f"cannot read {path}: No such file or directory; give" in refused(path)
    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "bare.safetensors")
    assert "was not made by moo-bnas" in refused(tmp_path / "bare.safetensors")
    path = make("onnx")
    graph = onnx.load_model(path)
    del graph.metadata_props[:]
    onnx.save_model(graph, path)
    assert "was not made by moo-bnas" in refused(path)


@pytest.mark.parametrize("form", [None, "packed", "torch"])
def test_a_file_whose_card_is_of_another_network_is_refused(
    form: Format | None, make: Callable[[Format | None], Path], folder: Path
) -> None:
    from moo_bnas.models.model_file import read_model

    path = make(form)
    model = read_model(path)
    layers = trained("vgg_small sign").card.layers
    path.write_bytes(
        to_bytes(Model(model.card.model_copy(update={"layers": layers}), model.arrays))
    )
    done = _predict(path, folder)
    assert isinstance(done.exception, ModelFileError)
    assert "does not hold the network that its card describes" in str(done.exception)


def test_without_onnxruntime_it_says_what_to_install(
    make: Callable[[Format | None], Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make("onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    done = _predict(path, folder)
    assert str(done.exception) == (
        "ONNX files need the Python package onnxruntime, which is not installed; "
        "pip install 'moo-bnas[onnx]'"
    )


def test_a_packed_file_runs_without_numba_and_says_so(
    make: Callable[[Format | None], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make("packed")
    fast = Predictor(path)
    assert fast.runtime.startswith("numba kernels for ")
    expected = fast.probabilities(digits_images())  # numba imports more when it first compiles
    monkeypatch.delitem(sys.modules, "moo_bnas.models.fast.network")
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "moo_bnas.models.fast.kernels")
    slow = Predictor(path)
    assert slow.runtime == ("numpy only; pip install 'moo-bnas[fast]' makes it many times as fast")
    np.testing.assert_allclose(slow.probabilities(digits_images()), expected, atol=1e-6)


def test_numba_that_does_not_start_is_reported(
    make: Callable[[Format | None], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "moo_bnas.models.fast.kernels":
                raise ImportError("Numba needs NumPy 2.3 or less. Got NumPy 2.9.")

    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    for name in ("kernels", "network"):
        monkeypatch.delitem(sys.modules, f"moo_bnas.models.fast.{name}", raising=False)
    assert Predictor(make("packed")).runtime == (
        "numpy only, because numba does not start (Numba needs NumPy 2.3 or less. Got NumPy 2.9.)"
    )
