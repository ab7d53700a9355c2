"""Networks of a definition, trained as its search or its final training trains them, and kept."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import safetensors.torch
import torch
from kept import Kept

from moo_bnas.data import Purpose
from moo_bnas.definition import Definition
from moo_bnas.evolution.space import Genotype
from moo_bnas.fingerprint import candidate_seed
from moo_bnas.networks.module import build, set_constants
from moo_bnas.training.device_data import DeviceData, to_device
from moo_bnas.training.evaluator import Evaluator
from moo_bnas.training.inheritance import inherit
from moo_bnas.training.loop import Training, score
from moo_bnas.training.recalibration import recalibrate


@dataclass(frozen=True, eq=False)
class Bench:
    """What every process needs to train networks.

    Attributes:
        definition: Definition of the searches.
        root: Folder that contains the data sets.
        keep: Folder that keeps training runs.
    """

    definition: Definition
    root: Path
    keep: Path | None

    def parent(self) -> dict[str, float]:
        """Accuracy and seconds of the parent."""
        return self._parent()[0]

    @cache  # noqa: B019, the one bench of a process lives as long as that
    def _parent(self) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
        evaluator = Evaluator(self.definition, "cpu", self.root)

        def make() -> bytes:
            began = time.process_time()
            found, weights = evaluator.train_parent(None, lambda *_: None, lambda: False)
            values = {"accuracy": found.accuracy, "seconds": time.process_time() - began}
            return json.dumps(values).encode() + b"\n" + weights

        key = ["parent", self.definition.parent_fingerprint(evaluator.load("search"))]
        head, _, weights = Kept(self.keep).content(key, make, ".parent").partition(b"\n")
        return json.loads(head), safetensors.torch.load(weights)

    @cache  # noqa: B019
    def data(self, purpose: Purpose) -> tuple[DeviceData, str]:
        """Images for a purpose, and the hash of their content."""
        size = self.definition.make_network().image.size
        images = self.definition.data.load(self.root, self.definition.recipe.seed, purpose)
        return to_device(images, size, torch.device("cpu")), images.content_hash

    @cache  # noqa: B019
    def fingerprint(self, way: str) -> str:
        """The fingerprint of what `train` does."""
        definition, data_hash = self.definition, self.data(_purpose(way))[1]
        parent = None
        if definition.parent is not None:
            parent = definition.parent_fingerprint(self.data("search")[1])
        if way != "search":
            return definition.final_fingerprint("binary", data_hash, parent)
        return definition.fingerprint("binary", data_hash, parent)

    def train(self, way: str, tested: bool, genotype: Genotype, seed: int) -> dict[str, float]:
        """Trains a network by a recipe whose seed is `seed`.

        Args:
            way: `search`, as the search does; `final`, as `moo-bnas train` does; `confirmed`, by
                that recipe on the images of the search.
            tested: Whether it is scored on the test images.
            genotype: Genotype of the network.
            seed: Seed.

        Returns:
            Accuracies on the `validation` images, but after final training, and on the `test`
            images, where `tested`; and the CPU `seconds` of training and validation.
        """
        torch.set_num_threads(1)
        definition = self.definition
        final = definition.final_recipe() if way != "search" else None
        recipe = final or definition.training()
        inherits = definition.parent is not None if final is None else final.inherits

        def make() -> dict[str, float]:
            data, parent = self.data(_purpose(way))[0], self._parent()[1] if inherits else {}
            began, found = time.process_time(), {}
            network, space = definition.make_network(), definition.make_space()
            own = candidate_seed(seed, genotype)
            specs = network.layers(space.widths_of(genotype, network.base_widths), "binary")
            torch.manual_seed(own)
            module = build(specs, definition.network.binarizer)
            set_constants(module, definition.network.binarizer_constants)
            if inherits:
                inherit(module, parent)
            if recipe.epochs:
                training = Training(module, data, recipe, own, scores=False)
                training.run()
                module = training.network
            else:
                module = module.to(memory_format=torch.channels_last)
                recalibrate(module, data, own)
            if way != "final":
                found["validation"] = score(module, data)
            found["seconds"] = time.process_time() - began
            if tested:
                found["test"] = score(module, replace(data, scoring=self.data("final")[0].scoring))
            print(".", end="", file=sys.stderr, flush=True)
            return found

        return Kept(self.keep).values(
            [way, tested, self.fingerprint(way), list(genotype), seed], make
        )


def _purpose(way: str) -> Purpose:
    return "final" if way == "final" else "search"


_bench: list[Bench] = []  # the one of this process


def start(bench: Bench) -> None:
    """Prepares a process of a pool."""
    _bench.append(bench)


def train(way: str, tested: bool, task: tuple[Genotype, int]) -> dict[str, float]:
    """`Bench.train` in a process of a pool."""
    return _bench[0].train(way, tested, *task)
