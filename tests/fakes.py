"""A worker that trains nothing, for tests of what stands around the training."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from moo_bnas.data import Purpose
from moo_bnas.evaluation import Evaluation, Keep, Precision, Source
from moo_bnas.evolution.space import Genotype
from moo_bnas.storage import Storage
from moo_bnas.task import FinalTask
from moo_bnas.worker import work


def accuracy_of(genotype: Genotype) -> float:
    """Grows with the widths, by another amount for each gene."""
    return 50.0 + sum(i * g for i, g in enumerate(genotype, start=1)) / 2


def evaluation(
    accuracy: float,
    *,
    epochs: int = 1,
    top5: float | None = None,
    train_seconds: float = 0.5,
    loss_per_epoch: tuple[float, ...] = (),
    device: str | None = None,
    worker: str | None = None,
    copied_from: Source | None = None,
) -> Evaluation:
    """An evaluation that nothing was trained for."""
    return Evaluation(
        accuracy=accuracy,
        epochs=epochs,
        seed=0,
        train_seconds=train_seconds,
        images_per_second=2.0,
        top5=top5,
        loss_per_epoch=loss_per_epoch,
        device=device,
        worker=worker,
        copied_from=copied_from,
    )


class TrainsNothing:
    """An evaluator without training; tests say what an evaluation finds."""

    device = device_id = "fake"

    def load(self, purpose: Purpose) -> str:
        return "f" * 64

    def inherit(self, weights: bytes) -> None:
        assert weights == b"weights"

    def train_parent(
        self, checkpoint: bytes | None, keep: Keep, should_stop: Callable[[], bool]
    ) -> tuple[Evaluation, bytes]:
        return evaluation(99.0), b"weights"

    def train_final(
        self, task: FinalTask, keep: Keep, should_stop: Callable[[], bool]
    ) -> tuple[Evaluation, bytes]:
        return evaluation(97.0, top5=99.0), b"weights"


class Fake(TrainsNothing):
    """Adds the number of a repeat to the accuracy."""

    def __init__(self, accuracy: Callable[[Genotype], float]) -> None:
        self._accuracy = accuracy

    def evaluate(
        self,
        genotype: Genotype,
        precision: Precision,
        should_stop: Callable[[], bool],
        *,
        repeat: int = 0,
    ) -> Evaluation:
        return evaluation(self._accuracy(genotype) + repeat)


@contextmanager
def fake_worker(
    url: str, study_name: str, accuracy: Callable[[Genotype], float] = accuracy_of
) -> Iterator[None]:
    """Serves a study from a thread; where `accuracy` raises, the trial fails."""
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():  # a driver restarts those that leave before it has begun
            work(Storage(url), study_name, Fake(accuracy), over)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
