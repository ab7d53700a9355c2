from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.space import SearchSpace
from moo_bnas.networks import make_network
from moo_bnas.networks.bits import with_bit_genes
from moo_bnas.networks.latency import (
    LatencyTable,
    check_known,
    covering,
    monotone,
    table_of,
)
from moo_bnas.networks.latency_file import MOST_BYTES, read_table, to_bytes
from moo_bnas.networks.layers import ImageShape
from tests.latencies import fake_table

NETWORK = make_network("vgg_small", ImageShape(8, 1, 10), base_width=2)
SPACE = SearchSpace(NETWORK.genes, (0.5, 1.0, 2.0))
TABLE = fake_table(NETWORK, SPACE)
CONV2 = next(s for s in NETWORK.layers(NETWORK.base_widths, "binary") if s.name == "conv2")


def test_the_latency_of_a_network_is_the_sum_of_its_layers() -> None:
    # Widths 2 2 4 4 8 8 on 1 channel; the linear layer reads 8 numbers and gives 10.
    microseconds = 0.1 * (1 + 2 + 2 + 4 + 4 + 8 + 8) + 1.0 * (2 + 2 + 4 + 4 + 8 + 8 + 10)
    cost = TABLE.cost()
    assert cost.of(NETWORK, NETWORK.base_widths) == pytest.approx(microseconds / 1000)
    assert cost.of(NETWORK, NETWORK.base_widths, "full") == pytest.approx(microseconds / 1000)
    assert (cost.name, cost.title, cost.unit) == ("latency_ms", "latency", "ms")
    assert cost.amount(0.012345) == "0.0123 ms"
    assert cost.amount(12345.6) == "12346 ms"


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 2), min_size=6, max_size=6))
def test_many_networks_at_once_take_what_each_takes_alone(genotype: list[int]) -> None:
    cost, genotypes = TABLE.cost(), np.array([[1] * 6, genotype])
    widths = SPACE.widths(genotypes, NETWORK.base_widths).tolist()
    together = cost.over(NETWORK, SPACE).of(genotypes)
    assert together.tolist() == [cost.of(NETWORK, each) for each in widths]


def test_bits_of_each_layer_count() -> None:
    network = with_bit_genes(NETWORK, shared=False)
    space = SearchSpace.with_bits(network.genes, (0.5, 1.0, 2.0), 5, (1, 2))
    table = fake_table(network, space)
    assert table.binary == fake_table(NETWORK, SPACE).binary
    cost = table.cost()
    # Widths 2 2 4 4 8 8; conv3 and conv6 read 2 bits.
    convs = [0.1 * a + b for a, b in ((1, 2), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 10))]
    assert cost.of(network, (*NETWORK.base_widths, 1, 2, 1, 1, 2)) == pytest.approx(
        (sum(convs) + convs[2] + convs[5]) / 1000
    )
    genotypes = np.random.default_rng(0).integers(0, space.choices, (50, 11))
    each = [cost.of(network, w) for w in space.widths(genotypes, network.base_widths).tolist()]
    assert cost.over(network, space).of(genotypes).tolist() == each
    assert read_again(table) == table
    check_known(cost, network, space)


def test_a_table_of_one_bit_is_not_enough_for_two() -> None:
    network = with_bit_genes(NETWORK, shared=True)
    space = SearchSpace.with_bits(network.genes, (0.5, 1.0, 2.0), 1, (1, 2))
    message = "has act1 as binarize to 8x8, and the network as .* 2 bits: .*; measure this one"
    with pytest.raises(DefinitionError, match=message):
        check_known(TABLE.cost(), network, space)


def test_a_space_without_one_bit_knows_the_network_that_eq_4_divides_by() -> None:
    network = with_bit_genes(NETWORK, shared=True)
    space = SearchSpace.with_bits(network.genes, (0.5, 1.0), 1, (2, 3))
    table = fake_table(network, space)
    assert set(table.bits) == {"2", "3"}
    check_known(table.cost(), network, space)


def test_more_bits_are_never_faster() -> None:
    one = table_of({(1, 2): 1.0, (1, 4): 3.0, (2, 4): 4.0}, CONV2)
    two = table_of({(1, 2): 2.0, (1, 4): 2.5, (2, 4): 5.0}, CONV2)
    assert two.at_least(one).ms == ((2.0, 3.0), (None, 5.0))


def test_without_bits_a_file_is_what_it_was() -> None:
    assert set(json.loads(to_bytes(TABLE))) == {
        *("kind", "version", "network", "processor", "runtime", "versions", "binary", "full"),
    }


@pytest.mark.parametrize(("genes", "choices"), [(1, 3), (2, 6), (6, 3), (12, 2)])
def test_covering_genotypes_have_every_pair_of_choices(genes: int, choices: int) -> None:
    found = covering(genes, choices)
    for one in range(genes):
        for other in range(one):
            pairs = {tuple(pair) for pair in found[:, [one, other]].tolist()}
            assert len(pairs) == choices**2
    assert len(np.unique(found, axis=0)) == len(found)


def test_the_closest_table_that_does_not_fall() -> None:
    # 3 and 2 are exchanged: the middle is 2.5. NaN takes no part.
    given_ = np.array([[1.0, 3.0, 2.0], [np.nan, 5.0, 6.0]])
    expected = [[1.0, 2.5, 2.5], [np.nan, 5.0, 6.0]]
    assert np.array_equal(monotone(given_), expected, equal_nan=True)
    # 9 is above both what is beside it and what is below it: (9 + 2) / 2 for all three of them.
    falling = np.array([[1.0, 9.0], [2.0, 3.0]])
    assert monotone(falling).tolist() == [[1.0, 6.0], [2.0, 6.0]]
    table = table_of({(1, 2): 1.00004, (1, 4): 3.0, (2, 2): 2.0}, CONV2)
    assert table.ms == ((1.0, 3.0), (2.0, None))


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_bytes(to_bytes(TABLE))
    assert read_table(path) == TABLE
    assert read_table(path).digest == TABLE.digest


def read_again(table: LatencyTable) -> LatencyTable:
    return LatencyTable.model_validate_json(to_bytes(table))


def test_what_was_not_measured_is_named() -> None:
    layers = NETWORK.layers([2, 2, 4, 4, 3, 8], "binary")
    with pytest.raises(DefinitionError, match="lacks conv5 from 4 to 3 channels; measure"):
        TABLE.of_layers(layers)
    renamed = [replace(s, name="conv7") if s.name == "conv6" else s for s in layers]
    with pytest.raises(DefinitionError, match=r"lacks conv7 \(the binary network\)"):
        TABLE.of_layers(renamed)
    larger = make_network("vgg_small", ImageShape(16, 1, 10), base_width=2)
    with pytest.raises(DefinitionError, match="has conv1 as conv .* to 8x8 full, and the network"):
        TABLE.of_layers(larger.layers(larger.base_widths, "binary"))
    more = make_network("vgg_small", ImageShape(8, 1, 7), base_width=2)
    with pytest.raises(DefinitionError, match="lacks linear from 8 to 7 channels"):
        TABLE.of_layers(more.layers(more.base_widths, "binary"))


def _changed(path: str, value: Any) -> str:
    document = json.loads(to_bytes(TABLE))
    place, keys = document, path.split(".")
    for key in keys[:-1]:
        place = place[int(key) if key.isdecimal() else key]
    place[int(keys[-1]) if keys[-1].isdecimal() else keys[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no latency table, or it is incomplete or damaged"),
        (to_bytes(TABLE).decode()[:-9], "is no latency table, or it is incomplete or damaged"),
        ("\udcff", "is no latency table, or it is incomplete or damaged"),
        ("[" * 20_000, "is no latency table, or it is incomplete or damaged"),
        ("[1]", "is no latency table; give the file"),
        ('{"kind": "pareto"}', "is no latency table; give the file"),
        (_changed("version", 2), "of version 2, and this moo-bnas reads version 1; measure again"),
        (_changed("binary.conv2.ms.0.0", -1.0), "binary.conv2.ms.0.0.* greater than or equal to 0"),
        (_changed("binary.conv2.ms.0.0", float("nan")), "conv2.ms.0.0.*finite number"),
        (_changed("binary.conv2.ms.0.0", 1e300), "conv2.ms.0.0.*less than or equal to"),
        (_changed("binary.conv2.ms.0.0", "1"), "conv2.ms.0.0.*valid number"),
        (_changed("binary.conv2.ms.2", [9.0]), "conv2: .*ms is not a table of 3 x 3 numbers"),
        (_changed("binary.conv2.ms.0.0", 9.0), "conv2: .*ms falls with a rising number"),
        (_changed("binary.conv2.in_channels", [4, 2, 1]), "channels do not ascend without repeats"),
        (_changed("binary.conv2.in_channels.0", 0), "in_channels.0.*greater than or equal to 1"),
        (_changed("binary", {}), "binary: .*at least 1 item"),
        (_changed("surprise", 1), "surprise: .*not permitted"),
        (" " * (MOST_BYTES + 1), "cannot read the latency table .*, expected at most 50,000"),
    ],
)
def test_a_damaged_or_lying_file_is_refused_in_one_line(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.json"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(DefinitionError, match=message) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_missing_file_and_a_pipe_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="cannot read the latency table .*: No such file"):
        read_table(tmp_path / "none.json")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DefinitionError, match="it is a pipe or a device, expected a file"):
        read_table(tmp_path / "pipe")


def test_a_table_that_would_be_too_large_is_not_measured() -> None:
    wide = SearchSpace(NETWORK.genes, tuple(i / 2 for i in range(1, 50)))
    with pytest.raises(DefinitionError, match="expected at most 50,000, .* fewer ratios"):
        fake_table(NETWORK, wide)
