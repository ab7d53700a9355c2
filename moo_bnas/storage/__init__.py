"""The storage contract: how driver and workers share work through one Optuna RDB storage.

One run is one Optuna study, which holds its search trials only; its siblings hold the rest:
NAME.baselines the references, NAME.parent the training run of the weights that candidates inherit,
NAME.confirm repeats of the training runs of chosen networks and references with other seeds,
NAME.final full training runs of chosen networks and references, scored on the test images.
Optuna's rows are the truth that people read (`optuna.load_study`, optuna-dashboard); the table
`moo_bnas_trials` repeats each trial's state under an index, with the token of its claim, and always
changes in the same transaction.

- Only the driver makes trials: WAITING, a generation in one transaction, with params and
  distributions. (study, genotype, repeat, precision) is unique, so submitting twice makes them
  once, and trial numbers follow the order of submission.
- A worker claims by a conditional update, WAITING -> RUNNING, whose row count must be 1. The same
  transaction writes a fresh token and the first heartbeat. Of the waiting trials the most expensive
  goes first, since the last to finish holds up its generation.
- The finish is one transaction, conditional on RUNNING and on the token: values, attributes and
  COMPLETE together, so no reader sees half of it. If it finds COMPLETE with its own token, it has
  succeeded before (the acknowledgement was lost). Otherwise the claim was taken away: nothing is
  written.
- A claim that is lost (its worker's process has exited, or was silent for six of its heartbeats) or
  given back goes RUNNING -> WAITING in place, under the same number. After `MAX_LOSSES` losses the
  trial fails. All times are read from the database's clock.
- An exception or divergence fails the trial at once: it would recur. What may not recur goes
  RUNNING -> WAITING in place, and is no loss: a trial that ran out of memory once, to be tried
  alone on its device; one under which the device failed, `MAX_DEVICE_ERRORS` times in all. These
  counts, like the losses, belong to the trial and outlive its claims. (A checkpoint of a final
  training sets its losses to 0: the next try continues from there.)
- No claim of a study begins after the time in its attribute `claims_until`, by the clock of the
  database.
- Of final trainings only those wait for workers that the last command named; others are held back,
  but WAITING in Optuna's rows.
- An evaluation is begun at most once at a time per fingerprint, genotype and repeat in the whole
  storage.
  A waiting trial whose evaluation another study is training is passed over until that ends; one
  whose evaluation is known is finished with a copy of it.
- One driver at a time holds the lease of a study and renews it. If its process has exited on this
  host, or was silent for six heartbeats, another driver takes the lease over.
- A study that is deleted while it is in use ends its driver and workers. Other studies keep the
  evaluations that they copied from it, and may copy more; but not those whose files went with it.
- COMPLETE trials are never changed. Only if a user asks for it, a final training that has failed,
  or whose model is lost, waits again in place, and its evaluation is forgotten.
- Every operation may be repeated after an outage of the server, also if it was committed and only
  the acknowledgement was lost. (A claim that its worker never learned of goes stale.)
- A worker holds no connection while it trains for longer than a moment. On SQLite writers take the
  write lock at the beginning of a transaction (BEGIN IMMEDIATE, WAL, 60 s busy timeout), so none
  can fail half-way; on servers transactions read what is committed, and lock the row of the queue
  first.
- The first worker of a study records the content hash of its data and what its code evaluates;
  workers that differ in either are refused. Versions of packages may differ, and are recorded.
- The cost of an operation does not grow with the number of finished trials.
- Tables of another schema version are not used. Later versions only add to the tables, so those
  of an earlier one are upgraded in place (`upgrade`), while nobody uses them.
- Nothing that is read from here is unpickled or executed: attributes are JSON.
"""

from __future__ import annotations

from optuna.storages import RDBStorage

from moo_bnas.storage.claims import Claims
from moo_bnas.storage.dashboard import Dashboard
from moo_bnas.storage.database import Database
from moo_bnas.storage.deletions import Deletions
from moo_bnas.storage.leases import Leases
from moo_bnas.storage.names import (
    TRAINING,
    baselines_of,
    confirm_of,
    final_of,
    is_sibling,
    parent_of,
    siblings_of,
    training_of,
)
from moo_bnas.storage.records import (
    CLAIMS_UNTIL,
    CODE,
    HEARTBEAT,
    MAX_DEVICE_ERRORS,
    MAX_LOSSES,
    SCALAR_METRICS,
    WORKER_VERSIONS,
    Candidate,
    Claim,
    LeaseRow,
    RunState,
    Study,
    Trial,
    WorkerRow,
    grace_of,
    pareto_metrics,
    study_gone,
)
from moo_bnas.storage.studies import Studies
from moo_bnas.storage.trials import ENQUEUED, Trials
from moo_bnas.storage.workers import Workers

__all__ = [
    "CLAIMS_UNTIL",
    "CODE",
    "ENQUEUED",
    "HEARTBEAT",
    "MAX_DEVICE_ERRORS",
    "MAX_LOSSES",
    "SCALAR_METRICS",
    "TRAINING",
    "WORKER_VERSIONS",
    "Candidate",
    "Claim",
    "LeaseRow",
    "RunState",
    "Storage",
    "Study",
    "Trial",
    "WorkerRow",
    "baselines_of",
    "confirm_of",
    "final_of",
    "grace_of",
    "is_sibling",
    "parent_of",
    "pareto_metrics",
    "siblings_of",
    "study_gone",
    "training_of",
    "upgrade",
]


def upgrade(url: str) -> list[str]:
    """Brings the tables of an earlier version of moo-bnas, or of Optuna, to this one, in place.

    Returns:
        What was added; empty if the tables were of this version.

    Raises:
        StorageError: If the storage cannot be opened, holds no run, is in use, or is of a later
            version.
    """
    return Database(url, create=False, upgrade=True).upgraded


class Storage:
    """An opened storage; its parts are named after what they read and write.

    Args:
        url: SQLAlchemy URL.
        create: Whether it may be without file and tables, which are then made with the first study.
        wait: Whether to wait for a server that is down, as if it had gone down later.

    Attributes:
        url: The URL with its driver, and with its password: not to be shown.
        shown_url: The URL without its password.
        studies: Studies and their attributes.
        trials: What the driver does with trials: submit, read, count.
        claims: What workers do with trials: take, finish, give back, try again.
        workers: The workers that have joined.
        leases: Which driver holds which study.
        deletions: What goes with a run that is deleted.
        dashboard: What optuna-dashboard shows beside trials.

    Raises:
        StorageError: If it cannot be opened, or holds no run and `create` is not set.
    """

    def __init__(self, url: str, *, create: bool = False, wait: bool = False) -> None:
        database = Database(url, create=create, wait=wait)
        self._database = database
        self.url = database.url.render_as_string(hide_password=False)
        self.shown_url = database.shown_url
        self.studies = Studies(database)
        self.trials = Trials(database)
        self.workers = Workers(database)
        self.claims = Claims(database, self.workers)
        self.leases = Leases(database)
        self.deletions = Deletions(database)
        self.dashboard = Dashboard(database)

    @property
    def optuna(self) -> RDBStorage:
        """The same storage as an object of Optuna."""
        return self._database.optuna_storage

    def rest(self) -> None:
        """Closes the connection until the next operation."""
        self._database.rest()
