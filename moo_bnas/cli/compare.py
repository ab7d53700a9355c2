"""`moo-bnas compare`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from moo_bnas.cli.options import general_options, storage_option
from moo_bnas.output import aligned, show


@click.command(short_help="Runs beside each other: what differs, and what came of it.")
@click.argument("names", metavar="RUN RUN...", nargs=-1, required=True)
@storage_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@general_options
def compare(names: tuple[str, ...], storage_url: str, as_json: bool) -> None:
    """Show runs beside each other: where their definitions differ, and what each found.

    They must be of one network, one space and one data set. Accuracies are those that were measured
    on validation images, once each: the noise of a single run is in them (`run --seeds` tells it).

    \b
    Example:
      moo-bnas compare digits-pareto-s0 digits-scalar-s0
    """
    if len(set(names)) < 2:
        raise click.UsageError("expected the names of two runs or more; `moo-bnas runs` lists them")

    from moo_bnas.results.points import collect
    from moo_bnas.results.side_by_side import as_text, side_by_side
    from moo_bnas.storage import Storage

    storage = Storage(storage_url)
    reports = [collect(storage, storage.studies.choose(name)) for name in dict.fromkeys(names)]
    found = side_by_side(reports)
    if as_json:
        show(json.dumps(asdict(found)))
        return
    lines = [("", *found.studies)]
    lines += [(key, *map(as_text, values)) for key, values in found.differences.items()]
    lines += [(title, *values) for title, values in found.results.items()]
    show(aligned(lines))
