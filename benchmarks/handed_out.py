"""Measures whether the networks that a search hands out beat uniform widening once trained again.

    python benchmarks/handed_out.py --searches 10 --candidates 120 --seeds 9 --json > FOUND.json
    python benchmarks/handed_out.py --found FOUND.json --recipe final --seeds 5

Each search of a definition hands out one network per uniform ratio: the one that it holds to be the
most accurate of those with at most the FLOPs of that uniform network, by its estimate, as in a
report, and by the measured accuracy. These and the uniform networks are trained again, by the
recipe of the search and with seeds that no search has used, and scored on the test images, which
have chosen nothing. `--recipe final` trains them as `moo-bnas train` does instead, on validation
images, too; `--found` takes the networks from an earlier result. `ahead@R` is the mean difference
to uniform R over all searches, in points; its spread is the standard error, from the deviation
between searches and that of the uniform network's training runs. `optimism@R` is what the search
said minus what came of it on the validation images.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from moo_bnas.data import Purpose
from moo_bnas.definition import Definition, load_definition
from moo_bnas.driver.run import make_search
from moo_bnas.evolution.candidates import tuples
from moo_bnas.evolution.estimates import estimates
from moo_bnas.evolution.space import Genotype, SearchSpace
from moo_bnas.fingerprint import candidate_seed
from moo_bnas.networks.module import build
from moo_bnas.training.device_data import DeviceData, to_device
from moo_bnas.training.loop import Training, score

Chosen = dict[tuple[float, str], list[tuple[Genotype, float]]]
"""Genotypes and claimed accuracies by uniform ratio and way of choosing, one per search."""


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--definition", default="digits", help="name or file; one without [parent]")
    parser.add_argument("--data-root", type=Path, default=Path("~/.cache/moo-bnas").expanduser())
    parser.add_argument("--searches", type=int, default=5, help="searches, with seeds from 0")
    parser.add_argument("--candidates", type=int, default=120, help="candidates of each search")
    parser.add_argument("--seeds", type=int, default=9, help="training runs of each network after")
    parser.add_argument("--recipe", choices=["search", "final"], default="search")
    parser.add_argument("--found", type=Path, help="result whose networks are trained again")
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


_loaded: dict[Purpose, DeviceData] = {}  # of the one definition of this process


def _data(definition: Definition, root: Path, purpose: Purpose) -> DeviceData:
    if purpose not in _loaded:
        size, cpu = definition.make_network().image.size, torch.device("cpu")
        images = definition.data.load(root, definition.recipe.seed, purpose)
        _loaded[purpose] = to_device(images, size, cpu)
    return _loaded[purpose]


def train(
    definition: Definition, root: Path, purpose: Purpose, task: tuple[Genotype, int]
) -> tuple[float, float]:
    """Accuracies on the validation and on the test images, of a genotype and a recipe seed.

    After final training there are no validation images: the first one is NaN.
    """
    torch.set_num_threads(1)
    genotype, recipe_seed = task
    network, space = definition.make_network(), definition.make_space()
    recipe = definition.recipe if purpose == "search" else definition.final_recipe()
    seed = candidate_seed(recipe_seed, genotype)
    specs = network.layers(space.widths_of(genotype, network.base_widths), "binary")
    torch.manual_seed(seed)
    module = build(specs, definition.network.binarizer)
    data, final = _data(definition, root, purpose), _data(definition, root, "final")
    training = Training(module, data, recipe, seed, scores=purpose == "search")
    accuracies = training.run()
    test = score(training.network, replace(data, scoring=final.scoring))
    return accuracies[-1] if purpose == "search" else float("nan"), test


def main() -> None:
    """Searches, trains again and prints."""
    options = parse()
    given = load_definition(options.definition)
    population = given.search.population
    generations = -(-options.candidates // population)
    search = given.search.model_copy(update={"model": "gp", "generations": generations})
    definition = given.model_copy(update={"search": search})
    space, cost = definition.make_space(), definition.cost
    uniform = {ratio: space.uniform(ratio) for ratio in options.ratios}
    limits = dict(
        zip(uniform, cost.each(definition.make_network(), space, [*uniform.values()]), strict=True)
    )
    first = definition.recipe.seed
    with ProcessPoolExecutor(options.processes) as pool:
        if options.found is None:
            chosen = handed_out(definition, options, limits, pool)
        else:
            chosen = _read(options.found, space)
        wanted = {g for some in chosen.values() for g, _ in some} | set(uniform.values())
        tasks = [(g, first + k) for g in sorted(wanted) for k in range(1, options.seeds + 1)]
        again: dict[Genotype, list[tuple[float, float]]] = {}
        task = partial(train, definition, options.data_root, options.recipe)
        for (genotype, _), scores in zip(tasks, pool.map(task, tasks), strict=True):
            again.setdefault(genotype, []).append(scores)
    rows = [
        row
        for (ratio, name), some in chosen.items()
        for row in _rows(ratio, name, some, again, uniform[ratio])
    ]
    settings = {k: v for k, v in vars(options).items() if k not in ("json", "data_root", "found")}
    settings["handed_out"] = {
        f"{name}@{ratio:g}": [list(space.decode(g)) for g, _ in some]
        for (ratio, name), some in chosen.items()
    }
    machine = {"processor": platform.processor() or platform.machine(), "torch": torch.__version__}
    document = {"benchmark": "handed_out", "settings": settings, "machine": machine, "rows": rows}
    if options.json:
        print(json.dumps(document, indent=1))
        return
    for row in rows:
        print(f"{row['system']:<10} {row['metric']:<16} {row['value']:8.2f} +- {row['spread']:.2f}")


def handed_out(
    definition: Definition,
    options: argparse.Namespace,
    limits: dict[float, float],
    pool: ProcessPoolExecutor,
) -> Chosen:
    """Searches; what each of them hands out, with the accuracy that it claims."""
    task = partial(train, definition, options.data_root, "search")
    choices = [len(definition.space.ratios)] * len(definition.make_space().genes)
    chosen: Chosen = {}
    known: dict[Genotype, float] = {}
    for seed in range(options.searches):
        searching = make_search(definition, "pareto", seed)
        while len(searching.history) < options.candidates:
            asked = searching.ask()[: options.candidates - len(searching.history)]
            new = [g for g in asked if g not in known]
            scores = pool.map(task, [(g, definition.recipe.seed) for g in new])
            known.update((g, a) for g, (a, _) in zip(new, scores, strict=True))
            searching.tell({g: known[g] for g in asked})
        history = searching.history
        evaluated = tuples(history.genotypes)
        pairs = list(zip(evaluated, history.accuracies.tolist(), strict=True))
        found = estimates(choices, pairs, evaluated)  # None: too few, and then a report has none
        believed = history.accuracies if found is None else np.array([e.accuracy for e in found])
        views = {"estimate": believed, "measured": history.accuracies}
        for ratio, limit in limits.items():
            within = np.flatnonzero(history.costs <= limit)
            for name, accuracies in views.items():
                best = within[np.argmax(accuracies[within])]
                chosen.setdefault((ratio, name), []).append((evaluated[best], accuracies[best]))
    return chosen


def _read(path: Path, space: SearchSpace) -> Chosen:
    """What the searches of an earlier result handed out; their claims are not read."""
    found = json.loads(path.read_text())["settings"]["handed_out"]
    chosen: Chosen = {}
    for key, some in found.items():
        name, _, ratio = key.partition("@")
        chosen[float(ratio), name] = [(space.encode(ratios), float("nan")) for ratios in some]
    return chosen


def _rows(
    ratio: float,
    name: str,
    chosen: Sequence[tuple[Genotype, float]],
    again: dict[Genotype, list[tuple[float, float]]],
    uniform: Genotype,
) -> list[dict[str, Any]]:
    """Means and standard errors of what one way of choosing hands out at one uniform ratio."""
    reference = np.array(again[uniform])[:, 1]
    means = np.array([np.array(again[genotype]).mean(axis=0) for genotype, _ in chosen])
    error = _error(reference)
    said = np.array([accuracy for _, accuracy in chosen])
    values = {
        "test": (means[:, 1].mean(), _error(means[:, 1])),
        "uniform_test": (reference.mean(), error),
        "ahead": (means[:, 1].mean() - reference.mean(), np.hypot(_error(means[:, 1]), error)),
        "optimism": ((said - means[:, 0]).mean(), _error(said - means[:, 0])),
    }
    return [
        {
            "system": name,
            "metric": f"{metric}@{ratio:g}",
            "value": round(float(value), 3),
            "spread": round(float(spread), 3),
        }
        for metric, (value, spread) in values.items()
        if np.isfinite(value)
    ]


def _error(values: Any) -> float:
    """The standard error of a mean; 0 of a single value."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
