"""FLOPs of published binary networks in the shape of ResNet-18, counted by this cost model.

They are those that Table 2 of Shen et al. 2019 compares with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from moo_bnas.networks.cost import layer_flops
from moo_bnas.networks.network import Network
from moo_bnas.networks.resnet18 import Downsampling


@dataclass(frozen=True)
class Published:
    """A published network: ResNet-18 at 1x, with differences.

    Attributes:
        name: Name in tables.
        convs: Binary convs that stand in place of each binary conv.
        downsampling: Precision of the shortcuts that change the shape.
        counts_sums: Whether an operation is counted per output element of a sum: the paper counts
            the sums of shortcuts that a network has in addition, one per block.
    """

    name: str
    convs: int = 1
    downsampling: Downsampling = "binary"
    counts_sums: bool = False

    def flops(self, make: Callable[[Downsampling], Network]) -> float:
        """FLOPs of it.

        Args:
            make: Makes the ResNet-18 with such shortcuts.
        """
        network = make(self.downsampling)
        layers = network.layers(network.base_widths, "binary")
        total = sum(
            float(layer_flops(layer)) * (self.convs if layer.precision == "binary" else 1)
            for layer in layers
        )
        sums = sum(
            layer.out_channels * layer.out_size**2 for layer in layers if layer.kind == "add"
        )
        return total + (int(sums) if self.counts_sums else 0)


PUBLISHED = (
    # Gu et al., AAAI 2019, with one projection.
    Published("PCNN", downsampling="real", counts_sums=True),
    # Lin et al., NeurIPS 2017, {bases of weights/bases of activations}; the paper's Table 2 prints
    # {5/3} in both rows, but 785 M is the cost of {5/5}.
    Published("ABC-Net {5/3}", convs=15),
    Published("ABC-Net {5/5}", convs=25),
)
