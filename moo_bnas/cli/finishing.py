"""What the commands that train networks to the end share: which recipe, training, the files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from moo_bnas.cli.choosing import choose_run
from moo_bnas.cli.driving import DriverOptions, announce, driver_options, notify, working
from moo_bnas.cli.options import MOST, default_out, options_as
from moo_bnas.output import listing, show
from moo_bnas.units import count

if TYPE_CHECKING:
    from moo_bnas.definition import Definition
    from moo_bnas.driver.finals import Chosen, Finals
    from moo_bnas.driver.progress import FinalProgress
    from moo_bnas.loggers import Loggers
    from moo_bnas.storage import Trial
    from moo_bnas.subject import AnyCost


@dataclass(frozen=True)
class FinalOptions:
    """How networks are trained to the end, as the options of a command say.

    Attributes:
        definition_name: Name or path of the definition; None: as the run was begun.
        epochs: Epochs instead of those of [final].
        processes: Processes per local worker.
        restart: Whether to train from scratch what failed, is not finished, or lost its model.
    """

    definition_name: str | None
    epochs: int | None
    processes: int
    restart: bool

    def definition(self) -> Definition | None:
        """The definition that was named, if any.

        Raises:
            DefinitionError: Where it is missing or wrong, or cannot be trained for such epochs.
        """
        from moo_bnas.definition import load_definition
        from moo_bnas.driver.final_definition import lasting

        if self.definition_name is None:
            return None
        definition = load_definition(self.definition_name)
        lasting(definition, self.epochs)  # refuses what cannot be before anything is made
        return definition


def final_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of `FinalOptions`, given as `final`, and those of `DriverOptions`."""
    final = options_as(
        "final",
        FinalOptions,
        click.argument("definition_name", metavar="[DEFINITION]", required=False),
        click.option(
            "--epochs",
            type=click.IntRange(1, MOST),
            help="Epochs instead of those of [final]; its milestones move in proportion.",
        ),
        click.option(
            "--processes",
            type=click.IntRange(1, MOST),
            default=1,
            show_default=True,
            metavar="N",
            help="Processes per local worker, one per GPU, that share each batch.",
        ),
        click.option(
            "--restart",
            is_flag=True,
            help="Train from scratch what failed, is not finished, or has lost its model.",
        ),
    )
    driver = driver_options(
        study="Name of the run.  [default: that of DEFINITION, else the latest]",
        workers="one per GPU, else one per core, but no more than networks; 1 with --processes",
        out="Folder for the models, with a folder for each.",
    )
    decorated: Callable[..., Any] = final(driver(command))
    return decorated


def open_final(
    final: FinalOptions, driver: DriverOptions, given: Definition | None, *, create: bool = True
) -> Finals:
    """Opens the final training runs that the options name.

    Args:
        final: Options of the command.
        driver: Options of the command.
        given: What `final.definition` returned.
        create: Make the run where it is missing and a definition is given: its networks need no
            search before.
    """
    from moo_bnas.driver.final_definition import definition_in_effect, find_run
    from moo_bnas.driver.finals import open_finals
    from moo_bnas.driver.run import default_name
    from moo_bnas.report.files import make_folder
    from moo_bnas.storage import Storage

    if driver.out is not None:
        make_folder(driver.out)  # before a storage is made for nothing
    driver.check_torch()  # before a study is made for nothing, too
    artifacts = driver.artifacts_url
    if create and given is not None:
        driver.check_data(given, driver.study_name or default_name(given), "final")
    storage = Storage(driver.storage_url, create=create and given is not None, wait=driver.wait)
    name = driver.study_name if given is not None else choose_run(storage, driver.study_name)
    run = find_run(storage, name, given, artifacts, create=create)
    definition = definition_in_effect(storage, run, given, final.epochs)
    return open_finals(storage, run, definition, artifacts, restart=final.restart)


def train_all(
    finals: Finals,
    chosen: Sequence[Chosen],
    final: FinalOptions,
    driver: DriverOptions,
    loggers: Loggers,
) -> None:
    """Trains networks to the end, writes their models, and prints their test accuracies."""
    from moo_bnas.driver.final_loop import FinalDriver
    from moo_bnas.driver.finals import folder_name
    from moo_bnas.driver.lease import driver_lease
    from moo_bnas.driver.local_workers import LocalWorkers
    from moo_bnas.driver.logged import FinalLog
    from moo_bnas.report.files import make_folder, write
    from moo_bnas.results.points import collect
    from moo_bnas.runs import show_in_dashboard

    folder = driver.out or default_out(finals.run.name)
    make_folder(folder)
    log = FinalLog(finals, chosen, loggers) if loggers else None
    local = driver.local(folder, only_final=True, processes=final.processes)
    with driver_lease(finals.storage, finals.study, notify, local.heartbeat) as renew_lease:
        if final.restart:
            finals.restart(chosen)
        left = len(chosen) - sum(t.state in ("complete", "fail") for t in finals.trials(chosen))
        local = replace(local, devices=local.devices[:left])
        if left:
            epochs = finals.definition.final_recipe().epochs
            note = f"{left} to train for {count(epochs, 'epoch')}"
            announce(finals.storage, finals.study, finals.run, local, note)
        workers = LocalWorkers(finals.run.name, local)
        with working(workers) as display:

            def show_progress(progress: FinalProgress) -> None:
                display.show(progress)
                if log:
                    log.progressed(progress)

            trials = FinalDriver(finals, workers, show_progress, renew_lease).train(chosen)
    titles = [finals.title(*each) for each in chosen]
    paths = [
        finals.fetch(trial, folder / folder_name(title))
        for title, trial in zip(titles, trials, strict=True)
    ]
    if log:
        for title, trial in zip(titles, trials, strict=True):
            log.ended(title, trial.result)
    files = {
        f"{path.parent.name}.safetensors": trial.result.kept
        for path, trial in zip(paths, trials, strict=True)
    }
    finals.storage.dashboard.add_files(finals.study, files)
    show(_table(finals.definition.cost, titles, trials, paths))
    collected = collect(finals.storage, finals.run.name)
    show_in_dashboard(finals.storage, collected)
    written = write(collected, default_out(finals.run.name))
    show("\n" + listing("the report is up to date", written))


def _table(
    cost: AnyCost, titles: Sequence[str], trials: Sequence[Trial], paths: Sequence[Path]
) -> str:
    wide = max(len(title) for title in [*titles, "network"])
    lines = [f"{'network':<{wide}}  {'test top-1':>10}  {'top-5':>8}  {cost.title:>9}  model"]
    for title, trial, path in zip(titles, trials, paths, strict=True):
        found = trial.result
        lines.append(
            f"{title:<{wide}}  {found.accuracy:>8.2f} %  {found.top5:>6.2f} %  "
            f"{cost.amount(trial.costs[cost.name]):>9}  {path}"
        )
    return "\n".join(lines)
