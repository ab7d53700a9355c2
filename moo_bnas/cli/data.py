"""`moo-bnas data`."""

from __future__ import annotations

from pathlib import Path

import click

from moo_bnas.cli.driving import notify
from moo_bnas.cli.needs import needs_of, needs_rows, needs_warning
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
@click.option(
    "--final",
    is_flag=True,
    help="Write the images of final training into the cache as well, test images included.",
)
@click.option(
    "--verify",
    is_flag=True,
    help="Read the whole cache again, to see that nothing in it has changed.",
)
@general_options
def data(definition_name: str, data_root: Path, download: bool, final: bool, verify: bool) -> None:
    """Check the data of DEFINITION (a name of `moo-bnas definitions`, or a file) before a search.

    It writes the images that a search reads into the cache, as the first worker would, and prints
    how many there are, and what room and time they and those of final training need. The test
    images are counted, but not read without --final.

    \b
    Examples:
      moo-bnas data digits
      moo-bnas data resnet18_imagenet --final --verify
    """
    from moo_bnas.data import Cifar10
    from moo_bnas.data.pictures import Pictures
    from moo_bnas.definition import load_definition

    definition = load_definition(definition_name)
    options = definition.images()
    if download and isinstance(options, Cifar10):
        options.download(data_root)
    needs = needs_of(options, data_root, definition.seed)
    found = options.load(data_root, definition.seed, "search")
    splits = [found.train, found.scoring]
    if final:
        whole = options.load(data_root, definition.seed, "final")
        splits += [whole.train, whole.scoring]
    if verify:  # pixels were, when they were opened
        for pictures in {id(s.images): s.images for s in splits}.values():
            if isinstance(pictures, Pictures):
                pictures.verify()
    names = found.classes[:10] + (("...",) if len(found.classes) > 10 else ())
    counts = f"{len(found.train.rows)} train, {len(found.scoring.rows)} validation, "
    table = [
        ("data", f"{options.name} in {data_root}"),
        ("images", f"{counts}{found.test_images} test"),
        ("classes", f"{len(found.classes)}: {', '.join(names)}"),
        ("content", found.content_hash),
        *needs_rows(needs),
    ]
    if verify:
        table.append(("verified", "all of the cache that was opened"))
    show("\n".join(f"{title:<9}  {text}" for title, text in table))
    if warning := needs_warning(needs, data_root):
        notify(warning)
