"""`moo-bnas report`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from moo_bnas.cli.choosing import choose_run
from moo_bnas.cli.options import (
    default_out,
    general_options,
    out_option,
    storage_option,
    study_option,
)
from moo_bnas.output import listing, show


@click.command(short_help="Write the report of a run, finished or not.")
@storage_option
@study_option
@out_option
@click.option(
    "--images",
    type=click.Choice(["svg", "png"]),
    help="Also write each figure as an image; needs pip install 'moo-bnas[images]', and Chrome or "
    "Chromium.",
)
@general_options
def report(
    storage_url: str,
    study_name: str | None,
    out: Path | None,
    images: Literal["svg", "png"] | None,
) -> None:
    """Write the report of a run, finished or not: report.html, tables and points.

    It needs only the storage, and can be run anywhere, at any time. Beside report.html it writes
    table.md, table.csv and table.tex, and pareto.html, pareto.csv and pareto.json.

    \b
    Example:
      moo-bnas report --study-name digits-pareto-s0 --out front
    """
    from moo_bnas.report.files import write
    from moo_bnas.report.images import write_images
    from moo_bnas.report.terminal import as_table
    from moo_bnas.results.points import collect
    from moo_bnas.storage import Storage

    storage = Storage(storage_url)
    name = choose_run(storage, study_name)
    collected = collect(storage, name)
    folder = out or default_out(name)
    paths = write(collected, folder)
    show(as_table(collected))
    show("\n" + listing("written", paths))
    if images:
        drawn = write_images(collected, folder, images)
        show(listing("images", drawn))
