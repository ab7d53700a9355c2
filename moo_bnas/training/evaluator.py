"""Evaluates candidates of one definition: builds, trains and scores them on one device."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from moo_bnas.data import ImageData, Purpose
from moo_bnas.definition import Definition
from moo_bnas.errors import DefinitionError, DeviceError, DeviceMemoryError
from moo_bnas.evaluation import Evaluation, Keep, Precision
from moo_bnas.evolution.space import Genotype
from moo_bnas.fingerprint import EVALUATION_VERSION, candidate_seed
from moo_bnas.models.model_file import Card, Image, Layer, Model, to_bytes
from moo_bnas.networks.cost import flops, memory_bits
from moo_bnas.networks.module import build, set_constants
from moo_bnas.task import FinalTask
from moo_bnas.training.device_data import DeviceData, to_device
from moo_bnas.training.device_errors import on_device
from moo_bnas.training.evaluations import scored, timed, untrained
from moo_bnas.training.inheritance import inherit
from moo_bnas.training.loop import Training, score_top
from moo_bnas.training.process_group import Group
from moo_bnas.training.sandwich import Sandwich


class Evaluator:
    """A definition on a device, and what is needed to train any of its networks there.

    Args:
        definition: Definition of the run.
        device: `auto`, `cpu` or `cuda:N`.
        data_root: Folder that contains the data sets.
        group: The processes that train final networks together; all but the first call `follow`.

    Attributes:
        device: Name of the hardware.
        device_id: Identifies the device among those of this machine.

    Raises:
        DefinitionError: If this machine has no such device.
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
            DataError: If they are missing or broken.
            DeviceError: If the device fails, or has no room for them.
        """
        if purpose not in self._loaded:
            images = self._definition.images().load(self._data_root, self._definition.seed, purpose)
            size = self._network.image.size
            data = on_device(self.device, lambda: to_device(images, size, self._where))
            self._loaded[purpose] = images, data
        return self._loaded[purpose][0].content_hash

    def inherit(self, weights: bytes) -> None:
        """Takes the weights of the parent, which binary candidates begin with from now on.

        So do networks in their final training, if the recipe says so.
        """
        self._parent = safetensors.torch.load(weights)

    def evaluate(
        self,
        genotype: Genotype,
        precision: Precision,
        should_stop: Callable[[], bool],
        *,
        repeat: int = 0,
    ) -> Evaluation:
        """Trains and scores one candidate; in a recipe of 0 epochs only scores it.

        Args:
            genotype: Genotype of the network.
            precision: Precision of the network.
            should_stop: Asked before every step.
            repeat: Added to the seed of the recipe: initial weights and order of images are others,
                the split of the data stays.

        Raises:
            DivergenceError: Once the loss is not finite.
            DeviceMemoryError: If the memory of the device does not suffice; what was used is free
                again.
            DeviceError: If the device fails in another way.
            Interrupted: Once `should_stop` says so.
        """
        recipe = self._definition.training()
        seed = candidate_seed(recipe.seed + repeat, genotype)

        def train() -> Evaluation:
            network = self._build(genotype, precision, seed)
            if self._parent is not None and precision == "binary":
                inherit(network, self._parent)
            if recipe.epochs == 0:
                return untrained(network, self._data("search"), seed)
            training = Training(network, self._data("search"), recipe, seed)
            return scored(training, seed, self._scoring("search"), should_stop)

        return on_device(self.device, train)

    def train_parent(
        self, checkpoint: bytes | None, keep: Keep, should_stop: Callable[[], bool]
    ) -> tuple[Evaluation, bytes]:
        """Trains the parent: the network of the greatest ratios and bits, by its own recipe.

        Args:
            checkpoint: State to continue from; None: train from the beginning.
            keep: Called after each epoch.
            should_stop: Asked before every step.

        Returns:
            The evaluation, and the weights (safetensors).

        Raises:
            DefinitionError: If the definition has no parent.
            Exception: The same as `evaluate`.
        """
        recipe = self._definition.parent
        if recipe is None:
            raise DefinitionError(f"definition {self._definition.name} has no [parent]; add one")
        top = self._space.largest
        seed = candidate_seed(recipe.seed, top)

        def train() -> tuple[Evaluation, bytes]:
            network, sandwich = self._build(top, "binary", seed), None
            if recipe.rule == "sandwich":
                sandwich = Sandwich(self._space, lambda g: self._build(g, "binary", 0))
            training = Training(network, self._data("search"), recipe, seed, sandwich=sandwich)
            if checkpoint is not None:
                training.restore(safetensors.torch.load(checkpoint))
            found = scored(training, seed, self._scoring("search"), should_stop, keep)
            return found, safetensors.torch.save(_weights(training.network))

        return on_device(self.device, train)

    def train_final(
        self, task: FinalTask, keep: Keep, should_stop: Callable[[], bool]
    ) -> tuple[Evaluation, bytes]:
        """Trains a network on training and validation images; then scores it on the test images.

        Args:
            task: What to train.
            keep: Called after each epoch.
            should_stop: Asked before every step.

        Returns:
            The evaluation, on the test images, which are scored once; and the model file.

        Raises:
            Exception: The same as `evaluate`.
        """
        if self._group is not None:
            self._group.send(task.to_bytes())

        def train() -> tuple[Evaluation, bytes]:
            training = self._final(task)
            seconds, speed = timed(training, should_stop, keep)
            accuracy, top5 = score_top(training.network, self._data("final"), (1, 5))
            found = Evaluation(
                accuracy=accuracy,
                top5=top5,
                images=self._scoring("final"),
                epochs=len(training.losses),
                seed=task.seed,
                train_seconds=seconds,
                images_per_second=speed,
                loss_per_epoch=tuple(training.losses),
            )
            arrays = {name: t.numpy() for name, t in _weights(training.network).items()}
            card = self._card(task, accuracy, top5, training.losses)
            return found, to_bytes(Model(card, arrays))

        try:
            return on_device(self.device, train)
        except DeviceMemoryError as error:
            if self._group is None:
                raise
            # The others wait for this process, and another try of it cannot reach them.
            raise DeviceError(str(error)) from None
        except Exception:
            if self._group is None or (said := self._group.lost()) is None:
                raise
            # Whatever was raised here came of that; the next try has another process.
            raise DeviceError(f"{said}; its own error is in the same log") from None

    def follow(self) -> None:
        """Trains with the first process of the group, until that dismisses it."""
        if self._group is None:
            return
        while message := self._group.receive():
            self.load("final")
            self._final(FinalTask.from_bytes(message)).run()

    def dismiss(self) -> None:
        """Lets the other processes of the group end."""
        if self._group is not None:
            self._group.send(b"")

    def _final(self, task: FinalTask) -> Training:
        """A final training, at its beginning or at its checkpoint."""
        network = self._build(task.genotype, task.precision, task.seed)
        # The other processes of a group get the weights of the first one.
        if task.recipe.inherits and task.precision == "binary" and self._is_first():
            if self._parent is None:
                raise DefinitionError("[final] inherits, but there are no weights of a parent")
            inherit(network, self._parent)
        data = self._data("final")
        training = Training(network, data, task.recipe, task.seed, scores=False, group=self._group)
        if task.checkpoint is not None:
            training.restore(safetensors.torch.load(task.checkpoint))
        return training

    def _is_first(self) -> bool:
        return self._group is None or self._group.rank == 0

    def _data(self, purpose: Purpose) -> DeviceData:
        self.load(purpose)
        return self._loaded[purpose][1]

    def _scoring(self, purpose: Purpose) -> int:
        """The number of images that networks are scored on."""
        return len(self._loaded[purpose][0].scoring.rows)

    def _build(self, genotype: Genotype, precision: Precision, seed: int) -> nn.Module:
        widths = self._space.widths_of(genotype, self._network.base_widths)
        specs = self._network.layers(widths, precision)
        torch.manual_seed(seed)
        options = self._definition.network_options()
        made: nn.Module = (self._network.module or build)(specs, options.binarizer)
        set_constants(made, options.binarizer_constants)
        return made

    def _card(self, task: FinalTask, accuracy: float, top5: float, losses: Sequence[float]) -> Card:
        definition, network = self._definition, self._network
        genotype, precision = task.genotype, task.precision
        images, data = self._loaded["final"]
        widths = self._space.widths_of(genotype, network.base_widths)
        total = flops(network, widths, precision)
        # In the form that JSON gives back, so that what is read again equals what was written.
        made = {
            "definition": definition.model_dump(mode="json"),
            "recipe": task.recipe.model_dump(mode="json"),
            "genotype": list(genotype),
            "seed": task.seed,
            "data_hash": images.content_hash,
            "evaluation_version": EVALUATION_VERSION,
            "versions": {
                "python": platform.python_version(),
                **{p: version(p) for p in ("moo-bnas", "torch", "numpy")},
            },
            "device": self.device,
            "train_images": len(images.train.rows),
            "test_images": len(images.scoring.rows),
            "loss_per_epoch": list(losses),
        }
        return Card(
            network=network.name,
            binarizer=definition.network_options().binarizer,
            precision=precision,
            ratios=self._space.decode(genotype),
            widths=widths[: len(widths) - network.bit_genes],
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
            accuracy=accuracy,
            top5=top5,
            made=made,
        )


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
