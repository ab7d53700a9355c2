"""`moo-bnas cost` as a user types it."""

from __future__ import annotations

import json

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
