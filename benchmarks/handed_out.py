"""Measures whether the networks that a search hands out beat uniform widening once trained again.

    python benchmarks/handed_out.py --searches 10 --candidates 120 --seeds 9 --json > FOUND.json
    python benchmarks/handed_out.py --found FOUND.json --recipe final --seeds 5

Each search of a definition hands out one network per budget: the one that it holds to be the most
accurate of those with at most the FLOPs of a uniform network, or a share of these (0.35*4: of
uniform 4x), by its estimate, as in a report, and by the measured accuracy. These and the uniform
networks are trained again, by the recipe of the search and with seeds that no search has used, and
scored on the test images, which have chosen nothing. `--recipe final` trains them as `moo-bnas
train` does instead, on validation images, too; `--found` takes the networks from an earlier result.

`ahead@B` is the mean difference to the uniform network of budget B, in points; its spread is the
standard error, from the deviation between searches (of one search: between the training runs of its
network) and that of the uniform network's training runs. `optimism@B` is what the search said minus
what came of it on the validation images. `seconds` are CPU seconds.

The searches share one parent, where the definition has one. Training runs are kept in the folder
`--keep`: a benchmark that was stopped continues there. Give another folder after a change of the
training code.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from kept import Kept

from moo_bnas.data import Purpose
from moo_bnas.definition import Definition, load_definition
from moo_bnas.driver.final_definition import lasting
from moo_bnas.driver.run import make_search
from moo_bnas.evolution.candidates import tuples
from moo_bnas.evolution.estimates import estimates
from moo_bnas.evolution.space import Genotype, SearchSpace
from moo_bnas.fingerprint import candidate_seed
from moo_bnas.networks.cost import flops, memory_bits
from moo_bnas.networks.module import build, set_constants
from moo_bnas.training.device_data import DeviceData, to_device
from moo_bnas.training.evaluator import Evaluator
from moo_bnas.training.inheritance import inherit
from moo_bnas.training.loop import Training, score
from moo_bnas.training.recalibration import recalibrate

Chosen = dict[tuple[str, str], list[tuple[Genotype, float]]]
"""Genotypes and claimed accuracies by budget and way of choosing, one per search."""


@dataclass(frozen=True)
class Budget:
    """A limit on FLOPs: a share of those of a uniform network, which is compared, too."""

    share: float
    ratio: float

    @staticmethod
    def parse(text: str) -> Budget:
        """Reads "2", or "0.35*4"."""
        share, _, ratio = text.rpartition("*")
        return Budget(float(share or 1), float(ratio))

    def __str__(self) -> str:
        return f"{self.ratio:g}" if self.share == 1 else f"{self.share:g}*{self.ratio:g}"


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
    add("--candidates", type=int, default=120, help="candidates of each search")
    add("--seeds", type=int, default=9, help="training runs of each network after; may be 0")
    add("--recipe", choices=["search", "final"], default="search")
    add("--final-epochs", type=int, help="epochs of final training instead of those of [final]")
    add("--found", type=Path, help="result whose networks are trained again")
    add("--budgets", nargs="+", default=["0.5", "1"], help="uniform ratios, or SHARE*RATIO")
    add("--by", nargs="+", choices=["estimate", "measured"], default=["estimate", "measured"])
    add("--processes", type=int, default=2)
    add("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


@dataclass(frozen=True, eq=False)
class Bench:
    """What every process needs to train networks.

    Attributes:
        definition: Definition of the searches.
        root: Folder that contains the data sets.
        keep: Folder that keeps training runs.
    """

    definition: Definition
    root: Path
    keep: Path | None

    def parent(self) -> dict[str, float]:
        """Accuracy and seconds of the parent."""
        return self._parent()[0]

    @cache  # noqa: B019, the one bench of a process lives as long as that
    def _parent(self) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
        evaluator = Evaluator(self.definition, "cpu", self.root)

        def make() -> bytes:
            began = time.process_time()
            found, weights = evaluator.train_parent(None, lambda *_: None, lambda: False)
            values = {"accuracy": found.accuracy, "seconds": time.process_time() - began}
            return json.dumps(values).encode() + b"\n" + weights

        key = ["parent", self.definition.parent_fingerprint(evaluator.load("search"))]
        head, _, weights = Kept(self.keep).content(key, make, ".parent").partition(b"\n")
        return json.loads(head), safetensors.torch.load(weights)

    @cache  # noqa: B019
    def data(self, purpose: Purpose) -> DeviceData:
        """Images for a purpose."""
        size = self.definition.make_network().image.size
        images = self.definition.data.load(self.root, self.definition.recipe.seed, purpose)
        return to_device(images, size, torch.device("cpu"))

    def train(
        self, purpose: Purpose, tested: bool, genotype: Genotype, seed: int
    ) -> dict[str, float]:
        """Trains a network by a recipe whose seed is `seed`.

        Returns:
            Accuracies on the `validation` images, but after final training, and on the `test`
            images, where `tested`; and the CPU `seconds` of training and validation.
        """
        torch.set_num_threads(1)
        definition = self.definition
        recipe = definition.recipe if purpose == "search" else definition.final_recipe()
        inherits = purpose == "search" and definition.parent is not None
        deciding = {"network", "space", "data"}
        deciding |= {"parent", "recipe"} if purpose == "search" else {"final"}
        values = definition.model_dump(mode="json", include=deciding)

        def make() -> dict[str, float]:
            data, parent = self.data(purpose), self._parent()[1] if inherits else {}
            began, found = time.process_time(), {}
            network, space = definition.make_network(), definition.make_space()
            own = candidate_seed(seed, genotype)
            specs = network.layers(space.widths_of(genotype, network.base_widths), "binary")
            torch.manual_seed(own)
            module = build(specs, definition.network.binarizer)
            set_constants(module, definition.network.binarizer_constants)
            if inherits:
                inherit(module, parent)
            if recipe.epochs:
                training = Training(module, data, recipe, own, scores=False)
                training.run()
                module = training.network
            else:
                module = module.to(memory_format=torch.channels_last)
                recalibrate(module, data, own)
            if purpose == "search":
                found["validation"] = score(module, data)
            found["seconds"] = time.process_time() - began
            if tested:
                found["test"] = score(module, replace(data, scoring=self.data("final").scoring))
            print(".", end="", file=sys.stderr, flush=True)
            return found

        return Kept(self.keep).values([purpose, tested, values, list(genotype), seed], make)


_bench: list[Bench] = []  # the one of this process


def _start(bench: Bench) -> None:
    _bench.append(bench)


def _train(purpose: Purpose, tested: bool, task: tuple[Genotype, int]) -> dict[str, float]:
    return _bench[0].train(purpose, tested, *task)


def main() -> None:
    """Searches, trains again and prints."""
    options = parse()
    given = load_definition(options.definition)
    generations = -(-options.candidates // given.search.population)
    search = given.search.model_copy(update={"model": "gp", "generations": generations})
    definition = given.model_copy(update={"search": search})
    if options.final_epochs is not None:
        definition = lasting(definition, options.final_epochs)
    space, network = definition.make_space(), definition.make_network()
    budgets = [Budget.parse(text) for text in options.budgets]
    uniform = {str(b): space.uniform(b.ratio) for b in budgets}
    costs = definition.cost.each(network, space, [*uniform.values()])
    limits = {str(b): b.share * cost for b, cost in zip(budgets, costs, strict=True)}
    bench = Bench(definition, options.data_root, options.keep)
    seconds: dict[str, list[float]] = {}
    with ProcessPoolExecutor(options.processes, initializer=_start, initargs=[bench]) as pool:
        if options.found is None:
            if definition.parent is not None:
                seconds["parent"] = [bench.parent()["seconds"]]
            chosen, seconds["search"] = handed_out(definition, options, limits, pool)
        else:
            chosen = _read(options.found, space)
        wanted = sorted({g for some in chosen.values() for g, _ in some} | set(uniform.values()))
        first = definition.recipe.seed
        tasks = [(g, first + k) for k in range(1, options.seeds + 1) for g in wanted]
        again: dict[Genotype, list[dict[str, float]]] = {}
        task = partial(_train, options.recipe, True)
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
    task = partial(_train, "search", False)
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
                best = within[np.argmax(views[name][within])]
                chosen.setdefault((budget, name), []).append((evaluated[best], views[name][best]))
        spent.append(seconds + time.process_time() - began)
    return chosen, spent


def _read(path: Path, space: SearchSpace) -> Chosen:
    """What the searches of an earlier result handed out; their claims are not read."""
    found = json.loads(path.read_text())["settings"]["handed_out"]
    chosen: Chosen = {}
    for key, some in found.items():
        name, _, budget = key.partition("@")
        chosen[budget, name] = [(space.encode(ratios), float("nan")) for ratios in some]
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
