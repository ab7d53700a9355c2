"""`moo-bnas worker`."""

from __future__ import annotations

import os
import signal
import threading

import click

from moo_bnas.cli.options import device_option, general_options, storage_option, study_option


@click.command(short_help="Join a run and train its candidates.")
@storage_option
@study_option
@device_option
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
@general_options
def worker(storage_url: str, study_name: str | None, device: str, until_stdin_closes: bool) -> None:
    """Join a run and train its candidates until it is over.

    It needs nothing but the storage: the definition comes from there. Ctrl-C or SIGTERM gives back
    what is being trained.

    \b
    Example:
      moo-bnas worker --storage sqlite:///moo-bnas.db --study-name digits-pareto-s0
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if until_stdin_closes:  # which happens when the driver that started this worker dies

        def watch() -> None:
            while os.read(0, 1):  # sys.stdin would hold a lock that the exit of Python wants
                pass
            stop.set()

        threading.Thread(target=watch, daemon=True).start()

    from moo_bnas.storage import Storage

    storage = Storage(storage_url)
    study = storage.studies.open(study_name or storage.studies.only())

    from moo_bnas.worker import work  # torch takes seconds: a wrong name is told before

    work(storage, study.name, device, stop)
