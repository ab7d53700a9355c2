"""Measures how accurate networks become with each binarizer, and what an epoch costs.

    python benchmarks/binarizers.py --epochs 20 --learning-rates 0.01 0.03
    python benchmarks/binarizers.py --definition benchmarks/cifar10_ranking.toml \
        --data-root FOLDER --uniform --few --epochs 10 --learning-rates 0.003 0.01 --rounds 5

Architectures of a definition, random or uniform, are trained with each binarizer, alike in all but
the learning rate: Adam, a one-cycle schedule, the augmentation of the definition's `[recipe]`, and
the rate of `--learning-rates` that gives the best mean accuracy on the validation images (with a
seed of its own). They are then trained on training and validation images (with `--few`, on those of
a search only) and scored on the test images once.

`accuracy` is the mean over architectures; its spread is over seeds, lowest to highest, and
`seed_sd` the standard deviation over seeds of an architecture, averaged over architectures.
`epoch_cost` is the process's CPU time of an epoch relative to `dorefa`, whose epochs are trained in
turn with those of the others; the median of `--rounds`, with its quartiles. `step_cost` is the same
on random images of 32x32 in a VGG-small of base width 32, where arithmetic outweighs Python.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from moo_bnas.definition import load_definition
from moo_bnas.networks import make_network
from moo_bnas.networks.bases import with_needs_of
from moo_bnas.networks.binarizers import BINARIZERS
from moo_bnas.networks.module import build
from moo_bnas.networks.network import Network
from moo_bnas.recipe import Recipe
from moo_bnas.training.device_data import DeviceData, DeviceSplit, to_device
from moo_bnas.training.loop import Training, score

PEER = "dorefa"
BASES = (3, 3)  # of weights and of activations, where a binarizer has several


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--definition", default="digits", help="name or file")
    parser.add_argument("--data-root", type=Path, default=Path("~/.cache/moo-bnas").expanduser())
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    parser.add_argument("--binarizers", nargs="+", default=list(BINARIZERS), choices=BINARIZERS)
    parser.add_argument("--architectures", type=int, default=4, help="number of architectures")
    parser.add_argument("--uniform", action="store_true", help="the uniform 1x network instead")
    parser.add_argument("--few", action="store_true", help="train on the images of a search only")
    parser.add_argument("--epochs", type=int, default=30, help="epochs of each training run")
    parser.add_argument("--batch-size", type=int, default=64, help="images per step")
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[0.005, 0.015, 0.045])
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the final training runs")
    parser.add_argument("--rounds", type=int, default=15, help="epochs of each that are timed")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def main() -> None:
    """Trains, times and prints."""
    options = parse()
    torch.set_num_threads(1)
    definition, device = load_definition(options.definition), torch.device(options.device)
    network, space = definition.make_network(), definition.make_space()
    purposes = ("search", "final")
    validating, testing = (
        to_device(definition.data.load(options.data_root, 0, p), network.image.size, device)
        for p in purposes
    )
    if options.few:
        testing = replace(validating, scoring=testing.scoring)
    random = np.random.default_rng(0)
    shape = (options.architectures, len(space.genes))
    genotypes = [tuple(int(g) for g in row) for row in random.integers(0, len(space.ratios), shape)]
    if options.uniform:
        genotypes = [space.uniform(1.0)]
    widths = [space.widths_of(g, network.base_widths) for g in genotypes]
    moves = definition.training()

    def recipe(rate: float) -> Recipe:
        return Recipe(
            shift=moves.shift,
            flip=moves.flip,
            epochs=options.epochs,
            batch_size=options.batch_size,
            learning_rate=rate,
            optimizer="adam",
        )

    def accuracies(binarizer: str, data: DeviceData, rate: float, seed: int) -> list[float]:
        print(".", end="", file=sys.stderr, flush=True)
        runs = [training(network, each, binarizer, data, recipe(rate), seed) for each in widths]
        for run in runs:
            run.run()
        return [score(run.network, data) for run in runs]

    rows = []
    for name in options.binarizers:
        rates = options.learning_rates
        tried = {r: statistics.mean(accuracies(name, validating, r, 1000)) for r in rates}
        best = max(rates, key=lambda r: tried[r])
        found = [accuracies(name, testing, best, seed) for seed in range(options.seeds)]
        means = [statistics.mean(each) for each in found]
        rows.append({**row(name, "accuracy", means), "learning_rate": best})
        if options.seeds > 1:
            deviations = [statistics.stdev(of_one) for of_one in zip(*found, strict=True)]
            rows.append(row(name, "seed_sd", deviations))
    rate = recipe(options.learning_rates[0])
    uniform = network.base_widths
    rows += costs(
        "epoch_cost",
        options,
        lambda binarizer: training(network, uniform, binarizer, validating, rate, 0),
    )
    wide = make_network("vgg_small", base_width=32)
    images = random_images(256, device)
    rows += costs(
        "step_cost",
        options,
        lambda binarizer: training(wide, wide.base_widths, binarizer, images, rate, 0),
    )
    show(rows, options, device)


def training(
    network: Network,
    widths: Sequence[int],
    binarizer: str,
    data: DeviceData,
    recipe: Recipe,
    seed: int,
) -> Training:
    """A training run at its beginning."""
    method = BINARIZERS[binarizer]
    method = method.of_bases(BASES) if method.has_bases else method
    specs = with_needs_of(network, method).layers(widths, "binary")
    torch.manual_seed(seed)
    return Training(build(specs, binarizer), data, recipe, seed, scores=False)


def random_images(count: int, device: torch.device) -> DeviceData:
    """Noise in the form of CIFAR-10."""
    images = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, device=device)
    rows = torch.arange(count, device=device)
    split = DeviceSplit(images, rows % 10, rows)
    half = torch.full((1, 3, 1, 1), 128.0, device=device)
    return DeviceData(split, split, 32, half, half)


def costs(
    metric: str, options: argparse.Namespace, begin: Callable[[str], Training]
) -> list[dict[str, Any]]:
    """CPU time of an epoch with each binarizer relative to that with `PEER`, trained in turn."""
    names = list(dict.fromkeys([PEER, *options.binarizers]))
    runs = {name: begin(name) for name in names}
    for run in runs.values():  # the first epoch allocates, and captures graphs
        run.run_epoch()
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(options.rounds):
        seconds = {}
        for name, run in runs.items():
            began = time.process_time()
            run.run_epoch()
            seconds[name] = time.process_time() - began
        for name in names:
            ratios[name].append(seconds[name] / seconds[PEER])
        print(",", end="", file=sys.stderr, flush=True)
    return [row(name, metric, ratios[name], quartiles=True) for name in options.binarizers]


def row(
    system: str, metric: str, values: list[float], *, quartiles: bool = False
) -> dict[str, Any]:
    """A row of the JSON document: the mean, lowest to highest; or the median with quartiles."""
    if quartiles:
        low, middle, high = statistics.quantiles(values, n=4)
    else:
        low, middle, high = min(values), statistics.mean(values), max(values)
    numbers = [round(n, 4) for n in (low, middle, high)]
    return {
        "system": system,
        "metric": metric,
        "value": numbers[1],
        "spread": [numbers[0], numbers[2]],
    }


def show(rows: list[dict[str, Any]], options: argparse.Namespace, device: torch.device) -> None:
    """Prints the rows, as text or as JSON."""
    print(file=sys.stderr)
    if not options.json:
        for each in rows:
            low, high = each["spread"]
            name, metric, value = each["system"], each["metric"], each["value"]
            print(f"{name:8} {metric:12} {value:7.3f}  {low:.3f} to {high:.3f}")
        return
    settings = {k: v for k, v in vars(options).items() if k not in ("json", "data_root")}
    machine = {
        "device": "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    document = {"benchmark": "binarizers", "settings": settings, "machine": machine, "rows": rows}
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
