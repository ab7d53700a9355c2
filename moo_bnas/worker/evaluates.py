"""What a worker asks of an evaluator: protocols, so that a worker imports no torch.

`training.evaluator.Evaluator` does what they say; tests and benchmarks have others that train
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from moo_bnas.data import Purpose
from moo_bnas.evaluation import Evaluation, Keep, Precision
from moo_bnas.evolution.space import Genotype
from moo_bnas.task import FinalTask


class Loads(Protocol):
    """Loads the data of a definition."""

    def load(self, purpose: Purpose) -> str:
        """Loads the data for a purpose, unless that was done before; returns their content hash.

        Raises:
            DataError: If they are missing or broken.
        """


class Inherits(Protocol):
    """Trains networks that begin with the weights of a parent."""

    def inherit(self, weights: bytes) -> None:
        """Gives these weights to binary networks to begin with from now on."""


class TrainsCandidates(Loads, Inherits, Protocol):
    """Trains the candidates of a search."""

    def evaluate(
        self,
        genotype: Genotype,
        precision: Precision,
        should_stop: Callable[[], bool],
        *,
        repeat: int = 0,
    ) -> Evaluation:
        """Trains and scores one network; each `repeat` of it has a seed of its own.

        Raises:
            Interrupted: Once `should_stop` says so: the claim is given back.
            DeviceMemoryError: The candidate is tried once more, alone on its device.
            DeviceError: The candidate is tried again by another process: this worker ends.
        """


class TrainsParent(Loads, Protocol):
    """Trains the parent of a run."""

    def train_parent(
        self, checkpoint: bytes | None, keep: Keep, should_stop: Callable[[], bool]
    ) -> tuple[Evaluation, bytes]:
        """The evaluation of the parent, and its weights.

        Raises:
            Exception: The same as `TrainsCandidates.evaluate`.
        """


class TrainsFinals(Loads, Inherits, Protocol):
    """Trains chosen networks to the end."""

    def train_final(
        self, task: FinalTask, keep: Keep, should_stop: Callable[[], bool]
    ) -> tuple[Evaluation, bytes]:
        """The evaluation on the test images, and the model file.

        Raises:
            Exception: The same as `TrainsCandidates.evaluate`.
        """


class Evaluates(TrainsCandidates, TrainsParent, TrainsFinals, Protocol):
    """Trains all that a worker may claim.

    Attributes:
        device: Name of the hardware, as reports show it.
        device_id: Identifies the device among those of this machine.
    """

    device: str
    device_id: str
