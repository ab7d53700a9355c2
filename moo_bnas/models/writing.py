"""Exports a trained network: writes its files, each completely or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from moo_bnas.errors import ModelFileError
from moo_bnas.extras import need
from moo_bnas.models.arrays import PREFIX
from moo_bnas.models.c_file import to_c
from moo_bnas.models.encoding import exported
from moo_bnas.models.model_file import Model, read_model, to_bytes
from moo_bnas.models.onnx_file import to_onnx
from moo_bnas.models.packed import Sizes, pack, sizes
from moo_bnas.output import write_whole

Format = Literal["packed", "onnx", "torch", "c"]
SUFFIXES: dict[Format, str] = {
    "packed": ".packed.safetensors",
    "onnx": ".onnx",
    "torch": ".plain.safetensors",
    "c": ".c",
}
"""Suffix of the file of each format; it replaces the suffix of the trained network's file."""

SOURCES: dict[Format, tuple[str, str]] = {
    "packed": ("moo_bnas_packed.py", "popcount.py"),
    "torch": ("moo_bnas_plain.py", "plain.py"),
}
"""The module that runs a network, next to its file, and the one here of which it is a copy."""


@dataclass(frozen=True)
class Export:
    """The files that an export wrote.

    Attributes:
        files: Size of each file in bytes, by path; the file of the network is the first.
        sizes: What the bytes of a packed file are used for; None for other formats.
    """

    files: dict[Path, int]
    sizes: Sizes | None


def export(source: Path, form: Format, out: Path | None = None) -> Export:
    """Exports a trained network.

    Args:
        source: File that `moo-bnas train` wrote.
        form: Format of the export.
        out: File to write; None: next to `source`, with the suffix of the format.

    Raises:
        ModelFileError: If `source` cannot be exported, `out` cannot be written, or a package that
            the format needs is not installed.
        MissingPackageError: If torch is not installed.
    """
    need("torch", "an export")
    from moo_bnas.models.folding import fold

    model = read_model(source)  # first: a missing MODEL is not the fault of where to write
    path = source.with_name(source.stem + SUFFIXES[form]) if out is None else out
    _check_place(path, source, form)
    folded = fold(model, str(source))
    taken = None
    match form:
        case "packed":
            packed = pack(folded)
            content = to_bytes(packed)
            taken = sizes(packed, content)
            contents = {path: content}
        case "onnx":
            contents = {path: to_onnx(folded)}
        case "c":
            code, header = to_c(pack(folded), str(source), path.stem)
            contents = {path: code, path.with_suffix(".h"): header}
        case "torch":
            card = exported(folded.card, "plain")
            state = {f"{PREFIX}{name}": array for name, array in folded.arrays.items()}
            contents = {path: to_bytes(Model(card, state))}
    if form in SOURCES:
        name, module = SOURCES[form]
        contents[path.with_name(name)] = files("moo_bnas.models").joinpath(module).read_bytes()
    for file, content in contents.items():
        _write(file, content)
    return Export({file: len(content) for file, content in contents.items()}, taken)


def _check_place(path: Path, source: Path, form: Format) -> None:
    if os.path.isdir(path):  # Path.is_dir raises if a name is too long
        raise ModelFileError(
            f"cannot write {path}: it is a folder, expected the path of a file; give one with --out"
        )
    if not os.path.isdir(path.parent):
        raise ModelFileError(
            f"cannot write {path}: there is no folder {path.parent}; create it, or give "
            "another --out"
        )
    if form == "c" and path.suffix == ".h":
        raise ModelFileError(
            f"cannot write {path}: its header has that name; give an --out that ends with .c"
        )
    if path.resolve() == source.resolve():
        raise ModelFileError(
            f"cannot write {path}: it is the trained network itself; give another --out"
        )


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise ModelFileError(
            f"cannot write {path}: {error.strerror}; free disk space, fix the permissions, or give "
            "another --out"
        ) from error
