"""Evaluates candidates of one definition: builds, trains and scores them on one device."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from torch import Tensor, nn

from moo_bnas.definition import Definition
from moo_bnas.errors import DefinitionError, DeviceError, DeviceMemoryError, MooBnasError
from moo_bnas.fingerprint import candidate_seed
from moo_bnas.inheritance import inherit
from moo_bnas.networks.layers import Precision
from moo_bnas.networks.module import build
from moo_bnas.space import Genotype
from moo_bnas.training import Training, to_device

# What torch says of a device where it has no class of error for it.
_NO_MEMORY = re.compile(r"out of memory|DefaultCPUAllocator|bad_alloc|_ALLOC(ATION)?_FAILED")
_NO_DEVICE = re.compile(r"CUDA error|CUDA driver error|cuDNN error|CUBLAS|HIP error")

Result = TypeVar("Result")
Keep = Callable[[int, Callable[[], bytes]], None]
"""Told after an epoch: how many are done, and what makes a checkpoint of them."""


class Evaluator:
    """The data of a definition, on a device, and what is needed to evaluate any candidate.

    Args:
        definition: Of the run.
        device: `auto`, `cpu` or `cuda:N`.
        data_root: The folder below which data sets lie.

    Attributes:
        device: The name of the hardware.
        device_id: Tells this device from others of the machine.
        data_hash: Of the data set's content.

    Raises:
        DefinitionError: Where this machine has no such device.
        DataError: Where the data are missing or broken.
        DeviceError: Where the device fails, or has no room for the data.
    """

    def __init__(self, definition: Definition, device: str, data_root: Path) -> None:
        torch.set_num_threads(1)
        where = _torch_device(device)
        images = definition.data.load(data_root, definition.recipe.seed, "search")
        self._definition = definition
        self._space = definition.make_space()
        self._network = definition.make_network()
        self._parent: dict[str, Tensor] | None = None
        self.device = self.device_id = "cpu"
        if where.type == "cuda":
            properties = torch.cuda.get_device_properties(where)
            self.device, self.device_id = properties.name, str(properties.uuid)
            torch.backends.cudnn.benchmark = True
        size = self._network.image.size
        self._data = _on_device(self.device, lambda: to_device(images, size, where))
        self.data_hash = images.content_hash

    def inherit(self, weights: bytes) -> None:
        """Takes the weights of the parent, which binary candidates begin with from now on."""
        self._parent = safetensors.torch.load(weights)

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
        seed = candidate_seed(recipe.seed, genotype)

        def train() -> dict[str, Any]:
            network = self._build(genotype, precision, seed)
            if self._parent is not None and precision == "binary":
                inherit(network, self._parent)
            return self._train(Training(network, self._data, recipe, seed), should_stop)

        return {**_on_device(self.device, train), "seed": seed}

    def train_parent(
        self, checkpoint: bytes | None, keep: Keep, should_stop: Callable[[], bool]
    ) -> tuple[dict[str, Any], bytes]:
        """Trains the parent: the uniform network of the greatest ratio, by its own recipe.

        Args:
            checkpoint: To go on from.
            keep: Told after each epoch.
            should_stop: Asked before every step.

        Returns:
            What `evaluate` returns, and the weights (safetensors).

        Raises:
            DefinitionError: Where the definition has no parent.
            Exception: As `evaluate`.
        """
        recipe = self._definition.parent
        if recipe is None:
            raise DefinitionError(f"definition {self._definition.name} has no [parent]; add one")
        top = self._space.uniform(self._space.ratios[-1])
        seed = candidate_seed(recipe.seed, top)

        def train() -> tuple[dict[str, Any], bytes]:
            training = Training(self._build(top, "binary", seed), self._data, recipe, seed)
            if checkpoint is not None:
                training.restore(safetensors.torch.load(checkpoint))
            found = self._train(training, should_stop, keep)
            weights = {k: v.cpu().contiguous() for k, v in training.network.state_dict().items()}
            return found, safetensors.torch.save(weights)

        found, weights = _on_device(self.device, train)
        return {**found, "seed": seed}, weights

    def _build(self, genotype: Genotype, precision: Precision, seed: int) -> nn.Module:
        widths = self._space.widths_of(genotype, self._network.base_widths)
        specs = self._network.layers(widths, precision)
        torch.manual_seed(seed)
        made: nn.Module = (self._network.module or build)(specs, self._definition.network.binarizer)
        return made

    def _train(
        self, training: Training, should_stop: Callable[[], bool], keep: Keep | None = None
    ) -> dict[str, Any]:
        """Trains to the end; speed and time are those of the epochs that were trained here."""

        def after_epoch() -> None:
            if keep is not None:
                keep(len(training.accuracies), lambda: safetensors.torch.save(training.state()))

        before, started = len(training.accuracies), time.perf_counter()
        training.run(should_stop, after_epoch)
        seconds = time.perf_counter() - started
        images = (len(training.accuracies) - before) * len(self._data.train.rows)
        return {
            "accuracy": training.accuracies[-1],
            "accuracy_per_epoch": training.accuracies,
            "epochs": len(training.accuracies),
            "train_seconds": round(seconds, 3),
            "images_per_second": round(images / seconds, 1),
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
