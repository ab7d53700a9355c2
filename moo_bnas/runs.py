"""Runs from Python: `run` makes or resumes one, `load_run` reads one that a storage holds.

They do what `moo-bnas run`, `status` and `report` do; a run may be begun by the one and resumed by
the other.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moo_bnas.definition import Definition, load_definition, parse_definition, stored_definition
from moo_bnas.driver.lease import driver_lease
from moo_bnas.driver.local_workers import (
    LocalOptions,
    LocalWorkers,
    check_local_device,
    local_devices,
)
from moo_bnas.driver.logged import SearchLog
from moo_bnas.driver.progress import Shown
from moo_bnas.driver.run import Run, check_run, default_name, open_run
from moo_bnas.driver.search_loop import Driver
from moo_bnas.errors import StorageEmptyError
from moo_bnas.evolution.arguments import check, is_whole
from moo_bnas.evolution.scoring import Mode
from moo_bnas.extras import need
from moo_bnas.loggers import Logger, Loggers
from moo_bnas.overrides import override
from moo_bnas.report.dashboard import figures, note
from moo_bnas.report.files import write
from moo_bnas.results.points import Point, Report, collect
from moo_bnas.results.status import Status, read_status
from moo_bnas.storage import HEARTBEAT, Storage

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_STORAGE = "sqlite:///moo-bnas.db"


@dataclass(frozen=True)
class StoredRun:
    """A run that a storage holds, finished or not; every call reads what is there by then.

    Attributes:
        storage: Storage that holds the run.
        name: Name of the run.
    """

    storage: Storage
    name: str

    @property
    def definition(self) -> Definition:
        """The definition of the run."""
        return stored_definition(self.storage.studies.open(self.name).attributes["definition"])

    @property
    def front(self) -> list[Point]:
        """The front, by ascending cost.

        Raises:
            StorageError: Where nothing is finished yet.
        """
        return self.results().front

    def results(self) -> Report:
        """All that a report shows: points, front, knee, best, references, final training runs.

        Raises:
            StorageError: Where nothing is finished yet.
        """
        return collect(self.storage, self.name)

    def status(self) -> Status:
        """How far the run is, and who works on it; `as_text` and `as_document` show it."""
        return read_status(self.storage, self.name)

    def report(self, folder: str | Path | None = None) -> list[Path]:
        """Writes the report, as `moo-bnas report` does; the paths of its files.

        Args:
            folder: Folder for the files; None: `runs/<name>`.

        Raises:
            StorageError: Where nothing is finished yet.
            DefinitionError: Where the folder cannot be written to.
        """
        return write(self.results(), _folder(self.name, folder))

    def trials(self) -> pd.DataFrame:
        """The trials of the search, a row for each, in a frame of pandas.

        Columns are `trial`, `state`, `generation`, one of each gene with its value, `accuracy`, one
        of each cost, `fitness`, `seconds`, `worker`, `device` and `failure`; what is not known yet
        is None or NaN.

        Raises:
            MissingPackageError: Where pandas is not installed.
        """
        need("pandas", "trials()", "use results().points")
        import pandas as pd

        study = self.storage.studies.open(self.name)
        subject = self.definition.subject()
        rows = []
        for trial in self.storage.trials.read(study):
            found = trial.evaluation
            rows.append(
                {
                    "trial": trial.number,
                    "state": trial.state,
                    "generation": trial.generation,
                    **subject.space.named(trial.genotype),
                    "accuracy": None if found is None else found.accuracy,
                    **{name: trial.costs.get(name) for name in subject.costs},
                    "fitness": None if found is None else trial.fitness,
                    "seconds": None if found is None else found.train_seconds,
                    "worker": None if found is None else found.worker,
                    "device": None if found is None else found.device,
                    "failure": trial.failure,
                }
            )
        return pd.DataFrame(rows)


def run(
    definition: str | Path | Mapping[str, Any] | Definition = "digits",
    *,
    storage: str = _STORAGE,
    name: str | None = None,
    mode: Mode = "pareto",
    seed: int = 0,
    workers: int | None = None,
    device: str = "auto",
    data_root: str | Path | None = None,
    artifacts: str | None = None,
    folder: str | Path | None = None,
    callback: Callable[[Shown], None] | None = None,
    loggers: Sequence[Logger] = (),
    **overrides: Any,
) -> StoredRun:
    """Makes or resumes a run, and drives its search to the end: `moo-bnas run` as a function.

    The same call resumes a run that was interrupted at any moment.

    Args:
        definition: Name of a definition that comes with moo-bnas, path of a file, or the values
            that such a file would have.
        storage: URL of the storage, by default `sqlite:///moo-bnas.db`; it is made if it is
            missing.
        name: Name of the run; None: `<definition>-<mode>-s<seed>`.
        mode: `scalar`, Eq. 4 of the paper; or `pareto`, accuracy against cost.
        seed: Seed of the search.
        workers: Number of local workers, processes that run `moo-bnas worker`; 0 waits for others
            to join. None: one per GPU, or else one per core.
        device: `auto`, or the device of all local workers.
        data_root: Folder of data sets; None: `MOO_BNAS_DATA`, or ~/.cache/moo-bnas.
        artifacts: Store of weights; None: as the run has had so far, or beside an SQLite file.
        folder: Folder for the logs of the workers; None: `runs/<name>`.
        callback: Called with the progress whenever it may have changed.
        loggers: What gets the values of each trial, such as `moo_bnas.loggers.TensorBoard`; they
            are closed in the end.
        **overrides: Keys of `[search]` to replace, such as `generations=3`.

    Raises:
        DefinitionError: Where the definition, an override or another argument makes no sense, or
            the stored run was begun with another definition.
        DataError: Where the data are missing or broken.
        StorageError: Where the storage cannot be used.
        MissingPackageError: Where local workers would need torch, which is not installed.
        WorkersError: Where local workers keep failing.
    """
    check(
        ("mode", mode, mode in ("scalar", "pareto")),
        ("seed", seed, is_whole(seed, 0)),
        ("workers", workers, workers is None or is_whole(workers, 0)),
        ("storage", storage, isinstance(storage, str)),
        ("name", name, name is None or isinstance(name, str)),
        ("callback", callback, callback is None or callable(callback)),
    )
    made = override(as_definition(definition), **overrides)
    name = name or default_name(made, mode, seed)
    check_run(name, made, mode, seed)
    root = default_data_root(data_root)
    if workers != 0:
        if made.evaluator is None:
            need("torch", "a local worker", "give workers=0 for workers on other machines")
        check_local_device(device)
        if made.data is not None and not _is_stored(storage, name):
            made.data.load(root, made.seed, "search")  # faults of data leave no study behind
    opened = open_run(Storage(storage, create=True), name, made, mode, seed, artifacts)
    options = LocalOptions(
        storage_url=storage,
        devices=() if opened.is_over else local_devices(workers, device),
        data_root=root,
        log_folder=_folder(name, folder),
        artifacts_url=artifacts,
    )
    with closing(Loggers(loggers)) as every:
        _drive(opened, LocalWorkers(name, options), callback or _silent, every)
    return StoredRun(opened.storage, name)


def _drive(
    opened: Run, local: LocalWorkers, callback: Callable[[Shown], None], loggers: Loggers
) -> None:
    """Drives a search to its end, unless it is over, and logs it."""
    log_of = SearchLog(opened, loggers) if loggers else None
    if not opened.is_over:
        learned = log_of.learned if log_of else None
        with driver_lease(opened.storage, opened.study, log.info, HEARTBEAT) as renew_lease:
            try:
                local.start()
                Driver(opened, local, callback, renew_lease, learned).drive()
            finally:
                local.stop()
        show_in_dashboard(opened.storage, collect(opened.storage, opened.study.name))
    if log_of:
        log_of.finish()


def show_in_dashboard(storage: Storage, report: Report) -> None:
    """Brings what optuna-dashboard shows beside the trials of a run up to date."""
    study = storage.studies.open(report.study)
    storage.dashboard.show(study, note(report), figures(report))


def load_run(storage: str = _STORAGE, name: str | None = None) -> StoredRun:
    """A run that a storage holds.

    Args:
        storage: URL of the storage; by default `sqlite:///moo-bnas.db`.
        name: Name of the run; None: the latest.

    Raises:
        StorageError: Where there is no such storage or run.
        DefinitionError: Where an argument makes no sense.
    """
    check(
        ("storage", storage, isinstance(storage, str)),
        ("name", name, name is None or isinstance(name, str)),
    )
    opened = Storage(storage)
    chosen = opened.studies.choose(name)
    opened.studies.open(chosen)
    return StoredRun(opened, chosen)


def as_definition(given: str | Path | Mapping[str, Any] | Definition) -> Definition:
    """The definition that an argument stands for.

    Raises:
        DefinitionError: Where it is missing or wrong.
    """
    if isinstance(given, Definition):
        return given
    if isinstance(given, Mapping):
        return parse_definition({"name": "own", "description": "", **given}, "definition")
    return load_definition(str(given))


def default_data_root(given: str | Path | None) -> Path:
    """The folder of data sets: the one given, or that of the commands."""
    default = os.environ.get("MOO_BNAS_DATA") or "~/.cache/moo-bnas"
    return Path(os.path.expanduser(default if given is None else given))


def _folder(name: str, given: str | Path | None) -> Path:
    return Path("runs") / name if given is None else Path(given)


def _is_stored(url: str, name: str) -> bool:
    try:
        return Storage(url).studies.find(name) is not None
    except StorageEmptyError:
        return False


def _silent(progress: Shown) -> None:
    pass
