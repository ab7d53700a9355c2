"""Measures how well cheap scores rank architectures, and what they cost.

    python benchmarks/ranking.py --keep FOLDER

The truth of an architecture is its mean accuracy over `--long-seeds` training runs of `--long`
epochs from random weights, by the recipe of the definition's [parent]. Beside it stand scores as a
search makes them: candidates that inherit from a plain parent or from a sandwich parent and train
for `--epochs` epochs by [recipe] (0: recalibrated and scored only), and candidates that train for
`--scratch` epochs from random weights by the parent's recipe. There are `--parents` parents of each
kind.

`kendall_tau` is the rank correlation of the scores with the truth (1: the same order), averaged
over parents and seeds. `seed_sd` is the standard deviation, in points, of an architecture's score
over seeds below one parent, averaged over architectures; `parent_sd` is that over seeds and
parents, without what moves all architectures alike. `seconds` is what a score costs: CPU seconds
of this process, on a GPU wall seconds; the parent's share is its seconds divided by `--candidates`.
`tau_per_second` divides the two.

Training runs are kept in the folder `--keep`: a benchmark that was stopped continues there, and
the truth is used again. Give another folder after a change of the training code.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kept import Kept
from scipy.stats import kendalltau

from moo_bnas.definition import Definition, load_definition
from moo_bnas.evolution.space import Genotype
from moo_bnas.training.evaluator import Evaluator

_FIRST_LONG_SEED = 100  # the truth has seeds of its own, so that no noise is shared with scores
_Values = dict[str, float]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--definition", default="digits_inherited", help="name or file, with a [parent]")
    add("--data-root", type=Path, default=Path("~/.cache/moo-bnas").expanduser())
    add("--device", default="cpu", help="cpu or cuda:N")
    add("--keep", type=Path, help="folder that keeps training runs")
    add("--architectures", type=int, default=24, help="number of architectures")
    add("--long", type=int, default=30, help="epochs of the truth")
    add("--long-seeds", type=int, default=3, help="seeds of the truth")
    add("--plain", type=int, nargs="*", default=[30], help="epochs of plain parents")
    add("--sandwich", type=int, nargs="*", default=[30], help="epochs of sandwich parents")
    add("--parents", type=int, default=2, help="parents of each kind")
    add("--epochs", type=int, nargs="*", default=[0, 1, 2, 6], help="epochs of candidates")
    add("--scratch", type=int, nargs="*", default=[6, 12], help="the same, from random weights")
    add("--seeds", type=int, default=2, help="seeds of the scores")
    add("--candidates", type=int, default=300, help="candidates that share a parent's cost")
    add("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


class Runs:
    """Training runs of variants of one definition.

    Args:
        options: The command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._kept = Kept(options.keep)
        self._clock = time.process_time if options.device == "cpu" else time.perf_counter
        self.definition = load_definition(options.definition)
        self._evaluators: dict[str, Evaluator] = {}
        if self.definition.parent is None:
            sys.exit(f"{options.definition} has no [parent]; give a definition that has one")

    def from_scratch(self, epochs: int) -> Definition:
        """A definition whose candidates train from random weights, by the parent's recipe."""
        parent = self.definition.model_dump()["parent"]
        del parent["rule"]
        seed = self.definition.recipe.seed  # also that of the split
        return self._variant(parent=None, recipe={**parent, "epochs": epochs, "seed": seed})

    def inheriting(self, rule: str, parent_epochs: int, seed: int, epochs: int) -> Definition:
        """A definition whose candidates inherit."""
        values = self.definition.model_dump()
        parent = {**values["parent"], "rule": rule, "epochs": parent_epochs, "seed": seed}
        return self._variant(parent=parent, recipe={**values["recipe"], "epochs": epochs})

    def parent(self, definition: Definition) -> tuple[_Values, bytes]:
        """Accuracy and seconds of the parent of a definition, and its weights."""
        evaluator = self._evaluator(definition)
        key = ["parent", definition.parent_fingerprint(evaluator.load("search"))]

        def make() -> bytes:
            began = self._clock()
            found, weights = evaluator.train_parent(None, lambda *_: None, lambda: False)
            values = {"accuracy": found.accuracy, "seconds": self._clock() - began}
            return json.dumps(values).encode() + b"\n" + weights

        head, _, weights = self._kept.content(key, make, ".parent").partition(b"\n")
        return json.loads(head), weights

    def score(
        self, definition: Definition, genotype: Genotype, seed: int, weights: bytes | None = None
    ) -> _Values:
        """Accuracy and seconds of a candidate."""
        evaluator = self._evaluator(definition)
        parent_hash = None if weights is None else hashlib.sha256(weights).hexdigest()
        fingerprint = definition.fingerprint("binary", evaluator.load("search"), parent_hash)

        def make() -> _Values:
            if weights is not None:
                evaluator.inherit(weights)
            began = self._clock()
            found = evaluator.evaluate(genotype, "binary", lambda: False, repeat=seed)
            print(".", end="", file=sys.stderr, flush=True)
            return {"accuracy": found.accuracy, "seconds": self._clock() - began}

        return self._kept.values([fingerprint, list(genotype), seed], make)

    def _variant(self, **values: Any) -> Definition:
        return Definition.model_validate({**self.definition.model_dump(), **values})

    def _evaluator(self, definition: Definition) -> Evaluator:
        key = definition.model_dump_json()
        if key not in self._evaluators:
            options = self._options
            self._evaluators[key] = Evaluator(definition, options.device, options.data_root)
        return self._evaluators[key]


def main() -> None:
    """Trains, correlates and prints."""
    options = parse()
    runs = Runs(options)
    space = runs.definition.make_space()
    random = np.random.default_rng(0)
    shape = (options.architectures, len(space.genes))
    genotypes = [tuple(int(g) for g in row) for row in random.integers(0, len(space.ratios), shape)]
    long = runs.from_scratch(options.long)
    truth = [
        statistics.mean(
            runs.score(long, g, _FIRST_LONG_SEED + s)["accuracy"] for s in range(options.long_seeds)
        )
        for g in genotypes
    ]
    rows: list[dict[str, Any]] = []
    rules = [("plain", n) for n in options.plain] + [("sandwich", n) for n in options.sandwich]
    for rule, parent_epochs in rules:
        parents = [
            runs.parent(runs.inheriting(rule, parent_epochs, p, 1)) for p in range(options.parents)
        ]
        name = f"{rule} parent, {parent_epochs} epochs"
        rows.append(_row(name, "accuracy", [made["accuracy"] for made, _ in parents]))
        rows.append(_row(name, "seconds", [made["seconds"] for made, _ in parents]))
        share = statistics.mean(made["seconds"] for made, _ in parents) / options.candidates
        for epochs in options.epochs:
            found = [
                [
                    [
                        runs.score(runs.inheriting(rule, parent_epochs, p, epochs), g, s, weights)
                        for g in genotypes
                    ]
                    for s in range(options.seeds)
                ]
                for p, (_, weights) in enumerate(parents)
            ]
            rows += _rows(f"{name}; {epochs} epochs", truth, found, share)
    for epochs in options.scratch:
        definition = runs.from_scratch(epochs)
        scores = [[runs.score(definition, g, s) for g in genotypes] for s in range(options.seeds)]
        rows += _rows(f"from scratch; {epochs} epochs", truth, [scores], 0.0)
    print(file=sys.stderr)
    _print(options, runs.definition, truth, rows)


def _rows(
    system: str, truth: Sequence[float], found: list[list[list[_Values]]], share: float
) -> list[dict[str, Any]]:
    """The rows of one way of scoring.

    Args:
        system: Name of the way.
        truth: Truth of each architecture.
        found: Scores by parent, seed and architecture.
        share: A candidate's share of the parent's seconds.
    """
    scores = np.array([[[v["accuracy"] for v in seed] for seed in parent] for parent in found])
    seconds = np.array([[[v["seconds"] for v in seed] for seed in parent] for parent in found])
    taus = [float(kendalltau(truth, row)[0]) for row in scores.reshape(-1, len(truth))]
    costs = [float(c) + share for c in seconds.mean(axis=2).ravel()]
    cost = statistics.mean(costs)
    rows = [_row(system, "kendall_tau", taus), _row(system, "seconds", costs)]
    rows.append(_row(system, "tau_per_second", [tau / cost for tau in taus]))
    if scores.shape[1] > 1:
        rows.append(_row(system, "seed_sd", scores.std(axis=1, ddof=1).mean(axis=1).tolist()))
    if scores.shape[0] > 1:
        centred = (scores - scores.mean(axis=2, keepdims=True)).reshape(-1, len(truth))
        rows.append(_row(system, "parent_sd", [float(centred.std(axis=0, ddof=1).mean())]))
    return rows


def _row(system: str, metric: str, values: Sequence[float]) -> dict[str, Any]:
    return {
        "system": system,
        "metric": metric,
        "value": round(statistics.mean(values), 4),
        "spread": [round(min(values), 4), round(max(values), 4)],
    }


def _print(
    options: argparse.Namespace,
    definition: Definition,
    truth: Sequence[float],
    rows: Sequence[dict[str, Any]],
) -> None:
    if options.json:
        settings = {
            k: v for k, v in vars(options).items() if k not in ("json", "data_root", "keep")
        }
        settings["definition"] = definition.name
        machine = {
            "device": "cpu" if options.device == "cpu" else torch.cuda.get_device_name(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        }
        head = {"benchmark": "ranking", "settings": settings, "machine": machine}
        print(json.dumps({**head, "rows": rows}, indent=1))
        return
    print(f"{definition.name}, truth {min(truth):.2f} to {max(truth):.2f} %")
    metrics = ("kendall_tau", "seconds", "tau_per_second", "seed_sd", "parent_sd")
    print(f"{'':42}" + "".join(f"{metric:>16}" for metric in metrics))
    for system in dict.fromkeys(row["system"] for row in rows):
        of = {row["metric"]: row["value"] for row in rows if row["system"] == system}
        print(f"{system:42}" + "".join(f"{of.get(metric, '-'):>16}" for metric in metrics))


if __name__ == "__main__":
    main()
