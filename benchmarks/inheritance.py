"""Measures how well short training runs rank architectures, inherited or from scratch.

    python benchmarks/inheritance.py --architectures 24 --long 30 --seeds 3

Random architectures of a definition with a [parent] are trained from scratch for `--long` epochs;
their mean accuracy over `--long-seeds` seeds is the truth. They are then trained briefly in three
ways: as candidates of the definition (with the first channels of the trained parent), from scratch
for as many epochs, and from scratch for twice as many. Training from scratch uses the parent's
recipe, except for its epochs.

`kendall_tau` is the rank correlation of each way with the truth (1: the same order), averaged over
the seeds of the short training runs. `seed_sd` is the standard deviation of an architecture's
accuracy over seeds, in points, averaged over architectures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import Tensor

from moo_bnas.definition import load_definition
from moo_bnas.evolution.space import Genotype
from moo_bnas.networks.module import build
from moo_bnas.recipe import Recipe
from moo_bnas.training.device_data import to_device
from moo_bnas.training.inheritance import inherit
from moo_bnas.training.loop import Training


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--definition", default="digits_inherited", help="name or file")
    parser.add_argument("--data-root", type=Path, default=Path("~/.cache/moo-bnas").expanduser())
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    parser.add_argument("--architectures", type=int, default=24, help="number of architectures")
    parser.add_argument("--long", type=int, default=30, help="epochs of the long training runs")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the short training runs")
    parser.add_argument("--long-seeds", type=int, default=3, help="seeds of the long training runs")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def main() -> None:
    """Trains, correlates and prints."""
    options = parse()
    torch.set_num_threads(1)
    began = time.perf_counter()

    definition = load_definition(options.definition)
    scratch, short = definition.parent, definition.recipe
    if scratch is None:
        sys.exit(f"{options.definition} has no [parent]; give a definition that has one")
    network, space = definition.make_network(), definition.make_space()
    device = torch.device(options.device)
    images = definition.data.load(options.data_root, short.seed, "search")
    data = to_device(images, network.image.size, device)

    def train(
        genotype: Genotype, recipe: Recipe, seed: int, parent: dict[str, Tensor] | None = None
    ) -> Training:
        torch.manual_seed(seed)
        widths = space.widths_of(genotype, network.base_widths)
        module = build(network.layers(widths, "binary"), definition.network.binarizer)
        if parent is not None:
            inherit(module, parent)
        training = Training(module, data, recipe, seed)
        training.run()
        print(".", end="", file=sys.stderr, flush=True)
        return training

    def from_scratch(epochs: int) -> Recipe:
        return scratch.model_copy(update={"epochs": epochs})

    random = np.random.default_rng(0)
    shape = (options.architectures, len(space.genes))
    genotypes = [tuple(int(g) for g in row) for row in random.integers(0, len(space.ratios), shape)]
    trained = train(space.uniform(space.ratios[-1]), scratch, 0)  # the parent
    parent = {k: v.cpu() for k, v in trained.network.state_dict().items()}
    truth = [
        statistics.mean(  # over seeds of its own, so that noise is not shared with short runs
            train(g, from_scratch(options.long), 100 + s).accuracies[-1]
            for s in range(options.long_seeds)
        )
        for g in genotypes
    ]
    ways = (
        (f"inherited, {short.epochs} epochs", short, parent),
        (f"from scratch, {short.epochs} epochs", from_scratch(short.epochs), None),
        (f"from scratch, {2 * short.epochs} epochs", from_scratch(2 * short.epochs), None),
    )
    rows = []
    for system, recipe, weights in ways:
        found = [
            [train(g, recipe, s, weights).accuracies[-1] for s in range(options.seeds)]
            for g in genotypes
        ]
        taus = [float(kendalltau(truth, [f[s] for f in found])[0]) for s in range(options.seeds)]
        rows.append(_row(system, "kendall_tau", taus))
        if options.seeds > 1:
            rows.append(_row(system, "seed_sd", [statistics.stdev(f) for f in found]))
    print(file=sys.stderr)
    if options.json:
        settings = {k: v for k, v in vars(options).items() if k not in ("json", "data_root")}
        machine = {
            "device": "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        }
        found_all = {"benchmark": "inheritance", "settings": settings, "machine": machine}
        print(json.dumps({**found_all, "rows": rows}, indent=1))
        return
    minutes = (time.perf_counter() - began) / 60
    print(
        f"{definition.name}, parent {trained.accuracies[-1]:.2f} %, truth {min(truth):.2f} to "
        f"{max(truth):.2f} %, {minutes:.1f} minutes"
    )
    for each in rows:
        low, high = each["spread"]
        print(
            f"{each['system']:26} {each['metric']:12} {each['value']:6.3f}  {low:.3f} to {high:.3f}"
        )


def _row(system: str, metric: str, values: list[float]) -> dict[str, Any]:
    return {
        "system": system,
        "metric": metric,
        "value": round(statistics.mean(values), 4),
        "spread": [round(min(values), 4), round(max(values), 4)],
    }


if __name__ == "__main__":
    main()
