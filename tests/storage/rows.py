"""What the storage tests store, and how they make it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from moo_bnas.evaluation import Evaluation, Precision
from moo_bnas.evolution.space import Genotype, SearchSpace
from moo_bnas.storage import (
    Candidate,
    Claim,
    Storage,
    Study,
    WorkerRow,
    pareto_metrics,
)

STUDY_ATTRIBUTES = {"definition": {"x": 1}, "mode": "pareto", "finished": False}
PRINTS = {"binary": "b" * 64, "full": "f" * 64}
RESULT = Evaluation(91.5, 2, 7, 0.25, 40.0, accuracy_per_epoch=(80.0, 91.5), worker="w")
SCORES = {"accuracy": 91.5, "flops": 7.0, "fitness": 80.25}


def candidate(genotype: Genotype, cost: float = 1.0, precision: Precision = "binary") -> Candidate:
    return Candidate(genotype, precision, {"flops": cost, "memory_bits": 9}, generation=1)


def make_study(
    storage: Storage, name: str = "s", metrics: Sequence[str] = pareto_metrics("flops")
) -> Study:
    return storage.studies.ensure(name, metrics, STUDY_ATTRIBUTES)


def submit(storage: Storage, space: SearchSpace, *genotypes: Genotype, name: str = "s") -> Study:
    study = make_study(storage, name)
    storage.trials.submit(study, space, [candidate(g) for g in genotypes])
    return study


def take(storage: Storage, *studies: Study, worker: str = "w") -> Claim:
    claim = storage.claims.take(studies, worker, PRINTS)
    assert claim is not None
    return claim


def silence(storage_url: str) -> None:
    """Makes the last heartbeat of every claim years old."""
    with create_engine(storage_url, poolclass=NullPool).begin() as connection:
        connection.execute(text("UPDATE moo_bnas_trials SET heartbeat = '2020-01-01 00:00:00'"))


def lose(storage: Storage) -> None:
    """Has the silent claim returned that there is."""
    assert storage.claims.return_lost(never) == 0
    silence = storage.claims._silence
    silence._watched = dict.fromkeys(silence._watched, 60.0)  # half a minute later
    assert storage.claims.return_lost(never) == 1


def never(_: WorkerRow) -> bool:
    return False


def always(_: WorkerRow) -> bool:
    return True
