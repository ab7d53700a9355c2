"""Batch norm statistics of a network that was not trained at its own widths."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from moo_bnas.training.device_data import DeviceData

IMAGES = 2048
"""Number of training images that statistics are measured on, at most."""
_BATCH = 512


def recalibrate(network: nn.Module, data: DeviceData, seed: int) -> int:
    """Replaces the running statistics of all batch norms by those of training images.

    A slice of a wider network sums fewer products, so the wide network's statistics are wrong for
    it. All other layers compute as in scoring.

    Args:
        network: Network on the device of the data.
        data: Data whose training images are used, not augmented.
        seed: Seed of the choice of images.

    Returns:
        The number of images used.
    """
    rows = data.train.rows
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(rows), generator=random)[:IMAGES].to(rows.device)
    network.eval()
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over batches
        norm.train()
    batches = -(-len(drawn) // _BATCH)
    with torch.inference_mode():
        parts = torch.tensor_split(rows[drawn], batches)
        for images, _ in data.train.plain(parts, data.size, data.device):
            network(data.normalise(images))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    return len(drawn)
