"""Weight inheritance: candidates begin with the first channels of a wider, trained parent."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def inherit(network: nn.Module, parent: Mapping[str, Tensor]) -> None:
    """Gives a network the first channels of each layer of its parent.

    That is the first filters of a conv and of each the first input channels, the same channels of
    a batch norm with its running statistics, and of a linear layer the features of those channels
    (flattening puts the positions of one channel side by side). (The paper does so on ImageNet.)

    Args:
        network: Of the parent's structure, each layer as wide or narrower.
        parent: Its state, by name; on any device.
    """
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            tensor.copy_(parent[name][tuple(slice(n) for n in tensor.shape)])
