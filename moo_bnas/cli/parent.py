"""`moo-bnas parent`."""

from __future__ import annotations

import click

from moo_bnas.cli.driving import DriverOptions, resumable, serving
from moo_bnas.cli.options import general_options
from moo_bnas.cli.searching import RunOptions, drive_search, open_search, run_options
from moo_bnas.output import show
from moo_bnas.units import count


@click.command(short_help="Train the parent of a run ahead of its search.")
@run_options
@general_options
def parent(search: RunOptions, driver: DriverOptions) -> None:
    """Train the parent of a run, whose weights its candidates will inherit.

    `moo-bnas run` begins with this step where DEFINITION has a [parent]; this command does only
    this step, with the same options, and resumes it where it was stopped. All runs of the same
    network, data and [parent] in a storage share one parent.

    \b
    Example:
      moo-bnas parent vgg_small_cifar10_fast
    """
    definition = search.definition()  # refused before a server is started for nothing
    with resumable(), serving(driver) as served:
        from moo_bnas.driver.search_loop import Driver

        definition.training()  # an evaluator of another package has no parent
        if definition.parent is None:
            raise click.UsageError(
                f"definition {definition.name} has no [parent]: its candidates begin from "
                "scratch, and there is nothing to train ahead; search with `moo-bnas run`"
            )
        opened, folder = open_search(search, served)
        trial = drive_search(opened, folder, served, Driver.make_parent)
        if trial is not None:
            found = trial.result
            show(
                f"parent of {opened.study.name}: {found.accuracy:.2f} % after "
                f"{count(found.epochs, 'epoch')}, weights {found.kept.sha256[:12]}"
            )
