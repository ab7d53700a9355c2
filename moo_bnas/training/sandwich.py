"""The sandwich rule: narrower networks that learn in the weights of the widest one."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.func import functional_call

from moo_bnas.evolution.space import Genotype, SearchSpace
from moo_bnas.networks.module import set_progress
from moo_bnas.training.inheritance import first_channels

_RANDOM = 2  # random networks per step


class Sandwich:
    """The narrower networks that each step of a parent's training run trains, too.

    In each step these are the narrowest network and two random ones, each made of the first
    channels of the widest one's layers, as `inherit` takes them. They learn the probabilities that
    the widest network gives (Yu and Huang, Universally Slimmable Networks, ICCV 2019). Their batch
    norm statistics are those of the batch and are kept nowhere; the scale of a binary layer is
    computed from the slice.

    Args:
        space: Search space whose networks are trained.
        make: Makes the module of a network of the space; its weights are not used.
    """

    def __init__(self, space: SearchSpace, make: Callable[[Genotype], nn.Module]) -> None:
        self._space = space
        self._make = lru_cache(maxsize=2)(make)  # the narrowest is needed in every step

    def draw(self, steps: int, random: torch.Generator) -> list[list[Genotype]]:
        """The networks of each step of an epoch."""
        space = self._space
        shape = (steps, _RANDOM, len(space.genes) - space.bit_genes)
        drawn = torch.randint(0, len(space.ratios), shape, generator=random)
        if space.bit_genes:
            shape = (steps, _RANDOM, space.bit_genes)
            bits = torch.randint(0, len(space.bits), shape, generator=random)
            drawn = torch.cat([drawn, bits], dim=2)
        return [[space.smallest, *(tuple(row) for row in rows)] for rows in drawn.tolist()]

    def logits(
        self, genotype: Genotype, widest: nn.Module, inputs: Tensor, progress: float
    ) -> Tensor:
        """What a narrower network makes of a batch, n x classes; gradients reach the widest one.

        Args:
            genotype: Genotype of the narrower network.
            widest: Network whose weights it shares.
            inputs: Images, n x channels x size x size.
            progress: Share of the epochs that are done, from 0 to below 1.
        """
        with inputs.device:
            module = self._make(genotype).train()
        set_progress(module, progress)
        wide = dict(widest.named_parameters())
        weights = {
            name: first_channels(wide[name], parameter.shape)
            for name, parameter in module.named_parameters()
        }
        found: Tensor = functional_call(module, weights, (inputs,))
        return found
