"""What the commands that drive a run share: their options, local workers, and how they end."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from moo_bnas.cli.needs import needs_of, needs_rows, needs_warning
from moo_bnas.cli.options import (
    MOST,
    PathType,
    artifacts_option,
    data_root_option,
    device_option,
    heartbeat_option,
    options_as,
    storage_option,
    wait_option,
)
from moo_bnas.output import one_line, show
from moo_bnas.passwords import STORAGE_VARIABLE, hide_password
from moo_bnas.units import count

if TYPE_CHECKING:
    from moo_bnas.data import Purpose
    from moo_bnas.definition import Definition
    from moo_bnas.driver.display import Display
    from moo_bnas.driver.local_workers import LocalOptions, LocalWorkers
    from moo_bnas.storage import Storage, Study


SERVER_FOLDER = Path("moo-bnas-server")
"""Folder of the private database server, in the current folder as the default storage is."""


def _check_host(context: click.Context, parameter: click.Parameter, host: str | None) -> str | None:
    if host == "":
        raise click.BadParameter("got nothing, expected an address or name of this machine")
    return host


serve_host_option = click.option(
    "--serve-host",
    metavar="ADDRESS",
    callback=_check_host,
    help="With --serve: address or name of this machine to listen on, for workers elsewhere.  "
    "[default: 127.0.0.1, this machine only]",
)


@dataclass(frozen=True)
class DriverOptions:
    """Where a run is kept, and who works on it, as the options of a command say.

    Attributes:
        storage_url: URL of the storage.
        wait: Whether to wait for a server that is down.
        study_name: Name of the run; None: the command's default.
        artifacts_url: Where weights are kept; None: where the run has kept them so far.
        workers: Number of local workers; None: one per GPU or core.
        device: `auto`, or the device of all local workers.
        heartbeat: Seconds between two signs of life, of the driver and of its workers.
        data_root: Folder of data sets.
        out: Folder of what is written; None: the default for the run.
        serve: Whether to start a database server, which is the storage then.
        serve_host: Address for that server to listen on; None: the loopback interface.
    """

    storage_url: str
    wait: bool
    study_name: str | None
    artifacts_url: str | None
    workers: int | None
    device: str
    heartbeat: float
    data_root: Path
    out: Path | None
    serve: bool
    serve_host: str | None

    def __post_init__(self) -> None:
        """Refuses a device that this machine does not have, before anything is made."""
        from moo_bnas.driver.local_workers import check_local_device

        if self.workers != 0 and self.device.startswith("cuda"):
            check_local_device(self.device)

    def check_data(self, definition: Definition, name: str, purpose: Purpose) -> None:
        """Looks at the data of a run that is not stored yet: faults of them leave no study behind.

        They are read as the first local worker would read them, which then finds them decoded.
        Without local workers they need not be on this machine.

        Raises:
            DataError: If they are missing or broken.
            MissingPackageError: If local workers have no torch.
        """
        from moo_bnas.errors import StorageEmptyError
        from moo_bnas.storage import Storage

        if self.workers == 0:
            return
        if definition.evaluator is None:
            self.check_torch()
        try:
            if Storage(self.storage_url, wait=self.wait).studies.find(name) is not None:
                return
        except StorageEmptyError:
            pass
        if definition.data is not None:
            needs = needs_of(definition.data, self.data_root, definition.seed)
            for title, text in needs_rows(needs):
                notify(f"data of {'final training' if title == 'final' else 'the search'}: {text}")
            if definition.final and (warning := needs_warning(needs, self.data_root)):
                notify(warning)
            definition.data.load(self.data_root, definition.seed, purpose)

    def local(
        self, log_folder: Path, *, only_final: bool = False, processes: int = 1
    ) -> LocalOptions:
        """How local workers are to be started."""
        from moo_bnas.driver.local_workers import LocalOptions, local_devices

        return LocalOptions(
            storage_url=self.storage_url,
            devices=local_devices(self.workers, self.device, processes),
            data_root=self.data_root,
            log_folder=log_folder,
            heartbeat=self.heartbeat,
            only_final=only_final,
            processes=processes,
            artifacts_url=self.artifacts_url,
        )

    def check_torch(self) -> None:
        """Refuses local workers where there is no torch.

        Raises:
            MissingPackageError: If there are to be any.
        """
        from moo_bnas.extras import need

        if self.workers != 0:
            need("torch", "a local worker", "give --workers 0 for workers on other machines")


def driver_options(*, study: str, workers: str, out: str) -> Callable[[Any], Any]:
    """A decorator that adds the options of `DriverOptions`, which the command gets as `driver`.

    Args:
        study: Help of --study-name.
        workers: Default of --workers, in words.
        out: Help of --out.
    """
    return options_as(
        "driver",
        DriverOptions,
        storage_option,
        wait_option,
        click.option("--study-name", metavar="NAME", help=study),
        click.option(
            "--workers",
            type=click.IntRange(0, MOST),
            metavar="N",
            help=f"Number of local workers; 0 waits for others to join.  [default: {workers}]",
        ),
        data_root_option,
        artifacts_option,
        device_option,
        heartbeat_option,
        click.option(
            "--out",
            type=PathType(folder=True),
            metavar="FOLDER",
            help=f"{out}  [default: runs/<study>]",
        ),
        click.option(
            "--serve",
            is_flag=True,
            help=f"Start a private PostgreSQL in {SERVER_FOLDER}/, as the storage of all runs of "
            "this folder; it stops with the last command that has this option.",
        ),
        serve_host_option,
    )


@contextmanager
def serving(driver: DriverOptions) -> Iterator[DriverOptions]:
    """With --serve, a database server runs during the block, and is the storage."""
    if driver.serve_host is not None and not driver.serve:
        raise click.UsageError("got --serve-host without --serve; give both")
    if not driver.serve:
        yield driver
        return
    from moo_bnas.driver import server

    given = click.get_current_context().get_parameter_source("storage_url")
    with server.serving(SERVER_FOLDER, driver.serve_host or server.LOOPBACK) as url:
        if given is not click.core.ParameterSource.DEFAULT and driver.storage_url != url:
            raise click.UsageError(
                f"got --serve and the storage {hide_password(driver.storage_url)}; give one of "
                f"them, and unset {STORAGE_VARIABLE} if it names that storage"
            )
        announce_server(url)
        yield replace(driver, storage_url=url)


def announce_server(url: str) -> None:
    """Prints where a server is, without its password, and where its whole URL is."""
    place = shlex.quote(str(server_url_file()))
    notify(f"serving {hide_password(url)}; for other commands and machines:")
    notify(f'  export {STORAGE_VARIABLE}="$(cat {place})"')


def server_url_file() -> Path:
    """The file that has the URL of the server of this folder."""
    from moo_bnas.driver.server import url_file

    return url_file(SERVER_FOLDER.absolute())


@contextmanager
def resumable() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block in an orderly way, and print how to resume."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        again = shlex.join(["moo-bnas", *sys.argv[1:]])
        notify(f"interrupted; nothing is lost, resume with: {again}")
        raise


def announce(
    storage: Storage, driven: Study, joined: Study, local: LocalOptions, note: str = ""
) -> None:
    """Prints what is driven and who works on it; without local workers, how others join.

    Args:
        storage: Storage that holds both studies.
        driven: Study that is driven.
        joined: Study that workers join.
        local: Local workers that will be started.
        note: What there is to do; may be empty.
    """
    workers = count(len(local.devices), "local worker")
    where = f"study {driven.name} in {storage.shown_url}"
    notify(", ".join(part for part in (where, note, workers) if part))
    if not local.devices:
        notify(f"waiting for workers: {_join_command(storage, joined)}")


@contextmanager
def working(local: LocalWorkers) -> Iterator[Display]:
    """Local workers run, and progress is displayed, until the block ends in whichever way."""
    from moo_bnas.driver.display import Display

    with Display() as display:
        try:
            local.start()
            yield display
        finally:
            local.stop()


def notify(line: str) -> None:
    """Prints a line for people: on standard error, which pipes do not read."""
    show(one_line(line), err=True)


def _join_command(storage: Storage, study: Study) -> str:
    """The command by which a worker joins; its user puts in the password, if there is one."""
    from moo_bnas.storage.artifacts import must_be_named

    url, command = storage.shown_url, ["moo-bnas", "worker"]
    command += ["--storage", url] if "***" not in url else []
    command += ["--study-name", study.name]
    if place := must_be_named(study.attributes.get("artifacts"), storage.url):
        command += ["--artifacts", place]
    if "***" not in url:
        return shlex.join(command)
    joined = shlex.join(command)
    return f"{STORAGE_VARIABLE}={shlex.quote(url)} {joined}  (with the password instead of ***)"


def _interrupt(number: int, frame: object) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):  # a second one must not interrupt the cleanup
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt
