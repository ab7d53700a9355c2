"""VGG-small, the CIFAR-10 network of the paper (after Zhao et al., HWGQ, CVPR 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import Precision
from moo_bnas.networks.layers import Channels, ImageShape, LayerList, LayerSpec, check_widths
from moo_bnas.networks.network import Network

GENES = tuple(f"conv{i}" for i in range(1, 7))
MULTIPLES = (1, 1, 2, 2, 4, 4)


def vgg_small(image: ImageShape = ImageShape(32, 3, 10), base_width: int = 128) -> Network:
    """Six 3x3 convs with a 2x2 max-pool after every second one, then one linear layer.

    Pooling comes before batch norm, because a maximum over binarized values is nearly always 1.
    Conv 1 and the linear layer are full precision. The bias of a conv is counted, at the precision
    of the conv, but not built, because the batch norm after the conv would cancel it.

    Args:
        image: Shape of the input images; their size must be a multiple of 8.
        base_width: Channels of conv 1 at ratio 1.

    Raises:
        DefinitionError: If the image size is not a multiple of 8.
    """
    if image.size % 8:
        raise DefinitionError(
            f"vgg_small got images of {image.size}x{image.size}, expected a multiple of 8 "
            "(three max-pools halve them); resize the images"
        )

    def layers(widths: Sequence[Channels], precision: Precision) -> list[LayerSpec]:
        check_widths(widths, GENES)
        net = LayerList(image, precision)
        for i, width in enumerate(widths, start=1):
            first: Precision | None = "full" if i == 1 else None
            net.conv(f"conv{i}", width, kernel=3, precision=first, extra_ops=1)
            if i % 2 == 0:
                net.max_pool(f"pool{i}", kernel=2, stride=2)
            net.batch_norm(f"bn{i}")
            if i < len(widths):
                net.activation(f"act{i}")
            else:
                net.relu(f"act{i}")
        net.flatten("flatten")
        net.linear("linear")
        return net.specs

    return Network(
        name="vgg_small",
        image=image,
        genes=GENES,
        base_widths=tuple(base_width * m for m in MULTIPLES),
        layers=layers,
    )
