"""`moo-bnas run`."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from moo_bnas.cli.options import (
    data_root_option,
    default_out,
    device_option,
    general_options,
    heartbeat_option,
    out_option,
    storage_option,
)

if TYPE_CHECKING:
    from moo_bnas.driver import Run

log = logging.getLogger(__name__)


@click.command(short_help="Search: make or resume a run.")
@click.argument("definition_name", metavar="[DEFINITION]", default="digits")
@click.option(
    "--mode",
    type=click.Choice(["scalar", "pareto"]),
    default="pareto",
    show_default=True,
    help="The paper's fitness with a GA, or NSGA-II on accuracy against FLOPs.",
)
@storage_option
@click.option(
    "--study-name",
    metavar="NAME",
    help="Name of the run.  [default: <definition>-<mode>-s<seed>]",
)
@click.option(
    "--workers",
    type=click.IntRange(0),
    metavar="N",
    help="Local workers; 0: only those that join.  [default: one per GPU, else one per core]",
)
@data_root_option
@device_option
@heartbeat_option
@click.option("--population", type=click.IntRange(2), help="Candidates a generation.")
@click.option("--generations", type=click.IntRange(1), help="Generations; may be raised later.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the search.")
@click.option("--trade-off", type=click.FloatRange(0), help="Lambda of the fitness.")
@click.option("--max-flops", type=float, help="No candidate above this many FLOPs.")
@click.option("--max-memory", type=float, help="No candidate above this many bits of weights.")
@out_option
@general_options
def run(
    definition_name: str,
    mode: Any,
    storage_url: str,
    study_name: str | None,
    workers: int | None,
    data_root: Path,
    device: str,
    heartbeat: float,
    population: int | None,
    generations: int | None,
    seed: int,
    trade_off: float | None,
    max_flops: float | None,
    max_memory: float | None,
    out: Path | None,
) -> None:
    """Search: make or resume a run of DEFINITION (a name of `moo-bnas studies`, or a file).

    The same command resumes a run that was stopped, at any moment and in any way, and its result is
    the one that it would have had. The default DEFINITION, digits, needs no download.

    \b
    Example:
      moo-bnas run digits --mode pareto --workers 2
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        from moo_bnas.definition import load_definition, override
        from moo_bnas.driver import open_run
        from moo_bnas.local_workers import default_devices
        from moo_bnas.report import as_table, collect, make_folder, write

        definition = override(
            load_definition(definition_name),
            population=population,
            generations=generations,
            trade_off=trade_off,
            max_flops=max_flops,
            max_memory=max_memory,
        )
        name = study_name or f"{definition.name}-{mode}-s{seed}"
        folder = out or default_out(name)
        make_folder(folder)
        opened = open_run(storage_url, name, definition, mode, seed)
        storage = opened.storage
        if not opened.is_over:
            devices = default_devices(workers, device)
            _drive(opened, storage_url, devices, heartbeat, data_root, folder)
        collected = collect(storage, name)
        paths = write(collected, folder)
        click.echo(as_table(collected))
        if collected.failed:
            click.echo(f"\n{collected.failed} candidates failed; `moo-bnas status` tells why")
        click.echo("\nwritten: " + ", ".join(str(p) for p in paths))
    except KeyboardInterrupt:
        again = shlex.join(["moo-bnas", *sys.argv[1:]])
        tell(f"interrupted; nothing is lost, go on with: {again}")
        raise


def _drive(
    run: Run,
    storage_url: str,
    devices: list[str],
    heartbeat: float,
    data_root: Path,
    log_folder: Path,
) -> None:
    """Drives a run to its end, with a local worker on each device."""
    from moo_bnas.driver import Driver
    from moo_bnas.lease import driver_lease
    from moo_bnas.local_workers import LocalWorkers
    from moo_bnas.progress import Display

    name, population = run.study.name, run.definition.search.population
    if len(devices) > population:
        log.warning("%d workers for a population of %d: some will idle", len(devices), population)
    shown_url = run.storage.shown_url
    tell(f"study {name} in {shown_url}, {len(devices)} local workers")
    if not devices:
        join = shlex.join(["moo-bnas", "worker", "--storage", shown_url, "--study-name", name])
        tell(f"waiting for workers: {join}")
    local = LocalWorkers(storage_url, name, devices, heartbeat, data_root, log_folder)
    lease = driver_lease(run.storage, run.study, tell, heartbeat)
    with lease as renew_lease, Display() as display:
        try:
            local.start()
            Driver(run, local, display.show, renew_lease).drive()
        finally:
            local.stop()


def tell(line: str) -> None:
    """Prints a line for people, beside what a pipe reads."""
    click.echo(line, err=True)


def _interrupt(number: int, frame: object) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):  # a second one must not disturb the cleaning up
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt
