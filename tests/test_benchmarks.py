from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_training_measures_both_systems_on_one_network() -> None:
    small = ["--base-width", "2", "--image", "8,1,10", "--batch-size", "8", "--steps", "2"]
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "training.py", *small, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(done.stdout)
    assert set(document) == {"benchmark", "settings", "machine", "rows"}
    found = {(row["system"], row["metric"]): row for row in document["rows"]}
    assert set(found) == {
        ("moo-bnas", "images_per_second"),
        ("usual", "images_per_second"),
        ("moo-bnas", "times_the_usual_loop"),
        ("moo-bnas", "peak_share"),
    }
    for row in found.values():
        low, high = row["spread"]
        assert 0 <= low <= row["value"] <= high  # a tiny share of the peak rounds to 0


def test_the_usual_layers_compute_the_same() -> None:
    # Layer by layer: in a whole network a value on a threshold may fall to either side.
    code = (
        "import sys, torch; sys.path.insert(0, sys.argv[1])\n"
        "from usual_loop import usual_network, build\n"
        "from moo_bnas.networks import make_network\n"
        "from moo_bnas.networks.layers import ImageShape\n"
        "net = make_network('vgg_small', ImageShape(8, 1, 10), base_width=4)\n"
        "specs = net.layers(net.base_widths, 'binary')\n"
        "torch.manual_seed(0); ours = build(specs).double()\n"
        "torch.manual_seed(0); theirs = usual_network(specs).double()\n"
        "def run(network, names, x):\n"
        "    x = x.clone().requires_grad_()\n"
        "    y = x\n"
        "    for name in names: y = network.layers[name](y)\n"
        "    y.square().sum().backward()\n"
        "    return y, x.grad, network.layers[names[-1]].weight.grad\n"
        "for names, channels in ((['conv1'], 1), (['act1', 'conv2'], 4), (['act2', 'conv3'], 4)):\n"
        "    x = torch.randn(4, channels, 8, 8, dtype=torch.double)\n"
        "    for a, b in zip(run(ours, names, x), run(theirs, names, x), strict=True):\n"
        "        torch.testing.assert_close(a, b)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(BENCHMARKS)], check=True)
