"""`moo-bnas run`."""

from __future__ import annotations

import click

from moo_bnas.cli.driving import DriverOptions, resumable
from moo_bnas.cli.options import general_options
from moo_bnas.cli.searching import RunOptions, drive_search, open_search, run_options


@click.command(short_help="Search: make or resume a run.")
@run_options
@general_options
def run(search: RunOptions, driver: DriverOptions) -> None:
    """Search: make or resume a run of DEFINITION (a name of `moo-bnas studies`, or a file).

    The same command resumes a run that was stopped at any moment and in any way, and the result is
    the same as without the stop. The default DEFINITION, digits, needs no download.

    \b
    Example:
      moo-bnas run digits --mode pareto --workers 2
    """
    with resumable():
        from moo_bnas.driver.search_loop import Driver
        from moo_bnas.report.files import write
        from moo_bnas.report.tables import as_table
        from moo_bnas.results.points import collect

        opened, folder = open_search(search, driver)
        if not opened.is_over:
            drive_search(opened, folder, driver, Driver.drive)
        collected = collect(opened.storage, opened.study.name)
        paths = write(collected, folder)
        click.echo(as_table(collected))
        if collected.failed:
            click.echo(f"\n{collected.failed} candidates failed; `moo-bnas status` shows why")
        click.echo("\nwritten: " + ", ".join(str(p) for p in paths))
