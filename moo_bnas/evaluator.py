"""Evaluates candidates of one definition: builds, trains and scores them on one device."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from moo_bnas.definition import Definition
from moo_bnas.errors import DefinitionError
from moo_bnas.fingerprint import candidate_seed
from moo_bnas.networks.layers import Precision
from moo_bnas.networks.module import build
from moo_bnas.space import Genotype
from moo_bnas.training import to_device, train_and_score


class Evaluator:
    """The data of a definition, on a device, and what is needed to evaluate any candidate.

    Args:
        definition: Of the run.
        device: `auto`, `cpu` or `cuda:N`.
        data_root: The folder below which data sets lie.

    Attributes:
        device: The name of the hardware.
        data_hash: Of the data set's content.

    Raises:
        DefinitionError: Where this machine has no such device.
        DataError: Where the data are missing or broken.
    """

    def __init__(self, definition: Definition, device: str, data_root: Path) -> None:
        torch.set_num_threads(1)
        where = _torch_device(device)
        images = definition.data.load(data_root, definition.recipe.seed, "search")
        self._definition = definition
        self._space = definition.make_space()
        self._network = definition.make_network()
        self._data = to_device(images, self._network.image.size, where)
        self.data_hash = images.content_hash
        self.device = torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu"

    def evaluate(
        self, genotype: Genotype, precision: Precision, should_stop: Callable[[], bool]
    ) -> dict[str, Any]:
        """Trains and scores one candidate.

        Returns:
            accuracy, accuracy_per_epoch (percent), epochs, seed, train_seconds, images_per_second.

        Raises:
            DivergenceError: Once the loss is not finite.
            Interrupted: Once `should_stop` says so.
        """
        recipe = self._definition.recipe
        widths = self._space.widths_of(genotype, self._network.base_widths)
        specs = self._network.layers(widths, precision)
        seed = candidate_seed(recipe.seed, genotype)
        started = time.perf_counter()
        torch.manual_seed(seed)
        network = (self._network.module or build)(specs, self._definition.network.binarizer)
        accuracies = train_and_score(network, self._data, recipe, seed, should_stop)
        seconds = time.perf_counter() - started
        return {
            "accuracy": accuracies[-1],
            "accuracy_per_epoch": accuracies,
            "epochs": len(accuracies),
            "seed": seed,
            "train_seconds": round(seconds, 3),
            "images_per_second": round(len(accuracies) * len(self._data.train.rows) / seconds, 1),
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
