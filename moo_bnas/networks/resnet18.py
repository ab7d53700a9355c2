"""ResNet-18, the ImageNet network of the paper (He et al., CVPR 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import Precision
from moo_bnas.networks.layers import Channels, ImageShape, LayerList, LayerSpec, check_widths
from moo_bnas.networks.network import Network, check_choice

STAGES = tuple(f"stage{i}" for i in range(1, 5))
BLOCKS = tuple(f"block{i}" for i in range(1, 9))

Stem = Literal["imagenet", "small"]
Downsampling = Literal["binary", "real"]
Shortcuts = Literal["block", "conv"]


def resnet18(
    image: ImageShape = ImageShape(224, 3, 1000),
    base_width: int = 64,
    stem: Stem = "imagenet",
    downsampling: Downsampling = "binary",
    shortcuts: Shortcuts = "block",
    *,
    react: bool = False,
) -> Network:
    """A stem, four stages of two basic blocks each, global average pool, one linear layer.

    Twelve genes: the widths of the four stages (the first is also the width of the stem), then the
    middle width of each of the eight blocks. Every sum adds two tensors that are as wide as their
    stage, so every genotype is a valid network. With a shortcut around each conv a block is as wide
    as its stage in its middle, too, so only the widths of the four stages are genes.

    The stem and the linear layer are full precision; shortcuts that change the shape are 1x1 convs,
    binary by default. Batch norms count one operation per output element, the max-pool of the stem
    nine.

    Args:
        image: Shape of the input images: 224x224 for the ImageNet stem, 32x32 for the small one.
        base_width: Channels of stage 1 at ratio 1.
        stem: `imagenet`: 7x7 conv of stride 2 and 3x3 max-pool of stride 2; `small`: 3x3 conv.
        downsampling: `binary`: shortcuts that change the shape are binary convs of binarized
            values; `real`: full-precision convs of the values themselves.
        shortcuts: `block`: real-valued shortcuts around two convs each; `conv`: around each conv,
            as in Bi-Real Net (Liu et al., ECCV 2018). The sums that this adds, one per block, count
            one operation per output element. Where the shape changes, Bi-Real Net takes the mean of
            2x2 pixels before its 1x1 conv, and this network one of the four, at the same cost.
        react: Only with shortcuts around each conv: learned thresholds of each channel before the
            binarizers, and after each sum a PReLU between two learned shifts of each channel, as in
            ReActNet (Liu et al., ECCV 2020). The latter count three operations per output element;
            thresholds cost nothing.

    Raises:
        DefinitionError: If an option has no such value, or `react` goes without such shortcuts.
    """
    check_choice("resnet18", "shortcuts", shortcuts, ("block", "conv"))
    check_choice("resnet18", "react", react, (False, True))
    if react and shortcuts != "conv":
        raise DefinitionError(
            "resnet18 got react = true without a shortcut around each conv; add shortcuts = "
            '"conv", or remove react'
        )
    real, each = downsampling == "real", shortcuts == "conv"
    genes = STAGES if each else STAGES + BLOCKS

    def layers(widths: Sequence[Channels], precision: Precision) -> list[LayerSpec]:
        check_widths(widths, genes)
        stages = widths[:4]
        middles = [w for w in stages for _ in range(2)] if each else widths[4:]
        net = LayerList(image, precision)
        if stem == "imagenet":
            net.conv("stem", stages[0], kernel=7, stride=2, precision="full")
            net.batch_norm("stem_bn", extra_ops=1)
            last = net.max_pool("stem_pool", kernel=3, stride=2, padding=1, extra_ops=9)
        else:
            net.conv("stem", stages[0], kernel=3, precision="full")
            last = net.batch_norm("stem_bn", extra_ops=1)
        for i, (block, middle) in enumerate(zip(BLOCKS, middles, strict=True)):
            stage, opens_stage = i // 2, i > 0 and i % 2 == 0
            stride = 2 if opens_stage else 1
            act = _activation(net, f"{block}_act1", react=react)
            net.conv(f"{block}_conv1", middle, kernel=3, stride=stride)
            branch = net.batch_norm(f"{block}_bn1", extra_ops=1)
            if not each:
                net.activation(f"{block}_act2")
                net.conv(f"{block}_conv2", stages[stage], kernel=3)
                branch = net.batch_norm(f"{block}_bn2", extra_ops=1)
            if opens_stage:
                net.conv(
                    f"{block}_short",
                    stages[stage],
                    kernel=1,
                    stride=stride,
                    reads=last if real else act,
                    precision="full" if real else None,
                )
                last = net.batch_norm(f"{block}_short_bn", extra_ops=1)
            if each:
                last = net.add(f"{block}_add1", branch, last, extra_ops=1)
                last = _shifted_prelu(net, last) if react else last
                _activation(net, f"{block}_act2", react=react)
                net.conv(f"{block}_conv2", stages[stage], kernel=3)
                branch = net.batch_norm(f"{block}_bn2", extra_ops=1)
            last = net.add(f"{block}_add", branch, last)
            last = _shifted_prelu(net, last) if react else last
        net.relu("relu")
        net.global_average_pool("pool")
        net.linear("linear")
        return net.specs

    per_stage = [base_width * m for m in (1, 2, 4, 8)]
    return Network(
        name="resnet18",
        image=image,
        genes=genes,
        base_widths=(*per_stage, *(w for w in per_stage for _ in range(2)))[: len(genes)],
        layers=layers,
    )


def _activation(net: LayerList, name: str, *, react: bool) -> str:
    """A binarizer, with a threshold of each channel if asked for; in the twin a ReLU alone."""
    if react and net.precision == "binary":
        net.bias(f"{name}_threshold", extra_ops=0)
    return net.activation(name)


def _shifted_prelu(net: LayerList, name: str) -> str:
    """A PReLU between two shifts of the last step, which is called `name`."""
    net.bias(f"{name}_before")
    net.nonlinearity(f"{name}_prelu", "prelu")
    return net.bias(f"{name}_after")
