"""Measures whether the networks that a search hands out beat uniform widening once trained again.

    python benchmarks/handed_out.py --searches 10 --candidates 120 --seeds 9 --json > FOUND.json
    python benchmarks/handed_out.py --found FOUND.json --recipe final --seeds 5
    python benchmarks/handed_out.py --recipe-seed 100 --searches 1 --seeds 0 --json > OTHER.json
    python benchmarks/handed_out.py --found FOUND.json OTHER.json --recipe final --seeds 5

Each search of a definition hands out one network per budget: the one that it holds to be the most
accurate of those with at most the FLOPs of a uniform network, or a share of these (0.35*4: of
uniform 4x), by its estimate, as in a report, and by the measured accuracy; or (`confirmed`)
the one of its best by estimate that is best once they are trained by [final]. These and the uniform
networks are trained again, by the recipe of the search and with seeds that no search has used, and
scored on the test images, which have chosen nothing. `--recipe final` trains them as `moo-bnas
train` does instead, on validation images, too; `--found` takes the networks from earlier results.

`ahead@B` is the mean difference to the uniform network of budget B, in points; its spread is the
standard error, from the deviation between searches (of one search: between the training runs of its
network) and that of the uniform network's training runs. `optimism@B` is what the search said minus
what came of it on the validation images. `seconds` are CPU seconds.

The searches of one command share their validation images and, where the definition has one, their
parent; `--recipe-seed` draws others. Training runs are kept in the folder `--keep`: a benchmark
that was stopped continues there. Give another folder after a change of the training code.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from retraining import Bench, start, train

from moo_bnas.definition import Definition, load_definition
from moo_bnas.driver.final_definition import lasting
from moo_bnas.driver.run import make_search
from moo_bnas.evolution.candidates import tuples
from moo_bnas.evolution.estimates import estimates
from moo_bnas.evolution.space import Genotype, SearchSpace
from moo_bnas.networks.cost import flops, memory_bits

Chosen = dict[tuple[str, str], list[tuple[Genotype, float]]]
"""Genotypes and claimed accuracies by budget and way of choosing, one per search."""

_CONFIRMING = (
    1000  # first seed of training runs that choose; those that are scored at last have others
)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--definition", default="digits", help="name or file")
    add("--data-root", type=Path, default=Path("~/.cache/moo-bnas").expanduser())
    add("--keep", type=Path, help="folder that keeps training runs")
    add("--searches", type=int, default=5, help="searches, with seeds from 0")
    add("--recipe-seed", type=int, help="seed of [recipe], instead of the definition's")
    add("--candidates", type=int, default=120, help="candidates of each search")
    add("--seeds", type=int, default=9, help="training runs of each network after; may be 0")
    add("--recipe", choices=["search", "final"], default="search")
    add("--final-epochs", type=int, help="epochs of final training instead of those of [final]")
    add("--found", type=Path, nargs="+", help="results whose networks are trained again")
    add("--budgets", nargs="+", default=["0.5", "1"], help="uniform ratios, or SHARE*RATIO")
    ways = ["estimate", "measured", "confirmed"]
    add("--by", nargs="+", choices=ways, default=ways[:2], help="ways of choosing")
    add("--shortlist", type=int, default=4, help="networks that `confirmed` trains per budget")
    add("--confirm-seeds", type=int, default=1, help="training runs of each of these")
    add("--processes", type=int, default=2)
    add("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def main() -> None:
    """Searches, trains again and prints."""
    options = parse()
    definition = _definition(options)
    space, network = definition.make_space(), definition.make_network()
    shares = {budget: _budget(budget) for budget in options.budgets}
    uniform = {budget: space.uniform(ratio) for budget, (_, ratio) in shares.items()}
    costs = definition.cost.each(network, space, [*uniform.values()])
    limits = {b: share * cost for (b, (share, _)), cost in zip(shares.items(), costs, strict=True)}
    bench = Bench(definition, options.data_root, options.keep)
    seconds: dict[str, list[float]] = {}
    with ProcessPoolExecutor(options.processes, initializer=start, initargs=[bench]) as pool:
        if options.found is None:
            if definition.parent is not None:
                seconds["parent"] = [bench.parent()["seconds"]]
            chosen, seconds["search"] = handed_out(definition, options, limits, pool)
        else:
            chosen = _read(options.found, options, space)
        wanted = sorted({g for some in chosen.values() for g, _ in some} | set(uniform.values()))
        first = definition.recipe.seed
        tasks = [(g, first + k) for k in range(1, options.seeds + 1) for g in wanted]
        again: dict[Genotype, list[dict[str, float]]] = {}
        task = partial(train, options.recipe, True)
        for (genotype, _), found in zip(tasks, pool.map(task, tasks), strict=True):
            again.setdefault(genotype, []).append(found)
    rows: list[dict[str, Any]] = []
    if again:
        for (budget, name), some in chosen.items():
            rows += _rows(budget, name, some, again, uniform[budget])
        seconds["network"] = [run["seconds"] for runs in again.values() for run in runs]
    for what, values in seconds.items():
        rows.append(_row(what, "seconds", np.mean(values), _error(values)))
    hidden = ("json", "data_root", "keep", "found")
    settings = {k: v for k, v in vars(options).items() if k not in hidden}
    settings["handed_out"] = {
        f"{name}@{budget}": [list(space.decode(g)) for g, _ in some]
        for (budget, name), some in chosen.items()
    }
    networks = [
        {
            "ratios": space.decode(genotype),
            "flops": flops(
                network, widths := space.widths_of(genotype, network.base_widths), "binary"
            ),
            "memory_bits": memory_bits(network, widths, "binary"),
            "test": [round(run["test"], 2) for run in runs],
        }
        for genotype, runs in again.items()
    ]
    machine = {"processor": platform.processor() or platform.machine(), "torch": torch.__version__}
    head = {"benchmark": "handed_out", "settings": settings, "machine": machine}
    document = {**head, "networks": networks, "rows": rows}
    if options.json:
        print(json.dumps(document, indent=1))
        return
    for row in rows:
        print(f"{row['system']:<10} {row['metric']:<20} {row['value']:8.2f} +- {row['spread']:.2f}")


def handed_out(
    definition: Definition,
    options: argparse.Namespace,
    limits: dict[str, float],
    pool: ProcessPoolExecutor,
) -> tuple[Chosen, list[float]]:
    """Searches.

    Returns:
        What each of them hands out, with the accuracy that it claims; and the CPU seconds of each.
    """
    task = partial(train, "search", False)
    choices = [len(definition.space.ratios)] * len(definition.make_space().genes)
    chosen: Chosen = {}
    spent = []
    for seed in range(options.searches):
        began, seconds = time.process_time(), 0.0
        searching = make_search(definition, "pareto", seed)
        while len(searching.history) < options.candidates:
            asked = searching.ask()[: options.candidates - len(searching.history)]
            found = list(pool.map(task, [(g, definition.recipe.seed) for g in asked]))
            searching.tell({g: v["validation"] for g, v in zip(asked, found, strict=True)})
            seconds += sum(v["seconds"] for v in found)
        history = searching.history
        evaluated = tuples(history.genotypes)
        pairs = list(zip(evaluated, history.accuracies.tolist(), strict=True))
        by_model = estimates(choices, pairs, evaluated)  # None: too few, then a report has none
        measured = history.accuracies
        believed = measured if by_model is None else np.array([e.accuracy for e in by_model])
        views = {"estimate": believed, "measured": measured}
        for budget, limit in limits.items():
            within = np.flatnonzero(history.costs <= limit)
            for name in options.by:
                if name == "confirmed":
                    order = within[np.argsort(-believed[within], kind="stable")]
                    best, said = confirmed(definition, options, [evaluated[i] for i in order], pool)
                else:
                    index = within[np.argmax(views[name][within])]
                    best, said = evaluated[index], float(views[name][index])
                chosen.setdefault((budget, name), []).append((best, said))
        spent.append(seconds + time.process_time() - began)
    return chosen, spent


def confirmed(
    definition: Definition,
    options: argparse.Namespace,
    networks: Sequence[Genotype],
    pool: ProcessPoolExecutor,
) -> tuple[Genotype, float]:
    """The best of the first networks on the validation images, after training by [final]."""
    seeds = range(_CONFIRMING, _CONFIRMING + options.confirm_seeds)
    shortlist = networks[: options.shortlist]
    tasks = [(g, definition.recipe.seed + seed) for g in shortlist for seed in seeds]
    found = [run["validation"] for run in pool.map(partial(train, "confirmed", False), tasks)]
    means = np.reshape(found, (len(shortlist), -1)).mean(axis=1)
    return shortlist[np.argmax(means)], float(means.max())


def _definition(options: argparse.Namespace) -> Definition:
    """What is searched and trained."""
    given = load_definition(options.definition)
    generations = -(-options.candidates // given.search.population)
    search = given.search.model_copy(update={"model": "gp", "generations": generations})
    definition = given.model_copy(update={"search": search})
    if options.final_epochs is not None:
        definition = lasting(definition, options.final_epochs)
    if options.recipe_seed is not None:
        recipe = definition.training().model_copy(update={"seed": options.recipe_seed})
        definition = definition.model_copy(update={"recipe": recipe})
    return definition


def _budget(text: str) -> tuple[float, float]:
    """The share and the uniform ratio of "0.35*4", or of "2"."""
    share, _, ratio = text.rpartition("*")
    return float(share or 1), float(ratio)


def _read(paths: Sequence[Path], options: argparse.Namespace, space: SearchSpace) -> Chosen:
    """What the searches of earlier results handed out; their claims are not read."""
    chosen: Chosen = {}
    for path in paths:
        for key, some in json.loads(path.read_text())["settings"]["handed_out"].items():
            name, _, budget = key.partition("@")
            if name in options.by and budget in options.budgets:
                read = [(space.encode(ratios), float("nan")) for ratios in some]
                chosen.setdefault((budget, name), []).extend(read)
    return chosen


def _rows(
    budget: str,
    name: str,
    chosen: Sequence[tuple[Genotype, float]],
    again: dict[Genotype, list[dict[str, float]]],
    uniform: Genotype,
) -> list[dict[str, Any]]:
    """Means and standard errors of what one way of choosing hands out within one budget."""
    reference = [run["test"] for run in again[uniform]]
    test = [[run["test"] for run in again[genotype]] for genotype, _ in chosen]
    means = np.mean(test, axis=1)
    error = _error(means) if len(chosen) > 1 else _error(test[0])
    values = {
        "test": (means.mean(), error),
        "uniform_test": (np.mean(reference), _error(reference)),
        "ahead": (means.mean() - np.mean(reference), np.hypot(error, _error(reference))),
    }
    said = [accuracy for _, accuracy in chosen]
    came = [
        np.mean([run.get("validation", np.nan) for run in again[genotype]])
        for genotype, _ in chosen
    ]
    values["optimism"] = (np.mean(said) - np.mean(came), _error(np.subtract(said, came)))
    return [
        _row(name, f"{metric}@{budget}", *value)
        for metric, value in values.items()
        if np.isfinite(value[0])
    ]


def _row(system: str, metric: str, value: Any, spread: Any) -> dict[str, Any]:
    value, spread = round(float(value), 3), round(float(spread), 3)
    return {"system": system, "metric": metric, "value": value, "spread": spread}


def _error(values: Any) -> float:
    """The standard error of a mean; 0 of a single value."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
