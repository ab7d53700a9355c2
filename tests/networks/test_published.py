from __future__ import annotations

import pytest

from moo_bnas.networks import make_network
from moo_bnas.networks.published import PUBLISHED, Published

ROWS = {each.name: each for each in PUBLISHED}


@pytest.mark.parametrize(
    ("name", "megaflops"),
    [("PCNN", "169.03"), ("ABC-Net {5/3}", "520.21"), ("ABC-Net {5/5}", "785.14")],
)
def test_rows_of_the_papers_table_2(name: str, megaflops: str) -> None:
    """It prints 169, 520 and 785 M."""
    flops = ROWS[name].flops(lambda d, s: make_network("resnet18", downsampling=d, shortcuts=s))
    assert f"{flops / 1e6:.2f}" == megaflops


def test_every_binary_conv_is_counted_as_often_as_bases_are_combined() -> None:
    network = make_network("resnet18", base_width=1, stem="small")
    layers = network.layers(network.base_widths, "binary")
    binary = sum(
        s.kernel**2 * s.in_channels * s.out_channels * s.out_size**2 / 64
        for s in layers
        if s.precision == "binary"
    )
    ones = Published("1x").flops(lambda *_: network)
    assert ROWS["ABC-Net {5/3}"].flops(lambda *_: network) == pytest.approx(ones + 14 * binary)
