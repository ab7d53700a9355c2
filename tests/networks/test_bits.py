from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from moo_bnas.errors import DefinitionError
from moo_bnas.networks import make_network
from moo_bnas.networks.bits import with_bit_genes, with_bits
from moo_bnas.networks.cost import flops, memory_bits
from moo_bnas.networks.layers import ImageShape

ONE = make_network("vgg_small")


# Binary convs of VGG-small 1x: 604.31 M operations, 9.44 M of which count; 13.194 M in all.
@pytest.mark.parametrize(("bits", "millions"), [(1, 13.19), (2, 22.64), (3, 32.08), (4, 41.52)])
def test_bits_cost_so_many_times_the_binary_operations_and_no_memory(
    bits: int, millions: float
) -> None:
    network = with_bits(ONE, bits)
    assert round(flops(network, ONE.base_widths) / 1e6, 2) == millions
    assert memory_bits(network, ONE.base_widths) == memory_bits(ONE, ONE.base_widths)
    twin = flops(network, ONE.base_widths, "full")
    assert twin == flops(ONE, ONE.base_widths, "full")


def test_genes_are_named_after_the_binary_convs() -> None:
    network = with_bit_genes(ONE, shared=False)
    bits = tuple(f"conv{i}_bits" for i in range(2, 7))
    assert network.genes == (*ONE.genes, *bits)
    assert network.base_widths == (*ONE.base_widths, 1, 1, 1, 1, 1)
    assert network.bit_genes == 5
    resnet = with_bit_genes(make_network("resnet18"), shared=False)
    # A binary shortcut reads what conv 1 reads.
    convs = [f"block{i}_conv{j}_bits" for i in range(1, 9) for j in (1, 2)]
    assert list(resnet.genes[12:]) == convs


def test_each_gene_is_the_bits_of_one_binarizer_and_of_the_convs_that_read_it() -> None:
    network = with_bit_genes(make_network("resnet18"), shared=False)
    bits = [1] * 16
    bits[4] = 3  # the first of block 3, which opens a stage
    specs = network.layers([*network.base_widths[:12], *bits], "binary")
    more = {spec.name: spec.bits for spec in specs if spec.bits != 1}
    assert more == {"block3_act1": 3, "block3_conv1": 3, "block3_short": 3}


def test_shared_bits_are_one_gene() -> None:
    network = with_bit_genes(ONE, shared=True)
    assert network.genes == (*ONE.genes, "bits")
    two = network.layers([*ONE.base_widths, 2], "binary")
    assert [s.described() for s in two] == [
        s.described() for s in with_bits(ONE, 2).layers(ONE.base_widths, "binary")
    ]


def test_bits_may_be_arrays() -> None:
    network = with_bit_genes(ONE, shared=True)
    columns = [np.array([width, width]) for width in ONE.base_widths]
    specs = network.layers([*columns, np.array([1, 2])], "binary")
    costs = [with_bits(ONE, bits) for bits in (1, 2)]
    from moo_bnas.networks.cost import FLOPS

    assert FLOPS.total(specs).tolist() == [flops(n, ONE.base_widths) for n in costs]


def test_one_bit_leaves_no_trace_in_a_description() -> None:
    (conv, *_) = ONE.layers(ONE.base_widths, "binary")
    assert "bits" not in conv.described()
    one = with_bits(ONE, 1).layers(ONE.base_widths, "binary")
    plain = ONE.layers(ONE.base_widths, "binary")
    assert [s.described() for s in one] == [s.described() for s in plain]


def test_networks_that_cannot_have_more_bits_are_refused() -> None:
    own = replace(ONE, module=lambda specs, binarizer: None)
    with pytest.raises(DefinitionError, match="vgg_small has a torch module of its own, so its"):
        with_bits(own, 2)

    def layers(widths, precision):  # type: ignore[no-untyped-def]
        from moo_bnas.networks.layers import LayerList

        net = LayerList(ImageShape(8, 1, 10), precision)
        net.activation("act")
        net.flatten("flatten")
        net.linear("linear")
        return net.specs

    with pytest.raises(DefinitionError, match=r"the step flatten \(flatten\) that reads binary v"):
        with_bits(replace(ONE, layers=layers), 2)
