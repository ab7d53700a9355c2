"""`moo-bnas export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from moo_bnas.cli.options import PathType, general_options
from moo_bnas.output import show

if TYPE_CHECKING:
    from moo_bnas.models.writing import Format


@click.command(short_help="Write a trained network as packed bits, ONNX or a torch module.")
@click.argument("model", metavar="MODEL", type=PathType())
@click.option(
    "--format",
    "form",
    type=click.Choice(["packed", "onnx", "torch", "c"]),
    required=True,
    help="packed: 1 bit per binary weight; onnx: for onnxruntime and others; torch: plain module; "
    "c: a C99 file and its header.",
)
@click.option(
    "--out",
    type=PathType(),
    metavar="PATH",
    help="File to write.  [default: beside MODEL, as MODEL.packed.safetensors, .onnx, "
    ".plain.safetensors or .c]",
)
@general_options
def export(model: Path, form: Format, out: Path | None) -> None:
    """Write MODEL, a file of `moo-bnas train`, as one that runs elsewhere.

    docs/packed.md describes the packed format. Beside a packed network, moo_bnas_packed.py is
    written, which runs it and needs numpy only; beside a torch module, moo_bnas_plain.py, which
    needs torch and safetensors only. `moo-bnas predict` reads all of these formats but C.

    \b
    Example:
      moo-bnas export model.safetensors --format packed
    """
    from moo_bnas.models.writing import export as write

    done = write(model, form, out)
    for path, size in done.files.items():
        show(f"written: {path}, {size:,} bytes")
    if done.sizes is None:
        return
    sizes = done.sizes
    bits = 8 * sizes.weights - sizes.padding_bits
    padding = f" and {sizes.padding_bits} of padding" if sizes.padding_bits else ""
    counted = f"{bits:,} bits by the cost model{padding}"
    if bits != sizes.counted:
        counted = f"{sizes.counted:,} bits by the cost model, in {bits:,} of convs of bits{padding}"
    for name, size, note in (
        ("weights", sizes.weights, counted),
        ("batch norm", sizes.batch_norm, "a multiplier and an offset per channel"),
        ("scales", sizes.scales, "one per binary layer, or per output channel of one"),
        ("header", sizes.header, "the card, and the position of each tensor"),
        ("file", sizes.total, ""),
    ):
        show(f"{name:<10} {size:>13,} bytes  {note}".rstrip())
