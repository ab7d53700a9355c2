"""Scores candidates with an evaluator of another package, as `evaluates` asks; without torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from moo_bnas.data import ImageData, Purpose
from moo_bnas.definition import Definition
from moo_bnas.devices import device_error
from moo_bnas.errors import DefinitionError, Interrupted, MooBnasError
from moo_bnas.evaluation import Evaluation, Keep, Precision
from moo_bnas.evaluators import Task, checked_result
from moo_bnas.evolution.space import Genotype
from moo_bnas.fingerprint import candidate_seed
from moo_bnas.networks.layers import LayerSpec
from moo_bnas.processes import count_gpus
from moo_bnas.subject import Widths
from moo_bnas.task import FinalTask

_NO_DATA = "none"  # content hash where there are no data


class OwnEvaluator:
    """A definition with an evaluator of another package, on a device.

    Args:
        definition: Definition of the run.
        device: `auto`, `cpu` or `cuda:N`.
        data_root: Folder that contains the data sets.

    Attributes:
        device: The device, as it is handed to the evaluator.
        device_id: Identifies the device among those of this machine.

    Raises:
        DefinitionError: If the definition has no evaluator.
    """

    def __init__(self, definition: Definition, device: str, data_root: Path) -> None:
        if definition.evaluator is None:
            raise DefinitionError(f"definition {definition.name} has no [evaluator]; add it")
        self._options, self._definition = definition.evaluator, definition
        self._subject = definition.subject()
        self._data_root = data_root
        self._loaded: dict[Purpose, ImageData] = {}
        if device == "auto":
            device = "cuda:0" if count_gpus() else "cpu"
        self.device = self.device_id = device

    def load(self, purpose: Purpose) -> str:
        """Loads the data, if there are any, unless that was done before; their content hash.

        Raises:
            DataError: If they are missing or broken.
        """
        data = self._definition.data
        if data is None:
            return _NO_DATA
        if purpose not in self._loaded:
            self._loaded[purpose] = data.load(self._data_root, self._options.seed, purpose)
        return self._loaded[purpose].content_hash

    def evaluate(
        self,
        genotype: Genotype,
        precision: Precision,
        should_stop: Callable[[], bool],
        *,
        repeat: int = 0,
    ) -> Evaluation:
        """Has one candidate scored.

        Raises:
            Interrupted: Once `should_stop` says so.
            DeviceError: If the device fails, or its memory does not suffice.
            Exception: Whatever else the evaluator raises.
        """
        task = self._task(genotype, should_stop, repeat)
        started = time.perf_counter()
        try:
            found = self._options.made.evaluate(task)
        except MooBnasError:
            raise
        except Exception as error:
            if (failure := device_error(self.device, error)) is not None:
                raise failure from None
            raise
        if found is None and should_stop():
            raise Interrupted
        result = checked_result(self._options.name, found)
        seconds = time.perf_counter() - started
        return Evaluation(
            accuracy=result.accuracy,
            epochs=result.epochs,
            seed=task.seed,
            train_seconds=round(seconds, 3),
            images_per_second=0.0,
            accuracy_per_epoch=result.accuracy_per_epoch,
            images=result.images,
        )

    def inherit(self, weights: bytes) -> None:
        """Refuses: there is no parent.

        Raises:
            DefinitionError: In any case.
        """
        self._refuse()

    def train_parent(
        self, checkpoint: bytes | None, keep: Keep, should_stop: Callable[[], bool]
    ) -> tuple[Evaluation, bytes]:
        """Refuses; see `inherit`."""
        self._refuse()

    def train_final(
        self, task: FinalTask, keep: Keep, should_stop: Callable[[], bool]
    ) -> tuple[Evaluation, bytes]:
        """Refuses; see `inherit`."""
        self._refuse()

    def _task(self, genotype: Genotype, should_stop: Callable[[], bool], repeat: int) -> Task:
        subject, network = self._subject, self._definition.network
        values = subject.space.named(genotype)
        layers: tuple[LayerSpec, ...] = ()
        if isinstance(subject, Widths):
            own = tuple(values.values())
            widths = (*subject.widths_of(own), *subject.bits_of(own))
            layers = tuple(subject.network.layers(widths, "binary"))
        self.load("search")
        return Task(
            genotype=genotype,
            values=values,
            seed=candidate_seed(self._options.seed + repeat, genotype),
            device=self.device,
            data_root=self._data_root,
            should_stop=should_stop,
            data=self._loaded.get("search"),
            layers=layers,
            binarizer=None if network is None else network.binarizer,
        )

    def _refuse(self) -> NoReturn:
        self._definition.training()
        raise AssertionError  # a definition with an evaluator has no recipe
