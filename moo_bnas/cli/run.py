"""`moo-bnas run`."""

from __future__ import annotations

import click

from moo_bnas.cli.driving import DriverOptions, resumable
from moo_bnas.cli.options import general_options
from moo_bnas.cli.searching import RunOptions, drive_search, open_search, run_options


@click.command(short_help="Search: make or resume a run.")
@run_options
@click.option(
    "--confirm",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="After the search, train the N networks that matter, and the uniform ones, again with "
    "other seeds of the recipe.  [default: 0]",
)
@click.option(
    "--confirm-seeds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    metavar="S",
    help="With --confirm: training runs of each network.",
)
@general_options
def run(search: RunOptions, driver: DriverOptions, confirm: int, confirm_seeds: int) -> None:
    """Search: make or resume a run of DEFINITION (a name of `moo-bnas studies`, or a file).

    The same command resumes a run that was stopped at any moment and in any way, and the result is
    the same as without the stop. The default DEFINITION, digits, needs no download.

    \b
    Examples:
      moo-bnas run digits --mode pareto --workers 2
      moo-bnas run digits --mode pareto --workers 2 --confirm 4
    """
    with resumable():
        from moo_bnas.driver.confirmation import Confirmation
        from moo_bnas.driver.search_loop import Driver
        from moo_bnas.report.confirmation import confirmation as confirmed
        from moo_bnas.report.files import write
        from moo_bnas.report.terminal import as_table
        from moo_bnas.results.points import collect

        opened, folder = open_search(search, driver)
        confirmation = Confirmation(opened, confirm, confirm_seeds) if confirm else None

        def drive(driving: Driver) -> None:
            if not opened.is_over:
                driving.drive()
            if confirmation is not None:
                driving.confirm(confirmation)

        if not (opened.is_over and (confirmation is None or confirmation.is_over)):
            drive_search(opened, folder, driver, drive)
        collected = collect(opened.storage, opened.study.name)
        paths = write(collected, folder)
        click.echo(as_table(collected))
        if lines := confirmed(collected):
            click.echo("\n" + "\n".join(lines))
        if collected.failed:
            click.echo(f"\n{collected.failed} candidates failed; `moo-bnas status` shows why")
        click.echo("\nwritten: " + ", ".join(str(p) for p in paths))
