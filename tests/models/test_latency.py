from __future__ import annotations

import sys
from pathlib import Path

import pytest

from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.space import SearchSpace
from moo_bnas.models.latency import check, measure, processor, runtime
from moo_bnas.networks import make_network
from moo_bnas.networks.bits import with_bits
from moo_bnas.networks.latency import LatencyTable, LayerTimes
from moo_bnas.networks.latency_file import read_table
from moo_bnas.networks.layers import ImageShape
from tests.conftest import TINY, Cli
from tests.latencies import FAKE, fake_table

NETWORK = make_network("vgg_small", ImageShape(8, 1, 10), base_width=2)
SPACE = SearchSpace(NETWORK.genes, (1.0,))


def _timed(layers: dict[str, LayerTimes]) -> set[str]:
    return {name for name, times in layers.items() if times.ms}


def _whole(table: LatencyTable) -> None:
    """It knows all networks that a run asks for; no time is checked here."""
    cost = table.cost()
    assert cost.of(NETWORK, NETWORK.base_widths) > 0
    assert cost.of(NETWORK, NETWORK.base_widths, "full") > 0
    assert table.processor == processor() != ""


def test_kernels_are_timed_step_by_step() -> None:
    run_by = runtime()
    table = measure(NETWORK, SPACE, "sign", run_by)
    _whole(table)
    assert table.runtime.startswith("numba kernels for ")
    assert set(table.versions) == {"python", "moo-bnas", "numpy", "numba"}
    own = {*(f"conv{i}" for i in range(1, 7)), "pool6", "bn6", "act6", "flatten", "linear"}
    assert _timed(table.binary) == own  # all else is computed together with a conv
    pools = {"pool2", "bn2", "pool4", "bn4"}  # the twin's are not: its activations are floats
    assert _timed(table.full) == own | pools | {f"act{i}" for i in range(1, 6)}
    (checked,) = check(NETWORK, [NETWORK.base_widths], table, "sign", run_by, rounds=1)
    assert checked.predicted == table.cost().of(NETWORK, NETWORK.base_widths)
    assert checked.measured > 0


def test_networks_of_two_bits_have_tables_of_their_own() -> None:
    two = with_bits(NETWORK, 2)
    table = measure(two, SPACE, "dorefa", runtime())
    assert table.binary["conv2"].shape == "conv 3x3/1 pad 1 to 8x8 binary 2 bits"
    assert table.cost().of(two, NETWORK.base_widths) > 0
    with pytest.raises(DefinitionError, match="has act1 as .* 2 bits, and the network as"):
        table.cost().of(NETWORK, NETWORK.base_widths)


@pytest.mark.parametrize("binarizer", ["abc", "adabin", "xnor_k"])
def test_networks_whose_exports_have_other_layers_are_not_timed(binarizer: str) -> None:
    with pytest.raises(DefinitionError, match=f"got binarizer {binarizer}, whose exports have"):
        measure(NETWORK, SPACE, binarizer, runtime())


def test_without_numba_the_numpy_reference_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moo_bnas.models.fast.processor", None)
    table = measure(NETWORK, SPACE, "dorefa", runtime())
    _whole(table)
    assert table.runtime == "numpy only"
    assert "numba" not in table.versions
    layers = {spec.name for spec in NETWORK.layers(NETWORK.base_widths, "binary")}
    assert _timed(table.binary) == layers


def test_every_pair_of_widths_is_measured_also_of_sums_of_branches() -> None:
    network = make_network("resnet18", ImageShape(32, 3, 10), base_width=2, stem="small")
    space = SearchSpace(network.genes, (1.0, 3.0))
    table = fake_table(network, space)
    conv = table.binary["block3_conv1"]  # from stage 1, 2 or 6 channels, to 4 or 12
    assert (conv.in_channels, conv.out_channels) == ((2, 6), (4, 12))
    assert conv.ms == ((0.0042, 0.0122), (0.0046, 0.0126))
    assert table.full["block3_conv1"].ms == ((0.0042,),)
    assert table.binary["block3_add"].ms == ()
    widths = (2, 12, 8, 48, 6, 2, 4, 12, 8, 24, 48, 16)
    (checked,) = check(network, [widths], table, "dorefa", FAKE, rounds=1)
    assert checked.predicted == table.cost().of(network, widths) > 0


@pytest.mark.slow
def test_the_command_writes_a_table_and_checks_it(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(TINY.replace("[0.25, 0.5, 1, 2]", "[1]"))
    done = cli("latency", "one.toml", "--out", "there/table.json", "--check", "2")
    assert done.returncode == 0, done.stderr
    assert "vgg_small runs with numba kernels for " in done.stderr
    assert "uniform 1x" in done.stdout
    assert "2 random networks as a whole: the table is off by " in done.stdout
    table = read_table(tmp_path / "there/table.json")
    assert table.binary["conv2"].in_channels == (4,)
    for options, message in (
        (("one.toml", "--base-width", "3"), "got --base-width and the definition one.toml, which"),
        (("one.toml",), "got there as --out, which is a folder, a pipe or a device"),
        (("nope",), "got network 'nope', expected one of"),
    ):
        refused = cli("latency", *options, "--out", "there")
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
