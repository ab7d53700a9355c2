"""How long training takes on a device, measured on a few steps."""

from __future__ import annotations

import time

import torch
from torch import nn

from moo_bnas.definition import Definition
from moo_bnas.errors import Interrupted
from moo_bnas.evolution.space import Genotype
from moo_bnas.networks.module import build
from moo_bnas.recipe import ParentRecipe, Recipe
from moo_bnas.training.device_data import DeviceData
from moo_bnas.training.loop import Training
from moo_bnas.training.sandwich import Sandwich

_BRIEF = 2.0  # seconds of an epoch in which starting up counts for much


def seconds_per_epoch(
    definition: Definition, recipe: Recipe, data: DeviceData, genotype: Genotype, limit: float
) -> float:
    """Seconds of one epoch of a binary network, scoring included where it fits into the limit.

    Args:
        definition: Definition that the network is from.
        recipe: How it is trained.
        data: Data on the device.
        genotype: Genotype of the network.
        limit: Seconds after which an epoch is broken off; the rest of it is extrapolated.

    Raises:
        DivergenceError: If the loss is not finite.
    """
    torch.set_num_threads(1)  # as workers do
    network, space = definition.make_network(), definition.make_space()

    def build_one(genotype: Genotype) -> nn.Module:
        specs = network.layers(space.widths_of(genotype, network.base_widths), "binary")
        made: nn.Module = (network.module or build)(specs, definition.network_options().binarizer)
        return made

    torch.manual_seed(0)
    sandwich = None
    if isinstance(recipe, ParentRecipe) and recipe.rule == "sandwich":
        sandwich = Sandwich(space, build_one)
    training = Training(build_one(genotype), data, recipe, 0, sandwich=sandwich)
    found = _epoch(training, recipe, data, limit)
    if found < _BRIEF and not training.is_over:
        found = _epoch(training, recipe, data, limit)  # without what only the first one does
    return found


def _epoch(training: Training, recipe: Recipe, data: DeviceData, limit: float) -> float:
    steps, began = 0, time.perf_counter()

    def should_stop() -> bool:
        nonlocal steps
        steps += 1
        return steps > 2 and time.perf_counter() - began > limit

    try:
        training.run_epoch(should_stop)
    except Interrupted:
        if data.device.type == "cuda":
            torch.cuda.synchronize(data.device)
        whole = max(len(data.train.rows) // recipe.batch_size, 1)
        return (time.perf_counter() - began) / (steps - 1) * whole
    return time.perf_counter() - began
