"""The results that the paper prints, for comparison.

Shen et al., Searching for Accurate Binary Neural Architectures, ICCV Workshops 2019. FLOPs and
accuracy as printed; accuracy is measured after final training, on test images.
"""

from __future__ import annotations

from dataclasses import dataclass

from moo_bnas.data import Folder
from moo_bnas.definition import Definition
from moo_bnas.networks.cost import FLOPS
from moo_bnas.networks.layers import ImageShape


@dataclass(frozen=True)
class Published:
    """One printed row.

    Attributes:
        name: Name as printed.
        flops: Multiply-accumulates; those of binary layers count 1/64.
        top1: Top-1 accuracy in percent.
        top5: Top-5 accuracy in percent; None if none is printed.
    """

    name: str
    flops: float
    top1: float
    top5: float | None = None


@dataclass(frozen=True)
class PublishedTable:
    """One printed table; `source` is how to cite it."""

    source: str
    rows: tuple[Published, ...]


_CIFAR10 = PublishedTable(
    "Shen et al. 2019, Table 1",
    (
        Published("Full-Precision", 608e6, 93.48),
        Published("Uniform-1x", 13.2e6, 90.24),
        Published("Uniform-2x", 45.3e6, 91.65),
        Published("Uniform-3x", 96.2e6, 91.87),
        Published("Uniform-4x", 166e6, 92.56),
        Published("VGG-Auto-A", 11.3e6, 92.17),
        Published("VGG-Auto-B", 59.3e6, 93.06),
    ),
)

_IMAGENET = PublishedTable(
    "Shen et al. 2019, Table 2",
    (
        Published("Full-Precision", 1820e6, 69.6, 89.2),
        Published("PCNN", 169e6, 57.3, 80.0),
        Published("ABC{5/3}", 520e6, 62.5, 84.2),
        Published("ABC{5/3}", 785e6, 65.0, 85.9),
        Published("Uniform-1x", 149e6, 52.77, 76.85),
        Published("Uniform-2x", 352e6, 64.0, 85.45),
        Published("Uniform-3x", 607e6, 68.51, 88.25),
        Published("Uniform-4x", 915e6, 70.35, 89.27),
        Published("Res18-Auto-A", 495e6, 68.64, 88.46),
        Published("Res18-Auto-B", 660e6, 69.65, 89.08),
    ),
)


def published(definition: Definition) -> PublishedTable | None:
    """What the paper prints of this network on these images; None if it prints nothing."""
    options, data = definition.network, definition.data
    if definition.cost is not FLOPS or options is None or data is None:
        return None
    network = definition.make_network()
    # CIFAR-10 also exists as a folder of images, and ImageNet as a folder of 1000 classes.
    named = f"{data.name} {data.path if isinstance(data, Folder) else ''}".lower()
    of_cifar10 = any(name in named for name in ("cifar10", "cifar-10", "cifar_10"))
    if (network.name, network.base_widths[0]) == ("vgg_small", 128) and of_cifar10:
        return _CIFAR10 if data.shape == ImageShape(32, 3, 10) else None
    if (network.name, network.base_widths[0]) == ("resnet18", 64) and "imagenet" in named:
        at_stem = options.stem in (None, "imagenet")
        return _IMAGENET if at_stem and data.shape == ImageShape(224, 3, 1000) else None
    return None
