"""`moo-bnas run`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from moo_bnas.cli.driving import DriverOptions, resumable, serving
from moo_bnas.cli.dry_run import dry_run
from moo_bnas.cli.logs import LogOptions, log_options
from moo_bnas.cli.options import MOST, default_out, general_options
from moo_bnas.cli.searching import RunOptions, drive_search, open_search, run_options
from moo_bnas.output import listing, show
from moo_bnas.units import count

if TYPE_CHECKING:
    from moo_bnas.loggers import Loggers
    from moo_bnas.results.points import Report


def _parse_seeds(context: click.Context, parameter: click.Parameter, text: str | None) -> list[int]:
    parts = [] if text is None else text.split(",")
    whole = all(part.strip().isdecimal() and len(part) < 20 for part in parts)
    seeds = [int(part) for part in parts] if whole else []
    if not whole or len(set(seeds)) != len(seeds) or not all(seed < 2**32 for seed in seeds):
        raise click.BadParameter(
            f"got {text!r:.200}, expected different whole numbers below 2**32, such as 0,1,2"
        )
    return seeds


@click.command(short_help="Search: make or resume a run.")
@run_options
@log_options
@click.option(
    "--confirm",
    type=click.IntRange(0, MOST),
    default=0,
    metavar="N",
    help="After the search, train the N networks that matter, and the uniform ones, again with "
    "other seeds of the recipe.  [default: 0]",
)
@click.option(
    "--confirm-seeds",
    type=click.IntRange(1, MOST),
    default=3,
    show_default=True,
    metavar="S",
    help="With --confirm: training runs of each network.",
)
@click.option(
    "--seeds",
    metavar="LIST",
    callback=_parse_seeds,
    help="Seeds such as 0,1,2: a run for each, one after the other, and a summary of all.",
)
@click.option(
    "--dry-run",
    "is_dry",
    is_flag=True,
    help="Only say what the run would be and about how long it would take; store nothing.",
)
@general_options
def run(
    search: RunOptions,
    driver: DriverOptions,
    logs: LogOptions,
    confirm: int,
    confirm_seeds: int,
    seeds: list[int],
    is_dry: bool,
) -> None:
    """Search: make or resume a run of DEFINITION (a name of `moo-bnas definitions`, or a file).

    The same command resumes a run that was stopped at any moment and in any way, and the result is
    the same as without the stop. The default DEFINITION, digits, needs no download.

    \b
    Examples:
      moo-bnas run digits --mode pareto --workers 2
      moo-bnas run digits --mode pareto --workers 2 --confirm 4
      moo-bnas run mine.toml --set recipe.epochs=3 --max-flops 12M --dry-run
    """
    if is_dry:
        dry_run(search, driver)
        return
    search.definition()  # refused before a server is started for nothing
    with resumable(), logs.opened() as loggers, serving(driver) as served:
        if not seeds:
            _run(search, served, loggers, confirm, confirm_seeds)
            return
        from moo_bnas.output import write_whole
        from moo_bnas.report.files import make_folder
        from moo_bnas.results.seeds import joined

        stem = served.study_name or f"{search.definition().name}-{search.mode}"
        folder = served.out or default_out(f"{stem}-seeds")
        make_folder(folder)
        reports = []
        for seed in seeds:
            name = f"{stem}-s{seed}"
            out: Path | None = None if served.out is None else served.out / name
            one, its_driver = replace(search, seed=seed), replace(served, study_name=name, out=out)
            reports.append(_run(one, its_driver, loggers, confirm, confirm_seeds))
        together = joined(reports)
        path = folder / "seeds.json"
        write_whole(path, (json.dumps(together.as_document(), indent=1) + "\n").encode())
        show(f"\n{together.as_text()}\n\nwritten: {path}")


def _run(
    search: RunOptions, driver: DriverOptions, loggers: Loggers, confirm: int, confirm_seeds: int
) -> Report:
    """Makes or resumes one run, logs it, and writes and prints its report."""
    from moo_bnas.driver.confirmation import Confirmation
    from moo_bnas.driver.logged import SearchLog
    from moo_bnas.driver.search_loop import Driver
    from moo_bnas.report.confirmation import confirmation as confirmed
    from moo_bnas.report.files import write
    from moo_bnas.report.terminal import as_table
    from moo_bnas.results.points import collect
    from moo_bnas.runs import show_in_dashboard

    opened, folder = open_search(search, driver)
    confirmation = Confirmation(opened, confirm, confirm_seeds) if confirm else None
    log = SearchLog(opened, loggers) if loggers else None

    def drive(driving: Driver) -> None:
        if not opened.is_over:
            driving.drive()
        if confirmation is not None:
            driving.confirm(confirmation)

    if not (opened.is_over and (confirmation is None or confirmation.is_over)):
        drive_search(opened, folder, driver, drive, log.learned if log else None)
    if log:
        log.finish()
    collected = collect(opened.storage, opened.study.name)
    show_in_dashboard(opened.storage, collected)
    paths = write(collected, folder)
    show(as_table(collected))
    if lines := confirmed(collected):
        show("\n" + "\n".join(lines))
    if collected.failed:
        show(f"\n{count(collected.failed, 'candidate')} failed; `moo-bnas status` shows why")
    show("\n" + listing("written", paths))
    return collected
