"""`moo-bnas data`."""

from __future__ import annotations

from pathlib import Path

import click

from moo_bnas.cli.options import data_root_option, general_options
from moo_bnas.output import show


@click.command(short_help="Check the data of a definition, and download them if asked.")
@click.argument("definition_name", metavar="DEFINITION")
@data_root_option
@click.option(
    "--download",
    is_flag=True,
    help="Download data that are missing and can be downloaded: cifar10.",
)
@general_options
def data(definition_name: str, data_root: Path, download: bool) -> None:
    """Check the data of DEFINITION (a name of `moo-bnas definitions`, or a file) before a search.

    It decodes the images that a search reads, as the first worker would, and prints how many there
    are. The test images are counted, but not read.

    \b
    Example:
      moo-bnas data digits
    """
    from moo_bnas.data import Cifar10
    from moo_bnas.definition import load_definition

    definition = load_definition(definition_name)
    options = definition.images()
    if download and isinstance(options, Cifar10):
        options.download(data_root)
    found = options.load(data_root, definition.seed, "search")
    names = found.classes[:10] + (("...",) if len(found.classes) > 10 else ())
    show(
        f"data       {options.name} in {data_root}\n"
        f"images     {len(found.train.rows)} train, {len(found.scoring.rows)} validation, "
        f"{found.test_images} test\n"
        f"classes    {len(found.classes)}: {', '.join(names)}\n"
        f"content    {found.content_hash}"
    )
