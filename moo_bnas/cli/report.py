"""`moo-bnas report`."""

from __future__ import annotations

from pathlib import Path

import click

from moo_bnas.cli.options import (
    default_out,
    general_options,
    out_option,
    storage_option,
    study_option,
)


@click.command(short_help="Write the report of a run, finished or not.")
@storage_option
@study_option
@out_option
@general_options
def report(storage_url: str, study_name: str | None, out: Path | None) -> None:
    """Write pareto.html, pareto.csv and pareto.json of a run, finished or not.

    It needs the storage alone, and can be run anywhere, at any time.

    \b
    Example:
      moo-bnas report --study-name digits-pareto-s0 --out front
    """
    from moo_bnas.report import as_table, collect, write
    from moo_bnas.storage import Storage

    storage = Storage(storage_url)
    name = storage.studies.choose(study_name)
    collected = collect(storage, name)
    paths = write(collected, out or default_out(name))
    click.echo(as_table(collected))
    click.echo("\nwritten: " + ", ".join(str(p) for p in paths))
