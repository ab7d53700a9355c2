"""`moo-bnas new`."""

from __future__ import annotations

from pathlib import Path

import click

from moo_bnas.cli.options import PathType, general_options
from moo_bnas.output import show


@click.command(short_help="Write a definition of your own, as a copy of one that is there.")
@click.argument("file", metavar="FILE", type=PathType())
@click.option(
    "--from",
    "source",
    metavar="NAME",
    default="own_folder",
    show_default=True,
    help="Definition to copy; `moo-bnas definitions` lists them.",
)
@general_options
def new(file: Path, source: str) -> None:
    """Write FILE, a definition that is yours to change: a copy of NAME, with its comments.

    The default NAME is for images of your own, in one folder per class.

    \b
    Examples:
      moo-bnas new mine.toml
      moo-bnas new longer.toml --from digits
    """
    from moo_bnas.data import Folder, ImageNet
    from moo_bnas.definition import load_definition
    from moo_bnas.errors import DefinitionError
    from moo_bnas.shipped import shipped_text

    text = shipped_text(source)
    if file.suffix != ".toml":
        raise DefinitionError(
            f"got the file {str(file)!r:.300}, expected a name that ends in .toml"
        )
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError as error:
        raise DefinitionError(
            f"{file} is there already; give another name, or remove it"
        ) from error
    except OSError as error:
        raise DefinitionError(
            f"cannot write {file}: {error.strerror}; give a file in a folder that is there and "
            "can be written to"
        ) from error
    images = load_definition(source).images()
    if not isinstance(images, (Folder, ImageNet)):
        show(f"written: {file}; change it, then: moo-bnas run {file}")
        return
    show(f"written: {file}; it needs {images.needs}; change it, then:")
    show(f"  moo-bnas data {file} --data-root FOLDER\n  moo-bnas run {file} --data-root FOLDER")
