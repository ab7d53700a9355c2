from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import SearchSpace
from moo_bnas.networks import make_network
from moo_bnas.networks.cost import (
    FLOPS,
    MEMORY,
    LayerCost,
    flops,
    flops_cost,
    memory_bits,
    one_by_one,
)
from moo_bnas.networks.layers import LayerSpec

VGG = make_network("vgg_small")
RESNET = make_network("resnet18")


# Tables 1 and 2 of Shen et al. 2019, in more digits than they print.
@pytest.mark.parametrize(
    ("ratio", "precision", "megaflops", "megabits"),
    [
        (1, "full", "608.06", "149.01"),
        (1, "binary", "13.19", "7.303"),
        (2, "binary", "45.26", "23.749"),
        (3, "binary", "96.21", "49.336"),
        (4, "binary", "166.02", "84.066"),
    ],
)
def test_vgg_small_costs_what_the_paper_prints(
    ratio: int, precision: Precision, megaflops: str, megabits: str
) -> None:
    widths = [ratio * w for w in VGG.base_widths]
    assert f"{flops(VGG, widths, precision) / 1e6:.2f}" == megaflops
    digits = len(megabits.partition(".")[2])
    assert f"{memory_bits(VGG, widths, precision) / 1e6:.{digits}f}" == megabits


@pytest.mark.parametrize(
    ("ratio", "precision", "megaflops"),
    [
        (1, "full", "1818.36"),
        (1, "binary", "149.31"),
        (2, "binary", "351.60"),
        (3, "binary", "606.88"),
        (4, "binary", "915.15"),
    ],
)
def test_resnet18_costs_what_the_paper_prints(
    ratio: int, precision: Precision, megaflops: str
) -> None:
    widths = [ratio * w for w in RESNET.base_widths]
    assert f"{flops(RESNET, widths, precision) / 1e6:.2f}" == megaflops


def test_real_downsampling_costs_64_times_its_binary_convs() -> None:
    real = make_network("resnet18", downsampling="real")
    # Three 1x1 convs, which give out 128 channels on 28x28, 256 on 14x14 and 512 on 7x7.
    macs = 64 * 128 * 28**2 + 128 * 256 * 14**2 + 256 * 512 * 7**2
    difference = flops(real, real.base_widths) - flops(RESNET, RESNET.base_widths)
    assert difference == macs * 63 / 64
    assert f"{flops(real, real.base_widths) / 1e6:.2f}" == "168.28"


def test_shortcuts_around_each_conv_cost_a_sum_more_per_block() -> None:
    both = make_network("resnet18", downsampling="real", shortcuts="conv")
    sums = 2 * (64 * 56**2 + 128 * 28**2 + 256 * 14**2 + 512 * 7**2)
    real = make_network("resnet18", downsampling="real")
    difference = flops(both, both.base_widths) - flops(real, real.base_widths)
    assert difference == sums == 752640


def test_a_prelu_and_a_bias_cost_an_operation_per_output() -> None:
    network = make_network(
        "vgg_small", block=("prelu", "pool", "norm"), last="prelu", classifier_bias=True
    )
    convs = 2 * (128 * 32**2 + 256 * 16**2 + 512 * 8**2)
    difference = flops(network, network.base_widths) - flops(VGG, VGG.base_widths)
    assert difference == convs + 512 * 4**2 + 10
    same = memory_bits(network, network.base_widths) == memory_bits(VGG, VGG.base_widths)
    assert same  # slopes and biases are left out, as those of batch norms


def test_a_vgg_small_counted_by_hand() -> None:
    network = make_network("vgg_small", base_width=2)
    # conv k*k*c_in + 1 per output; binary layers / 64; maps of 32, 32, 16, 16, 8, 8 pixels
    full = (9 * 3 + 1) * 2 * 32**2 + 4 * 4 * 8 * 10
    binary = (
        (9 * 2 + 1) * 2 * 32**2
        + (9 * 2 + 1) * 4 * 16**2
        + (9 * 4 + 1) * 4 * 16**2
        + (9 * 4 + 1) * 8 * 8**2
        + (9 * 8 + 1) * 8 * 8**2
    )
    assert flops(network, network.base_widths) == full + binary / 64
    bits = 32 * (9 * 3 * 2 + 128 * 10) + 9 * (2 * 2 + 2 * 4 + 4 * 4 + 4 * 8 + 8 * 8)
    assert memory_bits(network, network.base_widths) == bits


@pytest.mark.parametrize("network", [VGG, RESNET], ids=lambda n: n.name)
def test_many_genotypes_at_once_cost_what_each_costs_alone(network: object) -> None:
    assert network in (VGG, RESNET)
    net = VGG if network is VGG else RESNET
    space = SearchSpace(net.genes)

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(0, 5), min_size=len(net.genes), max_size=len(net.genes)))
    def check(genotype: list[int]) -> None:
        genotypes = np.array([genotype, [2] * len(net.genes)])
        widths = space.widths(genotypes, net.base_widths)[0].tolist()
        assert flops_cost(net, space).of(genotypes)[0] == flops(net, widths)
        assert MEMORY.over(net, space).of(genotypes)[0] == memory_bits(net, widths)
        assert FLOPS.each(net, space, [genotype]) == [flops(net, widths)]
        assert MEMORY.each(net, space, [genotype]) == [memory_bits(net, widths)]

    check()


def test_the_whole_space_of_vgg_small_is_one_call() -> None:
    space = SearchSpace(VGG.genes)
    costs = flops_cost(VGG, space).of(space.genotypes())
    assert costs.shape == (46656,)
    assert costs.max() == flops(VGG, [4 * w for w in VGG.base_widths])


def test_the_small_stem_of_resnet18_keeps_32x32_and_has_no_pool() -> None:
    image = make_network("resnet18").image
    small = make_network("resnet18", type(image)(32, 3, 10), stem="small")
    layers = {s.name: s for s in small.layers(small.base_widths, "binary")}
    assert "stem_pool" not in layers
    assert layers["stem"].kernel == 3
    assert [layers[f"block{i}_add"].out_size for i in (1, 3, 5, 7)] == [32, 16, 8, 4]


def test_a_cost_may_be_a_table_looked_up_per_layer() -> None:
    network = make_network("vgg_small", base_width=2)
    space = SearchSpace(network.genes, (0.5, 1.0))
    # Milliseconds of convs by the channels that come in and go out: in + 10 * out.
    table = np.add.outer(np.arange(17.0), 10 * np.arange(17.0))

    def milliseconds(layer: LayerSpec) -> Any:
        return table[layer.in_channels, layer.out_channels] if layer.kind == "conv" else 0.0

    latency = LayerCost("latency_ms", "latency", "ms", "", one_by_one(milliseconds))
    # Of uniform 1x, widths 2 2 4 4 8 8 on 3 channels: 23 + 22 + 42 + 44 + 84 + 88.
    assert latency.of(network, network.base_widths) == 303.0
    genotypes = [(1,) * 6, (0,) * 6, (0, 1, 0, 1, 0, 1)]
    assert latency.each(network, space, genotypes)[0] == 303.0
    for genotype, cost in zip(genotypes, latency.each(network, space, genotypes), strict=True):
        assert latency.of(network, space.widths_of(genotype, network.base_widths)) == cost
    assert latency.ends(network, space) == (153.0, 303.0)
    assert latency.amount(12.5) == "12.5 ms"
