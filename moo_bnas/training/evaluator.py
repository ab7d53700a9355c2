"""Evaluates candidates of one definition: builds, trains and scores them on one device."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from torch import Tensor, nn

from moo_bnas.data import ImageData, Purpose
from moo_bnas.definition import Definition
from moo_bnas.errors import DefinitionError, DeviceError, DeviceMemoryError, MooBnasError
from moo_bnas.evaluation import Keep, Precision
from moo_bnas.evolution.space import Genotype
from moo_bnas.fingerprint import EVALUATION_VERSION, candidate_seed
from moo_bnas.models.model_file import Card, Image, Layer, Model, to_bytes
from moo_bnas.networks.cost import flops, memory_bits
from moo_bnas.networks.module import build
from moo_bnas.recipe import Recipe
from moo_bnas.training.inheritance import inherit
from moo_bnas.training.loop import DeviceData, Training, score_top, to_device
from moo_bnas.training.process_group import Group

# What torch says of a device where it has no class of error for it.
_NO_MEMORY = re.compile(r"out of memory|DefaultCPUAllocator|bad_alloc|_ALLOC(ATION)?_FAILED")
_NO_DEVICE = re.compile(r"CUDA error|CUDA driver error|cuDNN error|CUBLAS|HIP error")

Result = TypeVar("Result")


class Evaluator:
    """A definition on a device, and what is needed to train any of its networks there.

    Args:
        definition: Of the run.
        device: `auto`, `cpu` or `cuda:N`.
        data_root: The folder below which data sets lie.
        group: The processes that train final networks together; `follow` is for all but the first.

    Attributes:
        device: The name of the hardware.
        device_id: Tells this device from others of the machine.

    Raises:
        DefinitionError: Where this machine has no such device.
    """

    def __init__(
        self, definition: Definition, device: str, data_root: Path, group: Group | None = None
    ) -> None:
        torch.set_num_threads(1)
        self._where = _torch_device(device)
        self._definition = definition
        self._data_root = data_root
        self._group = group
        self._space = definition.make_space()
        self._network = definition.make_network()
        self._parent: dict[str, Tensor] | None = None
        self._loaded: dict[Purpose, tuple[ImageData, DeviceData]] = {}
        self.device = self.device_id = "cpu"
        if self._where.type == "cuda":
            properties = torch.cuda.get_device_properties(self._where)
            self.device, self.device_id = properties.name, str(properties.uuid)
            torch.backends.cudnn.benchmark = True
        if group is not None:
            self.device = f"{group.count}x {self.device}"

    def load(self, purpose: Purpose) -> str:
        """Loads the data for a purpose, unless that was done before.

        Returns:
            The hash of their content.

        Raises:
            DataError: Where they are missing or broken.
            DeviceError: Where the device fails, or has no room for them.
        """
        if purpose not in self._loaded:
            images = self._definition.data.load(
                self._data_root, self._definition.recipe.seed, purpose
            )
            size = self._network.image.size
            data = _on_device(self.device, lambda: to_device(images, size, self._where))
            self._loaded[purpose] = images, data
        return self._loaded[purpose][0].content_hash

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
            return _train(Training(network, self._data("search"), recipe, seed), should_stop)

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
            training = Training(
                self._build(top, "binary", seed), self._data("search"), recipe, seed
            )
            if checkpoint is not None:
                training.restore(safetensors.torch.load(checkpoint))
            found = _train(training, should_stop, keep)
            return found, safetensors.torch.save(_weights(training.network))

        found, weights = _on_device(self.device, train)
        return {**found, "seed": seed}, weights

    def train_final(
        self,
        genotype: Genotype,
        precision: Precision,
        recipe: Recipe,
        checkpoint: bytes | None,
        keep: Keep,
        should_stop: Callable[[], bool],
    ) -> tuple[dict[str, Any], bytes]:
        """Trains a network on training and validation images; then scores it on the test images.

        Args:
            genotype: Of the network.
            precision: Of the network.
            recipe: The final one.
            checkpoint: To go on from.
            keep: Told after each epoch.
            should_stop: Asked before every step.

        Returns:
            accuracy and top5 (percent, of the test images, scored once), loss_per_epoch, epochs,
            seed, train_seconds, images_per_second; and the model file.

        Raises:
            Exception: As `evaluate`.
        """
        if self._group is not None:
            self._group.tell((genotype, precision, recipe.model_dump(), checkpoint))
        seed = candidate_seed(recipe.seed, genotype)

        def train() -> tuple[dict[str, Any], bytes]:
            training = self._final(genotype, precision, recipe, checkpoint)
            found = _train(training, should_stop, keep)
            accuracy, top5 = score_top(training.network, self._data("final"), (1, 5))
            found |= {"accuracy": accuracy, "top5": top5, "seed": seed}
            card = self._card(genotype, precision, recipe, found)
            arrays = {name: t.numpy() for name, t in _weights(training.network).items()}
            return found, to_bytes(Model(card, arrays))

        try:
            return _on_device(self.device, train)
        except DeviceMemoryError as error:
            if self._group is None:
                raise
            # The others wait for this process, and no other try of it can reach them.
            raise DeviceError(str(error)) from None

    def follow(self) -> None:
        """Trains along with the first process of the group, until that dismisses it."""
        if self._group is None:
            return
        while (task := self._group.tell()) is not None:
            genotype, precision, recipe, checkpoint = task
            self.load("final")
            self._final(genotype, precision, Recipe.model_validate(recipe), checkpoint).run()

    def dismiss(self) -> None:
        """Sends the other processes of the group away."""
        if self._group is not None:
            self._group.tell(None)

    def _final(
        self, genotype: Genotype, precision: Precision, recipe: Recipe, checkpoint: bytes | None
    ) -> Training:
        """A final training, where it begins or goes on."""
        seed = candidate_seed(recipe.seed, genotype)
        network = self._build(genotype, precision, seed)
        data = self._data("final")
        training = Training(network, data, recipe, seed, scores=False, group=self._group)
        if checkpoint is not None:
            training.restore(safetensors.torch.load(checkpoint))
        return training

    def _data(self, purpose: Purpose) -> DeviceData:
        self.load(purpose)
        return self._loaded[purpose][1]

    def _build(self, genotype: Genotype, precision: Precision, seed: int) -> nn.Module:
        widths = self._space.widths_of(genotype, self._network.base_widths)
        specs = self._network.layers(widths, precision)
        torch.manual_seed(seed)
        made: nn.Module = (self._network.module or build)(specs, self._definition.network.binarizer)
        return made

    def _card(
        self, genotype: Genotype, precision: Precision, recipe: Recipe, found: Mapping[str, Any]
    ) -> Card:
        definition, network = self._definition, self._network
        images, data = self._loaded["final"]
        widths = self._space.widths_of(genotype, network.base_widths)
        total = flops(network, widths, precision)
        # As JSON would give them back, so that what is read again equals what was written.
        made = {
            "definition": definition.model_dump(mode="json"),
            "recipe": recipe.model_dump(mode="json"),
            "genotype": list(genotype),
            "seed": found["seed"],
            "data_hash": images.content_hash,
            "evaluation_version": EVALUATION_VERSION,
            "versions": {
                "python": platform.python_version(),
                **{p: version(p) for p in ("moo-bnas", "torch", "numpy")},
            },
            "device": self.device,
            "train_images": len(images.train.rows),
            "test_images": len(images.scoring.rows),
            "loss_per_epoch": found["loss_per_epoch"],
        }
        return Card(
            network=network.name,
            binarizer=definition.network.binarizer,
            precision=precision,
            ratios=self._space.decode(genotype),
            widths=widths,
            layers=tuple(Layer.of(spec) for spec in network.layers(widths, precision)),
            own_module=network.module is not None,
            image=Image(
                size=data.size,
                stored_size=images.train.images.shape[2],
                channels=network.image.channels,
                mean=tuple(data.mean.flatten().tolist()),
                std=tuple(data.std.flatten().tolist()),
            ),
            classes=images.classes,
            flops=total,
            memory_bits=memory_bits(network, widths, precision),
            speedup=flops(network, network.base_widths, "full") / total,
            accuracy=found["accuracy"],
            top5=found["top5"],
            made=made,
        )


def _train(
    training: Training, should_stop: Callable[[], bool], keep: Keep | None = None
) -> dict[str, Any]:
    """Trains to the end; speed and time are those of the epochs that were trained here."""

    def after_epoch() -> None:
        if keep is not None:
            keep(training.losses, lambda: safetensors.torch.save(training.state()))

    before, started = len(training.losses), time.perf_counter()
    training.run(should_stop, after_epoch)
    seconds = time.perf_counter() - started
    epochs = len(training.losses)
    found = {
        "epochs": epochs,
        "train_seconds": round(seconds, 3),
        "images_per_second": round((epochs - before) * training.images / seconds, 1),
    }
    if training.accuracies:
        accuracies = training.accuracies
        return {**found, "accuracy": accuracies[-1], "accuracy_per_epoch": accuracies}
    return {**found, "loss_per_epoch": training.losses}


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {k: v.cpu().contiguous() for k, v in network.state_dict().items()}


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
