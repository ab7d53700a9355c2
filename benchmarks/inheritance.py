"""How well short trainings rank architectures, with inherited weights and from scratch.

    python benchmarks/inheritance.py --architectures 24 --long 30 --short 6 --seeds 3

Random architectures of a definition are trained long, from scratch: that is the truth. Then short,
once with the first channels of a trained parent (the uniform network of the greatest ratio), once
from scratch, and from scratch for twice as long. `kendall_tau` is the rank correlation of each
with the truth, over architectures (1: the same order); `seed_sd` the standard deviation, in points
of accuracy, of one architecture's accuracy over seeds. The long accuracies are means over
`--long-seeds` seeds; each short run has one seed, so the spread of tau is that over seeds.
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

from moo_bnas.definition import Recipe, load_definition
from moo_bnas.inheritance import inherit
from moo_bnas.networks.module import build
from moo_bnas.training import Training, to_device


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--definition", default="digits")
    parser.add_argument("--data-root", type=Path, default=Path("~/.cache/moo-bnas").expanduser())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--architectures", type=int, default=24)
    parser.add_argument("--long", type=int, default=30, help="epochs of the truth")
    parser.add_argument("--short", type=int, default=6, help="epochs of a candidate")
    parser.add_argument("--parent", type=int, default=30, help="epochs of the parent")
    parser.add_argument("--seeds", type=int, default=3, help="of short trainings")
    parser.add_argument("--long-seeds", type=int, default=1, help="of long ones")
    parser.add_argument("--inherited-rate", type=float, help="peak rate of those that inherit")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Trains, correlates, prints."""
    options = parse()
    torch.set_num_threads(1)
    began = time.perf_counter()

    definition = load_definition(options.definition)
    network, space = definition.make_network(), definition.make_space()
    device = torch.device(options.device)
    images = definition.data.load(options.data_root, definition.recipe.seed, "search")
    data = to_device(images, network.image.size, device)

    def accuracy(
        genotype: tuple[int, ...], epochs: int, seed: int, **changes: Any
    ) -> tuple[float, torch.nn.Module]:
        parent = changes.pop("parent", None)
        recipe = Recipe(**{**definition.recipe.model_dump(), "epochs": epochs, **changes})
        torch.manual_seed(seed)
        widths = space.widths_of(genotype, network.base_widths)
        module = build(network.layers(widths, "binary"), definition.network.binarizer)
        if parent is not None:
            inherit(module, parent)
        found = Training(module, data, recipe, seed).run()[-1]
        print(".", end="", file=sys.stderr, flush=True)
        return found, module

    random = np.random.default_rng(0)
    shape = (options.architectures, len(space.genes))
    genotypes = [tuple(int(g) for g in row) for row in random.integers(0, len(space.ratios), shape)]
    top = space.uniform(space.ratios[-1])
    parent_accuracy, module = accuracy(top, options.parent, 0)
    parent = {k: v.clone() for k, v in module.state_dict().items()}

    truth = [
        statistics.mean(accuracy(g, options.long, 100 + s)[0] for s in range(options.long_seeds))
        for g in genotypes
    ]
    rate = options.inherited_rate or definition.recipe.learning_rate
    ways: dict[str, dict[str, Any]] = {
        f"inherited, {options.short} epochs": {"parent": parent, "learning_rate": rate},
        f"from scratch, {options.short} epochs": {},
        f"from scratch, {2 * options.short} epochs": {},
    }
    rows = []
    for i, (system, changes) in enumerate(ways.items()):
        epochs = options.short * (2 if i == 2 else 1)
        found = [
            [accuracy(g, epochs, s, **changes)[0] for s in range(options.seeds)] for g in genotypes
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
        f"{definition.name}, parent {parent_accuracy:.2f} %, truth {min(truth):.2f} to "
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
