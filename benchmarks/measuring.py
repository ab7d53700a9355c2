"""What all systems of benchmarks/scheduling.py share: space, accuracy, threads and records."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

# So many genotypes that no search exhausts them: late offspring are as easy to find as early ones.
GENES, CHOICES = 6, tuple(i / 4 for i in range(1, 17))


@dataclass
class Measured:
    """Measurements of one system.

    Attributes:
        system: Name of the system.
        generations: Milliseconds per evaluation of each generation, by the number of trials that
            the study held before.
        seen: Other measured values, by metric.
    """

    system: str
    generations: dict[int, list[float]] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)


def score(genotype: Sequence[int]) -> float:
    """An accuracy in percent without an optimum that a search could settle on: slope and noise."""
    noise = np.random.default_rng(abs(hash(tuple(int(g) for g in genotype)))).random()
    return 20.0 + sum(genotype) / 2 + 10 * float(noise)


@contextlib.contextmanager
def in_thread(task: Callable[[], None]) -> Iterator[None]:
    """Runs a task in a thread beside the block; an exception of the task is raised at its end."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            task()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()
    for error in failed:
        raise error
