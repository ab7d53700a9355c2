"""FLOPs of published binary networks in the shape of ResNet-18, counted by this cost model.

They are those that Table 2 of Shen et al. 2019 compares with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from moo_bnas.networks.cost import layer_flops
from moo_bnas.networks.network import Network
from moo_bnas.networks.resnet18 import Downsampling, Shortcuts


@dataclass(frozen=True)
class Published:
    """A published network: ResNet-18 at 1x, with differences.

    Attributes:
        name: Name in tables.
        bases: Bases of weights and of activations; each pair of them is a binary conv.
        downsampling: Precision of the shortcuts that change the shape.
        shortcuts: Around how many convs a shortcut is.
    """

    name: str
    bases: tuple[int, int] = (1, 1)
    downsampling: Downsampling = "binary"
    shortcuts: Shortcuts = "block"

    def flops(self, make: Callable[[Downsampling, Shortcuts], Network]) -> float:
        """FLOPs of it.

        Args:
            make: Makes the ResNet-18 with such shortcuts.
        """
        network = make(self.downsampling, self.shortcuts)
        return sum(
            float(layer_flops(replace(layer, bases=self.bases)))
            for layer in network.layers(network.base_widths, "binary")
        )


# ResNet-18 at 1x is 149.31 M: 26.49 M of binary convs and 122.82 M of the rest.
PUBLISHED = (
    # Gu et al., AAAI 2019, with one projection: real 1x1 convs make it 168.28 M, and 8 more sums of
    # 0.75 M in all 169.03 M.
    Published("PCNN", downsampling="real", shortcuts="conv"),
    # Lin et al., NeurIPS 2017, {bases of weights/bases of activations}: each pair of bases is a
    # binary conv, so 122.82 M + 15 * 26.49 M, and 25 times. The paper's Table 2 prints {5/3} in
    # both rows, but 785 M is the cost of {5/5}.
    Published("ABC-Net {5/3}", bases=(5, 3)),
    Published("ABC-Net {5/5}", bases=(5, 5)),
)
