"""What the commands that drive a search share: their options, opening the run, and driving it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moo_bnas.cli.driving import DriverOptions, announce, driver_options, notify, working
from moo_bnas.cli.options import (
    LATENCIES,
    MOST,
    Amounts,
    Numbers,
    PathType,
    default_out,
    options_as,
    parse_ratios,
)
from moo_bnas.output import one_line, show
from moo_bnas.units import count

if TYPE_CHECKING:
    from moo_bnas.definition import Definition
    from moo_bnas.driver.run import Run
    from moo_bnas.driver.search_loop import Driver
    from moo_bnas.evolution.scoring import Mode
    from moo_bnas.storage import Trial

Result = TypeVar("Result")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunOptions:
    """Which search a command is about, as its options say; None: as the definition says.

    Attributes:
        definition_name: Name or path of the definition.
        mode: Scalar or pareto.
        population: Candidates per generation.
        generations: Number of generations.
        schedule: When candidates are proposed: barrier or steady.
        max_evaluations: Number of candidates after which the search ends.
        max_hours: Hours after which no candidate is begun.
        plateau: Evaluations without progress after which the search ends.
        start_with: Ratios of networks that are evaluated first, joined by commas.
        source: Name of the run whose evaluations a new run takes over.
        seed: Seed of the search.
        model: Model that screens candidates: gp or none.
        trade_off: Lambda of the fitness.
        cost: What accuracy is weighed against: flops or latency.
        latency_table: File of a latency table.
        max_flops: Limit on the FLOPs of a candidate.
        max_memory: Limit on the memory of a candidate, in bits.
        max_latency: Limit on the latency of a candidate, in milliseconds.
        settings: `SECTION.KEY=VALUE` for any other key of the definition.
    """

    definition_name: str
    mode: Mode
    population: int | None
    generations: int | None
    schedule: str | None
    max_evaluations: int | None
    max_hours: float | None
    plateau: int | None
    start_with: tuple[str, ...]
    source: str | None
    seed: int
    model: str | None
    trade_off: float | None
    cost: str | None
    latency_table: Path | None
    max_flops: float | None
    max_memory: float | None
    max_latency: float | None
    settings: tuple[str, ...]

    def definition(self) -> Definition:
        """The definition, with the limits that were given instead of its own.

        Raises:
            DefinitionError: Where it is missing or wrong.
        """
        from moo_bnas.definition import load_definition
        from moo_bnas.networks.latency_file import read_table
        from moo_bnas.overrides import override, with_keys, with_latency

        definition = load_definition(self.definition_name)
        if self.latency_table is not None:
            definition = with_latency(definition, read_table(self.latency_table))
        return override(
            with_keys(definition, self.settings),
            population=self.population,
            generations=self.generations,
            schedule=self.schedule,
            max_evaluations=self.max_evaluations,
            max_hours=self.max_hours,
            plateau=self.plateau,
            start_with=[parse_ratios(text) for text in self.start_with] or None,
            model=self.model,
            trade_off=self.trade_off,
            cost=self.cost,
            max_flops=self.max_flops,
            max_memory=self.max_memory,
            max_latency=self.max_latency,
        )


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of `RunOptions`, given as `search`, and those of `DriverOptions`."""
    search = options_as(
        "search",
        RunOptions,
        click.argument("definition_name", metavar="[DEFINITION]", default="digits"),
        click.option(
            "--mode",
            type=click.Choice(["scalar", "pareto"]),
            default="pareto",
            show_default=True,
            help="scalar: the paper's fitness (GA); pareto: accuracy against cost (NSGA-II).",
        ),
        click.option(
            "--population", type=click.IntRange(2, MOST), help="Candidates per generation."
        ),
        click.option(
            "--generations",
            type=click.IntRange(1, MOST),
            help="Number of generations; may be raised later.",
        ),
        click.option(
            "--schedule",
            type=click.Choice(["barrier", "steady"]),
            help="barrier: a generation after the other; steady: every finished evaluation makes "
            "room for a new one, which keeps uneven workers busy.",
        ),
        click.option(
            "--max-evaluations",
            type=click.IntRange(1, MOST),
            metavar="N",
            help="End after this many candidates, whatever the workers; may be raised later.",
        ),
        click.option(
            "--max-hours",
            type=Numbers(0, min_open=True),
            metavar="H",
            help="Begin no candidate once the run was driven for so long; may be raised later.",
        ),
        click.option(
            "--plateau",
            type=click.IntRange(1, MOST),
            metavar="N",
            help="End once N evaluations have raised the hypervolume, or best fitness, by less "
            "than a thousandth; may be raised later.",
        ),
        click.option(
            "--start-with",
            multiple=True,
            metavar="RATIOS",
            help="Ratios of a network that is evaluated first, such as 1,0.5,2,1,1,4; repeatable.",
        ),
        click.option(
            "--from",
            "source",
            metavar="STUDY",
            help="Begin with what another run in the same storage found: its evaluations or, if "
            "they are of another recipe, data or network, a prior mean for the model.",
        ),
        click.option(
            "--seed",
            type=click.IntRange(0, 2**32 - 1),
            default=0,
            show_default=True,
            help="Seed of the search.",
        ),
        click.option(
            "--model",
            type=click.Choice(["gp", "none"]),
            help="Model that screens candidates: a Gaussian process, or none.",
        ),
        click.option(
            "--trade-off",
            type=Numbers(0),
            help="Weight of the cost in the fitness: lambda of Eq. 4.",
        ),
        click.option(
            "--cost",
            type=click.Choice(["flops", "latency"]),
            help="What accuracy is weighed against; latency needs --latency-table.",
        ),
        click.option(
            "--latency-table",
            type=PathType(),
            metavar="FILE",
            help="Latencies of layers, as `moo-bnas latency` measured them; stored with the run.",
        ),
        click.option(
            "--max-flops",
            type=Amounts({"FLOPs": 1}),
            metavar="X",
            help="Train no candidate above this many FLOPs, such as 12M.",
        ),
        click.option(
            "--max-memory",
            type=Amounts({"bit": 1, "B": 8}),
            metavar="X",
            help="Train no candidate above this many bits of weights, such as 40kbit or 5kB.",
        ),
        click.option(
            "--max-latency",
            type=Amounts(LATENCIES),
            metavar="X",
            help="Train no candidate above this latency, such as 0.5ms; needs --latency-table.",
        ),
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="KEY=VALUE",
            help="Replace any key of the definition, as in recipe.epochs=3; repeatable.",
        ),
    )
    driver = driver_options(
        study="Name of the run.  [default: <definition>-<mode>-s<seed>]",
        workers="one per GPU, else one per core",
        out="Folder for the report.",
    )
    decorated: Callable[..., Any] = search(driver(command))
    return decorated


def open_search(search: RunOptions, driver: DriverOptions) -> tuple[Run, Path]:
    """Makes or opens the run that the options name, and the folder of its report.

    Raises:
        DefinitionError: Where the run or the folder cannot be made.
        StorageError: Where the storage cannot be opened.
    """
    from moo_bnas.driver.run import check_run, default_name, open_run
    from moo_bnas.driver.warm_start import known_before
    from moo_bnas.report.files import make_folder
    from moo_bnas.storage import Storage

    definition, mode, seed = search.definition(), search.mode, search.seed
    name = driver.study_name or default_name(definition, mode, seed)
    check_run(name, definition, mode, seed)  # before a storage is made for nothing
    driver.check_data(definition, name, "search")
    folder = driver.out or default_out(name)
    make_folder(folder)  # before a storage is made for nothing, too
    storage = Storage(driver.storage_url, create=True, wait=driver.wait)
    run = open_run(storage, name, definition, mode, seed, driver.artifacts_url, search.source)
    if before := known_before(run.study):
        source = one_line(str(run.study.attributes.get("from")))
        show(
            f"the model begins with {count(len(before), 'evaluation')} of {source:.200}, which has "
            "another recipe, data or network"
        )
    return run, folder


def drive_search(
    run: Run,
    folder: Path,
    options: DriverOptions,
    task: Callable[[Driver], Result],
    learned: Callable[[Sequence[Trial]], None] | None = None,
) -> Result:
    """Does something with the driver of a run, while local workers serve it; see `Driver`."""
    from moo_bnas.driver.lease import driver_lease
    from moo_bnas.driver.local_workers import LocalWorkers
    from moo_bnas.driver.search_loop import Driver

    local, population = options.local(folder), run.definition.search.population
    count = len(local.devices)
    if count > population:
        log.warning("%d workers for a population of %d: some will be idle", count, population)
    with driver_lease(run.storage, run.study, notify, local.heartbeat) as renew_lease:
        announce(run.storage, run.study, run.study, local)
        workers = LocalWorkers(run.study.name, local)
        with working(workers) as display:
            done = task(Driver(run, workers, display.show, renew_lease, learned))
        if options.serve:
            from moo_bnas.driver.server import let_workers_leave

            let_workers_leave(run.storage, run.study)
        return done
