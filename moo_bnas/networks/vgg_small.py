"""VGG-small, the CIFAR-10 network of the paper (after Zhao et al., HWGQ, CVPR 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import Precision
from moo_bnas.networks.layers import (
    Channels,
    ImageShape,
    LayerList,
    LayerSpec,
    Nonlinearity,
    check_widths,
)
from moo_bnas.networks.network import Network, check_choice

GENES = tuple(f"conv{i}" for i in range(1, 7))
MULTIPLES = (1, 1, 2, 2, 4, 4)

Step = Literal["pool", "norm"] | Nonlinearity
Last = Literal["none"] | Nonlinearity

_NONLINEARITIES = get_args(Nonlinearity)


def vgg_small(
    image: ImageShape = ImageShape(32, 3, 10),
    base_width: int = 128,
    block: Sequence[Step] = ("pool", "norm"),
    last: Last = "relu",
    *,
    classifier_bias: bool = False,
) -> Network:
    """Six 3x3 convs with a 2x2 max-pool after every second one, then one linear layer.

    The paper pools before batch norm; a binarizer comes last in a block, since a maximum over
    binarized values is nearly always the higher one. Conv 1 and the linear layer are full
    precision. The bias of a conv is counted, at the precision of the conv, but not built, because
    the batch norm after the conv would cancel it.

    The networks that papers call VGG-small differ in what the last three arguments say. A PReLU and
    the bias of the classifier count one operation per output element.

    Args:
        image: Shape of the input images; their size must be a multiple of 8.
        base_width: Channels of conv 1 at ratio 1.
        block: Steps between a conv and the binarizer after it: `pool` (left out where there is
            none), `norm`, and at most one nonlinearity.
        last: Nonlinearity before the classifier, in place of one that ends the last block.
        classifier_bias: Whether the linear layer has a bias.

    Raises:
        DefinitionError: If the image size is not a multiple of 8, or the block is none of these.
    """
    if image.size % 8:
        raise DefinitionError(
            f"vgg_small got images of {image.size}x{image.size}, expected a multiple of 8 "
            "(three max-pools halve them); resize the images"
        )
    check_choice("vgg_small", "last", last, ("none", *_NONLINEARITIES))
    check_choice("vgg_small", "classifier_bias", classifier_bias, (False, True))
    steps = _checked(block)
    closing = steps[:-1] if steps[-1] in _NONLINEARITIES else steps

    def layers(widths: Sequence[Channels], precision: Precision) -> list[LayerSpec]:
        check_widths(widths, GENES)
        net = LayerList(image, precision)
        for i, width in enumerate(widths, start=1):
            first: Precision | None = "full" if i == 1 else None
            net.conv(f"conv{i}", width, kernel=3, precision=first, extra_ops=1)
            _add(net, steps if i < len(widths) else closing, i)
            if i < len(widths):
                net.activation(f"act{i}")
            elif last != "none":
                net.nonlinearity(f"act{i}", last)
        net.flatten("flatten")
        net.linear("linear")
        if classifier_bias:
            net.bias("bias")
        return net.specs

    return Network(
        name="vgg_small",
        image=image,
        genes=GENES,
        base_widths=tuple(base_width * m for m in MULTIPLES),
        layers=layers,
    )


def _add(net: LayerList, steps: Sequence[Step], i: int) -> None:
    """Adds the steps that follow the conv of this number."""
    for step in steps:
        if step == "norm":
            net.batch_norm(f"bn{i}")
        elif step != "pool":
            net.nonlinearity(f"{step}{i}", step)
        elif i % 2 == 0:
            net.max_pool(f"pool{i}", kernel=2, stride=2)


def _checked(block: Sequence[Step]) -> tuple[Step, ...]:
    """The steps of a block; a DefinitionError if they make none."""
    steps = tuple(block) if isinstance(block, list | tuple) else (block,)
    others = [step for step in steps if step not in ("pool", "norm")]
    if (
        (steps.count("pool"), steps.count("norm")) != (1, 1)
        or len(others) > 1
        or not all(step in _NONLINEARITIES for step in others)
    ):
        raise DefinitionError(
            f"vgg_small got the block {list(steps)!r:.200}, expected 'pool' and 'norm' once each, "
            f"and at most one of {', '.join(map(repr, _NONLINEARITIES))}; correct it"
        )
    return steps
