"""`moo-bnas runs`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from moo_bnas.cli.options import general_options, storage_option
from moo_bnas.output import aligned, one_line, show


@click.command(short_help="List the runs of a storage.")
@storage_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@general_options
def runs(storage_url: str, as_json: bool) -> None:
    """List the runs of a storage, the latest last: mode, generation, best, driver, age.

    \b
    Example:
      moo-bnas runs
    """
    from moo_bnas.results.overview import HEADER, read_runs
    from moo_bnas.storage import Storage

    rows, faults = read_runs(Storage(storage_url))
    if as_json:
        show(json.dumps({"runs": [asdict(row) for row in rows], "faults": faults}))
        return
    show(aligned([HEADER, *(row.cells() for row in rows)]))
    for name, fault in faults.items():
        show(one_line(f"{name} cannot be read here: {fault}"), err=True)
