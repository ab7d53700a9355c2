"""`moo-bnas export`: what is printed, written, and refused."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from moo_bnas.cli import cli as commands
from moo_bnas.errors import ModelFileError
from moo_bnas.models.model_file import read_model, to_bytes
from tests.conftest import Cli
from tests.models.trained import Case, train


def _export(*arguments: str | Path) -> Result:
    return CliRunner().invoke(commands, ["export", *map(str, arguments)])


def test_the_packed_sizes_that_are_printed_add_up(cli: Cli, trained_path: Path) -> None:
    done = cli("export", "model.safetensors", "--format", "packed")
    assert (done.returncode, done.stderr) == (0, "")
    path = trained_path.with_name("model.packed.safetensors")
    size = path.stat().st_size
    assert done.stdout.startswith(f"written: model.packed.safetensors, {size:,} bytes\n")
    printed = {
        name.strip(): int(number.replace(",", ""))
        for name, number in re.findall(r"^(.{10}) +([\d,]+) bytes", done.stdout, re.MULTILINE)
    }
    assert list(printed) == ["weights", "batch norm", "scales", "header", "file"]
    assert printed["file"] == size == sum(printed.values()) - printed["file"]
    bits = read_model(trained_path).card.memory_bits
    assert f"{bits:,} bits by the cost model" in done.stdout
    assert printed["weights"] == bits / 8  # base width 8 fills all bytes


def test_weights_that_are_written_several_times_are_told(cli: Cli, tmp_path: Path) -> None:
    """Of 8 channels and more each conv fills whole bytes; AdaBin writes it four times."""
    model = train(Case("vgg_small", "adabin", 8), epochs=1)
    (tmp_path / "model.safetensors").write_bytes(to_bytes(model))
    done = cli("export", "model.safetensors", "--format", "packed")
    binary = 9 * (8 * 8 + 8 * 16 + 16 * 16 + 16 * 32 + 32 * 32)
    counted = model.card.memory_bits
    said = f"{counted:,} bits by the cost model, in {counted + 3 * binary:,} of convs of bits\n"
    assert said in done.stdout


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("packed", {"model.packed.safetensors", "moo_bnas_packed.py"}),
        ("onnx", {"model.onnx"}),
        ("torch", {"model.plain.safetensors", "moo_bnas_plain.py"}),
        ("c", {"model.c", "model.h"}),
    ],
)
def test_files_lie_beside_the_trained_one_unless_told_otherwise(
    trained_path: Path, tmp_path: Path, form: str, names: set[str]
) -> None:
    assert _export(trained_path, "--format", form).exit_code == 0
    assert {p.name for p in tmp_path.iterdir()} == names | {"model.safetensors"}
    other = tmp_path / "other"
    other.mkdir()
    main = next(n for n in sorted(names) if n.startswith("model."))
    # The name of a C file is part of its content.
    own = main if form == "c" else "mine"
    assert _export(trained_path, "--format", form, "--out", other / own).exit_code == 0
    there = {p.name: p.read_bytes() for p in other.iterdir()}
    assert set(there) == {own} | (names - {main})
    assert there[own] == (tmp_path / main).read_bytes()


@pytest.mark.parametrize("form", ["packed", "onnx", "torch", "c"])
def test_a_place_that_cannot_be_written_is_named(trained_path: Path, form: str) -> None:
    def refused(out: Path) -> str:
        done = _export(trained_path, "--format", form, "--out", out)
        assert isinstance(done.exception, ModelFileError)
        return str(done.exception)

    folder = trained_path.parent
    assert refused(folder) == (
        f"cannot write {folder}: it is a folder, expected the path of a file; give one with --out"
    )
    assert f"there is no folder {folder}/none; create it, or" in refused(folder / "none" / "x")
    assert "it is the trained network itself; give another --out" in refused(trained_path)
    assert ": File name too long; free disk space, fix the permissions" in refused(
        folder / ("x" * 300)
    )
    (folder / "pipe").symlink_to("/dev/zero")
    assert "it is a folder, a pipe or a device, expected a file" in refused(folder / "pipe")
    (folder / "pipe").unlink()
    if sys.platform == "linux":  # where not even root may write
        assert re.match(r"cannot write /proc/x: .*; free disk space, fix", refused(Path("/proc/x")))
    assert [p.name for p in folder.iterdir()] == ["model.safetensors"]


def test_what_is_no_trained_network_is_refused(trained_path: Path) -> None:
    def refused(path: Path) -> str:
        done = _export(path, "--format", "packed")
        assert isinstance(done.exception, ModelFileError)
        return str(done.exception)

    assert _export(trained_path, "--format", "packed").exit_code == 0
    packed = trained_path.with_name("model.packed.safetensors")
    assert "is an exported network (packed), expected a trained one; give the" in refused(packed)
    trained_path.write_bytes(trained_path.read_bytes()[:-1])
    assert "incomplete or damaged" in refused(trained_path)
    trained_path.unlink()
    assert f"cannot read {trained_path}: No such file or directory; give" in refused(trained_path)
    assert "cannot read .: Is a directory; give" in refused(Path())
    assert {p.name for p in packed.parent.iterdir()} == {packed.name, "moo_bnas_packed.py"}


def test_an_extra_that_is_not_installed_is_named(
    trained_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = _export(trained_path, "--format", "onnx")
    assert str(done.exception).endswith("pip install 'moo-bnas[onnx]'")
    assert [p.name for p in trained_path.parent.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("command", ["export", "predict"])
def test_every_help_has_an_example(command: str) -> None:
    done = CliRunner().invoke(commands, [command, "--help"])
    assert f"Example:\n    moo-bnas {command}" in done.stdout


def test_a_c_file_that_has_the_name_of_its_header_is_refused(trained_path: Path) -> None:
    done = _export(trained_path, "--format", "c", "--out", trained_path.with_name("net.h"))
    assert isinstance(done.exception, ModelFileError)
    assert str(done.exception).endswith(
        "net.h: its header has that name; give an --out that ends with .c"
    )
