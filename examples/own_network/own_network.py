"""An example of a network of one's own: two convs, and a module that scales its logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moo_bnas.networks.layers import (
    Channels,
    ImageShape,
    LayerList,
    LayerSpec,
    Precision,
    check_widths,
)
from moo_bnas.networks.network import Network

GENES = ("first", "second")


def two_convs(
    image: ImageShape = ImageShape(8, 1, 10), base_width: int = 4, temperature: float = 1.0
) -> Network:
    """A full-precision conv, a binary conv, global average pool, one linear layer.

    `image` and the options come from a definition: whatever [network] holds beside `name` and
    `binarizer`.
    """

    def layers(widths: Sequence[Channels], precision: Precision) -> list[LayerSpec]:
        check_widths(widths, GENES)
        net = LayerList(image, precision)
        net.conv("conv1", widths[0], kernel=3, precision="full")
        net.batch_norm("bn1")
        net.activation("act1")
        net.conv("conv2", widths[1], kernel=3)
        net.batch_norm("bn2")
        net.relu("act2")
        net.global_average_pool("pool")
        net.linear("linear")
        return net.specs

    def module(specs: Sequence[LayerSpec], binarizer: str) -> Any:
        """Only where the specs do not say it all: here, the logits are scaled.

        Imports torch here and not above: the costs need only the specs.
        """
        from torch import Tensor, nn

        from moo_bnas.networks.module import build

        class Scaled(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = build(specs, binarizer)

            def forward(self, x: Tensor) -> Tensor:
                logits: Tensor = self.inner(x)
                return logits / temperature

        return Scaled()

    return Network("two_convs", image, GENES, (base_width, base_width), layers, module)
