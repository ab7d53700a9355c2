"""What the commands that drive a run share: their options, local workers, and how they end."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moo_bnas.cli.options import (
    Function,
    artifacts_option,
    data_root_option,
    default_out,
    device_option,
    heartbeat_option,
    out_option,
    storage_option,
)
from moo_bnas.passwords import STORAGE_VARIABLE

if TYPE_CHECKING:
    from moo_bnas.driver.run import Run
    from moo_bnas.driver.search_loop import Driver
    from moo_bnas.storage import Storage, Study

Result = TypeVar("Result")

log = logging.getLogger(__name__)

_OPTIONS = (
    click.argument("definition_name", metavar="[DEFINITION]", default="digits"),
    click.option(
        "--mode",
        type=click.Choice(["scalar", "pareto"]),
        default="pareto",
        show_default=True,
        help="The paper's fitness with a GA, or NSGA-II on accuracy against FLOPs.",
    ),
    storage_option,
    click.option(
        "--study-name",
        metavar="NAME",
        help="Name of the run.  [default: <definition>-<mode>-s<seed>]",
    ),
    click.option(
        "--workers",
        type=click.IntRange(0),
        metavar="N",
        help="Local workers; 0: only those that join.  [default: one per GPU, else one per core]",
    ),
    data_root_option,
    artifacts_option,
    device_option,
    heartbeat_option,
    click.option("--population", type=click.IntRange(2), help="Candidates a generation."),
    click.option("--generations", type=click.IntRange(1), help="Generations; may be raised later."),
    click.option(
        "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the search."
    ),
    click.option("--trade-off", type=click.FloatRange(0), help="Lambda of the fitness."),
    click.option("--max-flops", type=float, help="No candidate above this many FLOPs."),
    click.option("--max-memory", type=float, help="No candidate above this many bits of weights."),
    out_option,
)


def run_options(function: Function) -> Function:
    """All options that say which run it is, where it is kept, and who works."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@contextmanager
def resumable() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block in order, and it is told how to go on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        again = shlex.join(["moo-bnas", *sys.argv[1:]])
        tell(f"interrupted; nothing is lost, go on with: {again}")
        raise


def prepare(options: dict[str, Any]) -> tuple[Run, Path]:
    """Makes or opens the run that the options name, and the folder of its report.

    Args:
        options: The values of `run_options`, by name.
    """
    from moo_bnas.definition import load_definition, override
    from moo_bnas.driver.run import open_run
    from moo_bnas.report.files import make_folder

    limits = ("population", "generations", "trade_off", "max_flops", "max_memory")
    definition = override(
        load_definition(options["definition_name"]), **{name: options[name] for name in limits}
    )
    mode, seed = options["mode"], options["seed"]
    name = options["study_name"] or f"{definition.name}-{mode}-s{seed}"
    folder = options["out"] or default_out(name)
    run = open_run(options["storage_url"], name, definition, mode, seed, options["artifacts_url"])
    make_folder(folder)
    return run, folder


def with_workers(
    run: Run, folder: Path, options: dict[str, Any], task: Callable[[Driver], Result]
) -> Result:
    """Does something with the driver of a run, while local workers serve it."""
    from moo_bnas.driver.display import Display
    from moo_bnas.driver.lease import driver_lease
    from moo_bnas.driver.local_workers import LocalWorkers, default_devices
    from moo_bnas.driver.search_loop import Driver

    name, population = run.study.name, run.definition.search.population
    devices = default_devices(options["workers"], options["device"])
    if len(devices) > population:
        log.warning("%d workers for a population of %d: some will idle", len(devices), population)
    heartbeat = options["heartbeat"]
    local = LocalWorkers(
        options["storage_url"], name, devices, heartbeat, options["data_root"], folder
    )
    with driver_lease(run.storage, run.study, tell, heartbeat) as renew_lease:
        tell(f"study {name} in {run.storage.shown_url}, {len(devices)} local workers")
        if not devices:
            tell(f"waiting for workers: {join_command(run.storage, run.study)}")
        with Display() as display:
            try:
                local.start()
                return task(Driver(run, local, display.show, renew_lease))
            finally:
                local.stop()


def join_command(storage: Storage, study: Study) -> str:
    """How a worker joins, to be pasted; where there is a password, after it was put in."""
    url, command = storage.shown_url, ["moo-bnas", "worker"]
    if "***" not in url:
        return shlex.join([*command, "--storage", url, "--study-name", study.name])
    joined = shlex.join([*command, "--study-name", study.name])
    return f"{STORAGE_VARIABLE}={shlex.quote(url)} {joined}  (with the password instead of ***)"


def tell(line: str) -> None:
    """Prints a line for people, beside what a pipe reads."""
    click.echo(line, err=True)


def _interrupt(number: int, frame: object) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):  # a second one must not disturb the cleaning up
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt
