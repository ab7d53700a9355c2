"""The C file, compiled with gcc and run, against the numpy reference."""

from __future__ import annotations

import ctypes
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from moo_bnas.models.c_file import to_c
from moo_bnas.models.folding import fold
from moo_bnas.models.model_file import Model
from moo_bnas.models.packed import pack, reference
from tests.binarizers import ONE_BIT
from tests.marks import slow
from tests.models.fast.networks import images, network
from tests.models.fast.test_network import RESNET, RESNET_BITS, VGG, VGG_BITS
from tests.models.trained import assert_same, digits_images, inputs_of, trained

GCC = shutil.which("gcc")
needs_gcc = pytest.mark.skipif(GCC is None, reason="gcc is not installed")
X86 = platform.machine() == "x86_64"
ARM_GCC, ARM = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")

PATHS = {
    "portable": [],
    "popcnt": ["-mpopcnt"],
    "AVX2": ["-mavx2", "-mfma", "-mpopcnt"],
    "AVX-512": ["-mavx512f", "-mavx512vpopcntdq", "-mpopcnt"],
}
NEEDED = {
    "portable": set[str](),
    "popcnt": {"popcnt"},
    "AVX2": {"avx2", "fma"},
    "AVX-512": {"avx512f", "avx512_vpopcntdq"},
}


def _compiled(model: Model, folder: Path, name: str, options: Sequence[str]) -> ctypes.CDLL:
    code, header = to_c(model, "it", name)
    (folder / f"{name}.c").write_bytes(code)
    (folder / f"{name}.h").write_bytes(header)
    library = folder / f"{name}.so"
    subprocess.run(
        [str(GCC), *FLAGS, "-O2", *options, "-shared", "-fPIC", f"{name}.c", "-o", library, "-lm"],
        cwd=folder,
        check=True,
    )
    return ctypes.CDLL(str(library))


def _room(folder: Path, name: str) -> np.ndarray:
    header = (folder / f"{name}.h").read_text()
    (size,) = re.findall(r"_WORKSPACE (\d+)", header)
    # Whatever lies there before must not matter.
    return np.full(int(size) + 1, 0xA5A5A5A5A5A5A5A5, np.uint64)


def _logits(
    model: Model, x: np.ndarray, folder: Path, name: str, options: Sequence[str]
) -> np.ndarray:
    library = _compiled(model, folder, name, options)
    room = _room(folder, name)
    run = library[f"{name}_run" if x.dtype == np.float32 else f"{name}_run_pixels"]
    logits = np.empty((len(x), len(model.card.classes)), np.float32)
    for image, row in zip(np.ascontiguousarray(x), logits, strict=True):
        run(*(ctypes.c_void_p(array.ctypes.data) for array in (image, row, room)))
    assert room[-1] == 0xA5A5A5A5A5A5A5A5  # nothing is written behind it
    return logits


def _flags() -> set[str]:
    return set(Path("/proc/cpuinfo").read_text().split())


@needs_gcc
@pytest.mark.skipif(not X86, reason="its options are those of x86-64")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("kind", "widths"), [("vgg_small", VGG), ("resnet18", RESNET)])
def test_every_path_gives_the_references_bits(
    path: str, kind: str, widths: tuple[int, ...], tmp_path: Path
) -> None:
    if not NEEDED[path] <= _flags():
        pytest.skip(f"this processor has no {path}")
    model = network(kind, widths, binarizer="sign")
    x = images(model, 3)
    logits = _logits(model, x, tmp_path, "net", PATHS[path])
    assert np.array_equal(logits, reference(model, "it")(x))


@pytest.mark.skipif(
    ARM_GCC is None or ARM is None, reason="gcc-aarch64-linux-gnu or qemu-user is not installed"
)
@pytest.mark.parametrize(("kind", "widths"), [("vgg_small", VGG), ("resnet18", RESNET)])
def test_the_path_for_arm_in_an_emulator(
    kind: str, widths: tuple[int, ...], tmp_path: Path
) -> None:
    model = network(kind, widths, binarizer="sign")
    for part, content in zip("ch", to_c(model, "it", "net"), strict=True):
        (tmp_path / f"net.{part}").write_bytes(content)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "net.h"\n'
        "#ifndef __ARM_NEON\n#error without NEON\n#endif\n"
        "static float image[NET_CHANNELS * NET_SIZE * NET_SIZE], logits[NET_CLASSES];\n"
        "static uint64_t workspace[NET_WORKSPACE];\n"
        "int main(void) {\n"
        "    while (fread(image, sizeof image, 1, stdin)) {\n"
        "        net_run(image, logits, workspace);\n"
        "        fwrite(logits, sizeof logits, 1, stdout);\n    }\n}\n"
    )
    command = [str(ARM_GCC), *FLAGS, "-O2", "-static", "main.c", "net.c", "-o", "main", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True)
    x = images(model, 3)
    done = subprocess.run(
        [str(ARM), tmp_path / "main"], input=x.tobytes(), capture_output=True, check=True
    )
    logits = np.frombuffer(done.stdout, np.float32).reshape(3, -1)
    assert np.array_equal(logits, reference(model, "it")(x))


QUICK = ("dorefa", "uneven")


@needs_gcc
@pytest.mark.parametrize("binarizer", [*QUICK, *slow(*sorted(ONE_BIT.keys() - {*QUICK}))])
def test_every_binarizer_and_an_odd_size(binarizer: str, tmp_path: Path) -> None:
    for kind, widths, size in (("vgg_small", VGG, 8), ("resnet18", RESNET, 9)):
        model = network(kind, widths, binarizer=binarizer, size=size)
        x = images(model, 2)
        logits = _logits(model, x, tmp_path, kind, ["-march=native"] if X86 else [])
        assert np.array_equal(logits, reference(model, "it")(x))


@needs_gcc
@pytest.mark.parametrize(
    ("kind", "widths", "bits"), [("vgg_small", VGG, VGG_BITS), ("resnet18", RESNET, RESNET_BITS)]
)
def test_several_bits(
    kind: str, widths: tuple[int, ...], bits: tuple[int, ...], tmp_path: Path
) -> None:
    model = network(kind, widths, bits=bits)
    x = images(model, 2)
    logits = _logits(model, x, tmp_path, kind, ["-march=native"] if X86 else [])
    assert np.array_equal(logits, reference(model, "it")(x))


@needs_gcc
def test_the_stem_for_large_images(tmp_path: Path) -> None:
    model = network("resnet18", RESNET, size=33, stem="imagenet")
    x = images(model, 2)
    assert np.array_equal(_logits(model, x, tmp_path, "net", []), reference(model, "it")(x))


@needs_gcc
def test_the_trained_networks(model: Model, tmp_path: Path) -> None:
    content = pack(fold(model, "model"))
    assert_same(model, _logits(content, inputs_of(model), tmp_path, "net", []))


@needs_gcc
def test_pixels_and_names_of_classes(tmp_path: Path) -> None:
    model = trained("vgg_small dorefa")
    classes = ('a "quoted" \\ name?', "Brötchen", "*/", *"3456789")
    card = model.card.model_copy(update={"classes": classes})
    content = pack(Model(card, fold(model, "model").arrays))
    name = "3-digits.v2"
    code, header = to_c(content, "it", name)
    assert b"void _3_digits_v2_run(const float *image" in header
    assert b"#define _3_DIGITS_V2_SIZE 8 " in header
    (tmp_path / "digits.c").write_bytes(code)
    logits = _logits(content, digits_images(), tmp_path, "digits", [])
    assert_same(model, logits)
    library = ctypes.CDLL(str(tmp_path / "digits.so"))
    names = (ctypes.c_char_p * 10).in_dll(library, "digits_classes")
    assert tuple(bytes(one or b"").decode() for one in names) == classes


@needs_gcc
def test_a_program_in_c_uses_it(tmp_path: Path) -> None:
    model = network("vgg_small", VGG)
    for part, content in zip("ch", to_c(model, "it", "model"), strict=True):
        (tmp_path / f"model.{part}").write_bytes(content)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "model.h"\n'
        "static float image[MODEL_CHANNELS * MODEL_SIZE * MODEL_SIZE], logits[MODEL_CLASSES];\n"
        "static uint64_t workspace[MODEL_WORKSPACE];\n"
        "int main(void) {\n    model_run(image, logits, workspace);\n"
        '    for (int i = 0; i < MODEL_CLASSES; i++) printf("%.9g\\n", logits[i]);\n}\n'
    )
    command = [str(GCC), *FLAGS, "-O1", "-fsanitize=undefined,address", "-g", "main.c", "model.c"]
    subprocess.run([*command, "-o", "main", "-lm"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    expected = reference(model, "it")(np.zeros((1, 3, 8, 8), np.float32))[0]
    assert np.array_equal(np.array(done.stdout.split(), np.float32), expected)
    assert done.stderr == ""
