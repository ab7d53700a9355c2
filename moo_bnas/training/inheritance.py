"""Weight inheritance: candidates begin with the first channels of a wider, trained parent."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def inherit(network: nn.Module, parent: Mapping[str, Tensor]) -> None:
    """Gives a network the first channels of each layer of its parent.

    Of a conv these are the first filters, and of each filter the first input channels; of a batch
    norm the same channels, with their running statistics; of a linear layer the features of those
    channels (flattening puts the positions of one channel side by side). The paper does so on
    ImageNet.

    Args:
        network: Network with the structure of the parent, each layer as wide or narrower.
        parent: State of the parent, by name; on any device.
    """
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            tensor.copy_(first_channels(parent[name], tensor.shape))


def first_channels(wide: Tensor, shape: torch.Size) -> Tensor:
    """The part of a parent's tensor that belongs to the first channels; a view.

    Args:
        wide: Tensor of the parent.
        shape: Shape of the same tensor in the narrower network.
    """
    # Channels come first in every shape, so one slice per dimension serves all layers.
    return wide[tuple(slice(n) for n in shape)]
