"""`moo-bnas cost` as a user types it."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Cli


def test_cost_prints_the_papers_figures(cli: Cli) -> None:
    shown = json.loads(cli("cost", "vgg_small", "--json").stdout)
    assert round(shown["flops"] / 1e6, 2) == 13.19
    assert round(shown["memory_bits"] / 1e6, 3) == 7.303
    assert round(shown["speedup"], 1) == 46.1  # Table 1
    assert shown["widths"] == [128, 128, 256, 256, 512, 512]
    assert sum(layer["flops"] for layer in shown["layers"]) == shown["flops"]
    text = cli("cost", "resnet18", "--ratios", "4").stdout
    assert "FLOPs    915.15 M" in text
    assert "speedup  2.0x" in text
    assert "block8_conv2" in text
    full = json.loads(cli("cost", "resnet18", "--precision", "full", "--json").stdout)
    assert round(full["flops"] / 1e6, 2) == 1818.36
    assert full["speedup"] == 1


def test_cost_prints_published_networks_in_the_shape_of_a_resnet18(cli: Cli) -> None:
    text = cli("cost", "resnet18", "--published").stdout
    assert "PCNN               169.03 M    10.8x" in text  # Table 2
    assert "ABC-Net {5/3}      520.21 M     3.5x" in text
    assert "ABC-Net {5/5}      785.14 M     2.3x" in text
    shown = json.loads(cli("cost", "resnet18", "--published", "--json").stdout)
    assert [each["name"] for each in shown["published"]][:2] == ["PCNN", "ABC-Net {5/3}"]
    assert "published" not in json.loads(cli("cost", "resnet18", "--json").stdout)
    refused = cli("cost", "vgg_small", "--published")
    assert refused.returncode == 2
    assert "got --published with vgg_small, expected resnet18" in refused.stderr


def test_cost_of_a_definition_spans_its_space(cli: Cli) -> None:
    shown = json.loads(cli("cost", "vgg_small_cifar10", "--json").stdout)
    rows = {row["network"]: row for row in shown["rows"]}
    assert shown["size"] == 6**6
    # the paper's Table 1
    for name, flops, memory in (
        ("uniform 1x", 13.19, 7.303),
        ("uniform 2x", 45.26, 23.749),
        ("uniform 4x (most expensive)", 166.02, 84.066),
        ("full precision 1x", 608.06, 149.01),
    ):
        assert round(rows[name]["flops"] / 1e6, 2) == flops
        assert rows[name]["memory_bits"] / 1e6 == pytest.approx(memory, abs=0.005)
    assert rows["uniform 0.25x (cheapest)"]["widths"] == [32, 32, 64, 64, 128, 128]
    text = cli("cost", "vgg_small_cifar10").stdout
    assert "6 genes of 6 ratios: 46,656 networks" in text
    assert "uniform 1x                   13.19 M" in text
    one = json.loads(cli("cost", "digits", "--ratios", "1", "--json").stdout)
    assert one["widths"] == [8, 8, 16, 16, 32, 32]
    refused = cli("cost", "digits", "--classes", "3")
    assert refused.returncode == 2
    assert "got --classes and the definition digits, which says that itself" in refused.stderr
