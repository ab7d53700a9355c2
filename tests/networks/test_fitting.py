from __future__ import annotations

from dataclasses import replace

import pytest

from moo_bnas.networks import make_network
from moo_bnas.networks.fitting import check_fit
from moo_bnas.networks.layers import PRECISIONS, ImageShape, LayerList, LayerSpec, Precision


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("vgg_small", ImageShape(8, 1, 10)),
        ("vgg_small", ImageShape(224, 3, 1000)),
        ("resnet18", ImageShape(8, 1, 10)),
        ("resnet18", ImageShape(224, 3, 1000)),
    ],
)
def test_shipped_networks_fit_at_four_times_their_width(
    name: str, image: ImageShape, precision: Precision
) -> None:
    network = make_network(name, image)
    check_fit(network.layers([4 * width for width in network.base_widths], precision), image)


def _specs() -> list[LayerSpec]:
    net = LayerList(ImageShape(4, 1, 2), "binary")
    net.conv("conv", 3, kernel=3)
    net.global_average_pool("pool")
    net.linear("linear")
    return net.specs


def test_activations_are_counted() -> None:
    assert check_fit(_specs(), ImageShape(4, 1, 2)) == 3 * 4 * 4 + 3 + 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"out_channels": 10**18}, "got 1000000000000000000 as out_channels of conv, expected 1"),
        ({"out_channels": 10**5000}, r"got about 10\^\d+ as out_channels of conv, expected 1"),
        ({"inputs": ("linear",)}, "conv reads 'linear', which no step before it makes"),
        ({"in_channels": 2}, "conv has 2 in_channels and reads 1"),
        ({"out_size": 5}, "conv says 3 channels of size 5, but it gives 3 channels of size 4"),
        ({"padding": 2}, "got 2 as padding of conv, expected 0 to 1"),
        ({"kernel": 10**6, "padding": 5 * 10**5}, "as kernel of conv, expected 1 to 9"),
    ],
)
def test_a_step_that_does_not_fit_is_named(change: dict[str, object], told: str) -> None:
    first, *rest = _specs()
    with pytest.raises(ValueError, match=told):
        check_fit([replace(first, **change), *rest], ImageShape(4, 1, 2))  # type: ignore[arg-type]


def test_the_last_step_is_one_of_the_classes() -> None:
    with pytest.raises(ValueError, match="linear gives 2 numbers, expected one .* of 3 classes"):
        check_fit(_specs(), ImageShape(4, 1, 3))
    with pytest.raises(ValueError, match="expected one number for each of 2 classes"):
        check_fit(_specs()[:1], ImageShape(4, 1, 2))
