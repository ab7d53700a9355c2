"""`moo-bnas worker`."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from moo_bnas.cli.choosing import choose_run
from moo_bnas.cli.options import (
    MOST,
    Numbers,
    artifacts_option,
    data_root_option,
    device_option,
    general_options,
    heartbeat_option,
    storage_option,
    study_option,
    wait_option,
)

if TYPE_CHECKING:
    from moo_bnas.definition import Definition
    from moo_bnas.worker import Evaluates


@click.command(short_help="Join a run and train its candidates.")
@storage_option
@wait_option
@study_option
@data_root_option
@artifacts_option
@device_option
@heartbeat_option
@click.option(
    "--stop-after", type=click.IntRange(1, MOST), metavar="N", help="Leave after N candidates."
)
@click.option(
    "--max-hours",
    type=Numbers(0, min_open=True),
    metavar="H",
    help="Start no candidate after H hours.",
)
@click.option(
    "--max-idle",
    type=Numbers(0, min_open=True),
    default=60,
    show_default=True,
    metavar="MINUTES",
    help="Leave after this long without work and without a driver.",
)
@click.option(
    "--only-final",
    is_flag=True,
    help="Train final networks only (`moo-bnas train`), no candidates.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, MOST),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes, one per GPU, that share each batch; more than one train final networks only.",
)
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
@general_options
def worker(
    storage_url: str,
    wait: bool,
    study_name: str | None,
    data_root: Path,
    artifacts_url: str | None,
    device: str,
    heartbeat: float,
    stop_after: int | None,
    max_hours: float | None,
    max_idle: float,
    only_final: bool,
    processes: int,
    until_stdin_closes: bool,
) -> None:
    """Join a run and train its candidates until it is over.

    It needs nothing but the storage and the data: the definition comes from the storage. Ctrl-C or
    SIGTERM returns at once what is being trained; after a kill, another worker takes it over.
    With --processes, it trains final networks on several GPUs.

    \b
    Examples:
      moo-bnas worker --storage postgresql://user@host/name --study-name digits-pareto-s0
      moo-bnas worker --study-name digits-pareto-s0 --processes 4
    """
    stop, loading = _stop_events(until_stdin_closes)

    from moo_bnas.definition import stored_definition
    from moo_bnas.storage import Storage
    from moo_bnas.storage.artifacts import join_artifacts

    storage = Storage(storage_url, wait=wait)
    study = storage.studies.open(choose_run(storage, study_name))
    definition = stored_definition(study.attributes["definition"])
    storage.rest()
    if definition.parent is not None:
        join_artifacts(study.attributes.get("artifacts"), artifacts_url, storage.url)

    only_final = only_final or processes > 1
    if only_final:
        definition.training()  # an evaluator of another package trains no final networks

    from moo_bnas.worker import Limits, WorkerOptions, work
    from moo_bnas.worker.own_evaluator import OwnEvaluator

    options = WorkerOptions(
        artifacts_url=artifacts_url,
        only_final=only_final,
        heartbeat=heartbeat,
        limits=Limits(
            candidates=stop_after,
            seconds=None if max_hours is None else max_hours * 3600,
            idle_seconds=max_idle * 60,
        ),
    )
    with ExitStack() as group_ends:
        loading.set()
        try:
            evaluator: Evaluates
            if definition.evaluator is not None:
                evaluator = OwnEvaluator(definition, device, data_root)
            else:
                evaluator = _trainer(definition, device, data_root, processes, stop, group_ends)
            if not only_final:
                evaluator.load("search")
            loading.clear()
        except KeyboardInterrupt:
            return  # nothing is claimed yet
        work(storage, study.name, evaluator, stop, options)


def _trainer(
    definition: Definition,
    device: str,
    data_root: Path,
    processes: int,
    stop: threading.Event,
    ends: ExitStack,
) -> Evaluates:
    """What trains networks here; a group of processes is dismissed once `ends` is closed."""
    # torch takes seconds to import: only who needs it waits for it
    from moo_bnas.training.evaluator import Evaluator
    from moo_bnas.training.followers import lead_group

    if processes == 1:
        return Evaluator(definition, device, data_root)
    group = ends.enter_context(lead_group(processes, definition, device, data_root))
    evaluator = Evaluator(definition, group.device(device), data_root, group)

    def dismiss(kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and not stop.is_set():  # else the others may be waiting within a step
            evaluator.dismiss()

    ends.push(dismiss)
    return evaluator


def _stop_events(until_stdin_closes: bool) -> tuple[threading.Event, threading.Event]:
    """Two events about being asked to stop.

    The first one is set once that happens. The second one is to be set while the worker loads its
    data: then being asked to stop also raises KeyboardInterrupt.
    """
    stop, loading = threading.Event(), threading.Event()

    def leave(number: int, frame: object) -> None:
        stop.set()
        if loading.is_set():  # decoding a large data set takes long
            raise KeyboardInterrupt

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, leave)
    if until_stdin_closes:  # which happens when the driver that started this worker dies

        def watch() -> None:
            while os.read(0, 1):  # sys.stdin would hold a lock that the exit of Python wants
                pass
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=watch, daemon=True).start()
    return stop, loading
