from __future__ import annotations

import pytest
import torch

from moo_bnas.networks import make_network
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.module import build
from moo_bnas.training.inheritance import inherit

NETWORKS = {
    "vgg_small": make_network("vgg_small", ImageShape(8, 1, 10), base_width=4),
    "resnet18": make_network("resnet18", ImageShape(32, 3, 10), base_width=4, stem="small"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_candidates_begin_with_the_first_channels(name: str) -> None:
    network = NETWORKS[name]
    torch.manual_seed(0)
    parent = build(network.layers([4 * w for w in network.base_widths], "binary"))
    parent.train()(torch.randn(8, network.image.channels, network.image.size, network.image.size))
    widths = [w * (1 + i % 3) for i, w in enumerate(network.base_widths)]
    if name == "resnet18":
        widths = [w // 2 for w in widths]
    child = build(network.layers(widths, "binary"))
    inherit(child, parent.state_dict())
    for key, tensor in child.state_dict().items():
        source = parent.state_dict()[key]
        match tensor.dim():
            case 4:
                expected = source[: tensor.shape[0], : tensor.shape[1]]
            case 2:
                expected = source[:, : tensor.shape[1]]
            case 1:
                expected = source[: tensor.shape[0]]
            case _:
                expected = source
        assert torch.equal(tensor, expected), key
    assert any("running_var" in k and (v != 1).any() for k, v in child.state_dict().items())


def test_the_linear_layer_keeps_the_features_of_its_channels() -> None:
    # 8x8 images come to 1x1, 16x16 ones to 2x2: four features a channel, side by side
    network = make_network("vgg_small", ImageShape(16, 1, 3), base_width=1)
    parent = build(network.layers([4 * w for w in network.base_widths], "binary"))
    child = build(network.layers(network.base_widths, "binary"))
    with torch.no_grad():
        weight = parent.layers["linear"].weight
        weight.copy_(torch.arange(weight.numel()).reshape(weight.shape))  # type: ignore[operator,arg-type]
    inherit(child, parent.state_dict())
    channels = network.base_widths[-1]
    kept = parent.layers["linear"].weight.reshape(3, 4 * channels, 2, 2)[:, :channels]  # type: ignore[operator]
    assert torch.equal(child.layers["linear"].weight.reshape(3, channels, 2, 2), kept)  # type: ignore[operator]


def test_the_parents_own_architecture_inherits_all() -> None:
    network = NETWORKS["vgg_small"]
    torch.manual_seed(0)
    parent, child = (build(network.layers(network.base_widths, "binary")) for _ in range(2))
    inherit(child, parent.state_dict())
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(parent.eval()(x), child.eval()(x))
