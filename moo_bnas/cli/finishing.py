"""What the commands that train networks to the end share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from moo_bnas.cli.driving import join_command, tell
from moo_bnas.cli.options import (
    Function,
    artifacts_option,
    data_root_option,
    default_out,
    device_option,
    heartbeat_option,
    storage_option,
    study_option,
)

if TYPE_CHECKING:
    from moo_bnas.definition import Definition
    from moo_bnas.driver.finals import Chosen, Finals
    from moo_bnas.driver.progress import FinalProgress
    from moo_bnas.storage import Trial

_OPTIONS = (
    click.argument("definition_name", metavar="[DEFINITION]", required=False),
    storage_option,
    study_option,
    click.option(
        "--epochs",
        type=click.IntRange(1),
        help="Instead of those of [final]; its milestones keep their shares.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(0),
        metavar="N",
        help="Local workers; 0: only those that join.  [default: one per GPU, else one per core, "
        "but no more than networks; 1 with --processes]",
    ),
    click.option(
        "--processes",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        metavar="N",
        help="Of each local worker, one a GPU: they share each batch (torchrun).",
    ),
    data_root_option,
    artifacts_option,
    device_option,
    heartbeat_option,
    click.option(
        "--restart",
        is_flag=True,
        help="Begin anew what failed or is not finished, and what has lost its model.",
    ),
    click.option(
        "--tensorboard",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help="Write event files there.",
    ),
    click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help="Where models go, a folder each.  [default: runs/<study>]",
    ),
)


def final_options(function: Function) -> Function:
    """All options that say whose final trainings these are, and who works."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def given_definition(options: dict[str, Any]) -> Definition | None:
    """The definition that was named, if any."""
    from moo_bnas.definition import load_definition

    name = options["definition_name"]
    return None if name is None else load_definition(name)


def open_final(options: dict[str, Any], given: Definition | None, *, create: bool = True) -> Finals:
    """Opens the final trainings that the options name; `create`: they need no search before."""
    from moo_bnas.driver.finals import open_finals

    return open_finals(
        options["storage_url"],
        options["study_name"],
        given,
        options["artifacts_url"],
        options["epochs"],
        create=create,
        restart=options["restart"],
    )


def train_all(finals: Finals, chosen: Sequence[Chosen], options: dict[str, Any]) -> None:
    """Trains networks to the end, writes their models, and says how good they are."""
    from moo_bnas.driver.display import Display
    from moo_bnas.driver.final_loop import FinalDriver
    from moo_bnas.driver.finals import fetch, folder_name, restart, title_of, trials_of
    from moo_bnas.driver.lease import driver_lease
    from moo_bnas.driver.local_workers import LocalWorkers, default_devices
    from moo_bnas.driver.tensorboard import EventFiles
    from moo_bnas.report.files import make_folder

    folder = options["out"] or default_out(finals.run.name)
    make_folder(folder)
    events = EventFiles(options["tensorboard"]) if options["tensorboard"] else None
    with driver_lease(finals.storage, finals.study, tell, options["heartbeat"]) as renew_lease:
        if options["restart"]:
            restart(finals, chosen)
        ended = [t for t in trials_of(finals, chosen) if t.state in ("complete", "fail")]
        left = len(chosen) - len(ended)
        count, device = options["workers"], options["device"]
        if options["processes"] > 1:  # each process takes the device of its number
            devices = [device] * (1 if count is None else count)
        else:
            devices = default_devices(count, device)
        devices = devices[:left]
        local = LocalWorkers(
            options["storage_url"],
            finals.run.name,
            devices,
            options["heartbeat"],
            options["data_root"],
            folder,
            only_final=True,
            processes=options["processes"],
        )
        if left:
            tell(
                f"study {finals.study.name} in {finals.storage.shown_url}, {left} to train for "
                f"{finals.definition.final_recipe().epochs} epochs, {len(devices)} local workers"
            )
            if not devices:
                tell(f"waiting for workers: {join_command(finals.storage, finals.run)}")
        with Display() as display:

            def show(progress: FinalProgress) -> None:
                display.show(progress)
                if events:
                    events.write(progress)

            try:
                if left:
                    local.start()
                trials = FinalDriver(finals, local, show, renew_lease).train(chosen)
            finally:
                local.stop()
    titles = [title_of(finals, *each) for each in chosen]
    paths = [
        fetch(finals, trial, folder / folder_name(title))
        for title, trial in zip(titles, trials, strict=True)
    ]
    if events:
        for title, trial in zip(titles, trials, strict=True):
            events.end(title, trial)
    click.echo(_table(titles, trials, paths))


def _table(titles: Sequence[str], trials: Sequence[Trial], paths: Sequence[Path]) -> str:
    from moo_bnas.units import quantity

    wide = max(len(title) for title in [*titles, "network"])
    lines = [f"{'network':<{wide}}  {'test top-1':>10}  {'top-5':>8}  {'FLOPs':>9}  model"]
    for title, trial, path in zip(titles, trials, paths, strict=True):
        found = trial.result
        lines.append(
            f"{title:<{wide}}  {found.accuracy:>8.2f} %  {found.top5:>6.2f} %  "
            f"{quantity(trial.costs['flops']):>9}  {path}"
        )
    return "\n".join(lines)
