"""`moo-bnas status`."""

from __future__ import annotations

import json
import sys
import time

import click

from moo_bnas.cli.choosing import choose_run
from moo_bnas.cli.options import general_options, storage_option, study_option
from moo_bnas.output import show

_WATCH_SECONDS = 2.0  # between two looks


@click.command(short_help="Show how far a run is, and who works on it.")
@storage_option
@study_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--watch", is_flag=True, help="Keep it up to date until the run is over.")
@general_options
def status(storage_url: str, study_name: str | None, as_json: bool, watch: bool) -> None:
    """Show how far a run is: candidates by state, best score, time left, workers, failures.

    \b
    Example:
      moo-bnas status --study-name digits-pareto-s0 --watch
    """
    if watch and as_json:
        raise click.UsageError("got --watch and --json, which prints one document; give one")

    from moo_bnas.results.status import read_status
    from moo_bnas.storage import Storage

    storage = Storage(storage_url)
    name = choose_run(storage, study_name)
    found = read_status(storage, name)
    if as_json:
        show(json.dumps(found.as_document()))
        return
    if not watch:
        show(found.as_text())
        return

    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    live = Live(
        Text(found.as_text()),
        console=console,
        auto_refresh=False,
        redirect_stderr=sys.stderr.isatty(),
    )
    try:
        with live:
            while not found.finished:
                storage.rest()
                time.sleep(_WATCH_SECONDS)
                found = read_status(storage, name)
                live.update(Text(found.as_text()), refresh=True)
    finally:
        if not console.is_terminal:  # rich ends the last line in a terminal only
            console.print()
