"""Evaluates candidates of one definition: builds, trains and scores them on one device."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from moo_bnas.data import DATA_SETS
from moo_bnas.definition import Definition
from moo_bnas.errors import DefinitionError, DeviceError, DeviceMemoryError, MooBnasError
from moo_bnas.fingerprint import candidate_seed
from moo_bnas.networks.layers import Precision
from moo_bnas.networks.module import build
from moo_bnas.space import Genotype
from moo_bnas.training import to_device, train_and_score

# What torch says of a device where it has no class of error for it.
_NO_MEMORY = re.compile(r"out of memory|DefaultCPUAllocator|bad_alloc|_ALLOC(ATION)?_FAILED")
_NO_DEVICE = re.compile(r"CUDA error|CUDA driver error|cuDNN error|CUBLAS|HIP error")

Result = TypeVar("Result")


class Evaluator:
    """The data of a definition, on a device, and what is needed to evaluate any candidate.

    Args:
        definition: Of the run.
        device: `auto`, `cpu` or `cuda:N`.

    Attributes:
        device: The name of the hardware.
        device_id: Tells this device from others of the machine.
        data_hash: Of the data set's content.

    Raises:
        DefinitionError: Where this machine has no such device.
        DataError: Where the data are missing or broken.
        DeviceError: Where the device fails, or has no room for the data.
    """

    def __init__(self, definition: Definition, device: str) -> None:
        torch.set_num_threads(1)
        where = _torch_device(device)
        images = DATA_SETS[definition.data.name].load(definition.recipe.seed)
        self._definition = definition
        self._space = definition.make_space()
        self._network = definition.make_network()
        self.device = self.device_id = "cpu"
        if where.type == "cuda":
            properties = torch.cuda.get_device_properties(where)
            self.device, self.device_id = properties.name, str(properties.uuid)
        self._data = _on_device(self.device, lambda: to_device(images, where))
        self.data_hash = images.content_hash

    def evaluate(
        self, genotype: Genotype, precision: Precision, should_stop: Callable[[], bool]
    ) -> dict[str, Any]:
        """Trains and scores one candidate.

        Returns:
            accuracy, accuracy_per_epoch (percent), epochs, seed, train_seconds, images_per_second.

        Raises:
            DivergenceError: Once the loss is not finite.
            DeviceMemoryError: Where the device's memory does not suffice; what was used is free.
            DeviceError: Where the device fails otherwise.
            Interrupted: Once `should_stop` says so.
        """
        recipe = self._definition.recipe
        widths = self._space.widths_of(genotype, self._network.base_widths)
        specs = self._network.layers(widths, precision)
        seed = candidate_seed(recipe.seed, genotype)
        started = time.perf_counter()
        accuracies = _on_device(
            self.device,
            lambda: train_and_score(
                lambda: build(specs, self._definition.network.binarizer),
                self._data,
                recipe,
                seed,
                should_stop,
            ),
        )
        seconds = time.perf_counter() - started
        return {
            "accuracy": accuracies[-1],
            "accuracy_per_epoch": accuracies,
            "epochs": len(accuracies),
            "seed": seed,
            "train_seconds": round(seconds, 3),
            "images_per_second": round(len(accuracies) * len(self._data.train[1]) / seconds, 1),
        }


def _torch_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DefinitionError(
            f"got --device {name}, but this machine has {torch.cuda.device_count()} CUDA devices; "
            "use --device cpu or auto"
        )
    return device


def _on_device(device: str, work: Callable[[], Result]) -> Result:
    """What `work` returns; the device's errors become ours. What `work` held is free after it.

    Also what torch would keep for later: another worker may be waiting to be alone on the device.
    """
    failure: MooBnasError | None = None
    try:
        result = work()
    except Exception as error:
        failure = _expected(device, error)
        if failure is None:
            raise
    # Only here is the error gone, and with its traceback the frames that hold tensors.
    if type(failure) is not DeviceError:  # after which CUDA does nothing any more
        torch.cuda.empty_cache()
    if failure is not None:
        raise failure
    return result


def _expected(device: str, error: Exception) -> MooBnasError | None:
    """What an error is to be told as, without traceback; None where it was not expected."""
    if isinstance(error, MooBnasError):
        return error.with_traceback(None)
    said = next(iter(str(error).splitlines()), type(error).__name__)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or _NO_MEMORY.search(said):
        return DeviceMemoryError(
            f"{device} has not enough memory left: {said}; start fewer workers on it, or lower "
            "[recipe] batch_size"
        )
    if isinstance(error, torch.AcceleratorError) or _NO_DEVICE.search(said):
        return DeviceError(
            f"{device} failed: {said}; start the worker again, and if it recurs, look at the "
            "device or use another --device"
        )
    return None
