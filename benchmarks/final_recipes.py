"""Measures by which recipes narrow and wide networks become most accurate.

    python benchmarks/final_recipes.py --definition DEFINITION.toml --data-root FOLDER
    python benchmarks/final_recipes.py --definition DEFINITION.toml --data-root FOLDER --inherit

Uniform networks of a definition are trained from random weights, or with `--inherit` from the first
channels of its parent, by its [final] with other schedules and learning rates, on the training
images of a search only, and scored on its validation images: test images choose nothing. `steps`
falls to a tenth after 30, 60 and 90 % of the epochs, as the paper's final training does. `accuracy`
is the mean over seeds, its spread the standard error. Training runs are kept in the folder
`--keep`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
from functools import partial
from pathlib import Path
from typing import Any

from kept import Kept

from moo_bnas.definition import Definition, load_definition
from moo_bnas.evolution.space import Genotype
from moo_bnas.training.evaluator import Evaluator

_PLACES = (0.3, 0.6, 0.9)  # of the paper's milestones 60, 120 and 180 of 200 epochs


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--definition", default="digits", help="name or file, with a [final]")
    add("--data-root", type=Path, default=Path("~/.cache/moo-bnas").expanduser())
    add("--device", default="cpu", help="cpu or cuda:N")
    add("--keep", type=Path, help="folder that keeps training runs")
    add("--epochs", type=int, help="epochs instead of those of [final]; 4 or more for steps")
    add("--ratios", type=float, nargs="+", default=[0.5, 1.0, 4.0])
    add("--schedules", nargs="+", choices=["one_cycle", "steps"], default=["one_cycle", "steps"])
    add("--learning-rates", type=float, nargs="+", default=[0.03, 0.1, 0.3])
    add("--inherit", action="store_true", help="begin with the weights of the parent")
    add("--seeds", type=int, default=2)
    add("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def variant(given: Definition, epochs: int | None, schedule: str, rate: float) -> Definition:
    """A definition whose candidates are trained by its [final], changed."""
    recipe = given.final_recipe().model_dump()
    recipe |= {"epochs": epochs or recipe["epochs"], "schedule": schedule, "learning_rate": rate}
    places = sorted({round(place * recipe["epochs"]) for place in _PLACES})
    recipe |= {"milestones": places if schedule == "steps" else []}
    recipe |= {"seed": given.training().seed}  # also that of the split
    values = given.model_dump(exclude={"recipe"})
    return Definition.model_validate({**values, "recipe": recipe})


def _accuracy(evaluator: Evaluator, genotype: Genotype, seed: int) -> dict[str, float]:
    found = evaluator.evaluate(genotype, "binary", lambda: False, repeat=seed)
    print(".", end="", file=sys.stderr, flush=True)
    return {"accuracy": found.accuracy}


def trained_parent(given: Definition, options: argparse.Namespace, kept: Kept) -> bytes:
    """The weights of the parent of a definition."""
    evaluator = Evaluator(given, options.device, options.data_root)
    key = ["parent", given.parent_fingerprint(evaluator.load("search"))]

    def make() -> bytes:
        return evaluator.train_parent(None, lambda *_: None, lambda: False)[1]

    return kept.content(key, make, ".weights")


def main() -> None:
    """Trains and prints."""
    options = parse()
    given, kept = load_definition(options.definition), Kept(options.keep)
    space = given.make_space()
    parent = trained_parent(given, options, kept) if options.inherit else None
    rows: list[dict[str, Any]] = []
    for schedule in options.schedules:
        for rate in options.learning_rates:
            definition = variant(given, options.epochs, schedule, rate)
            evaluator = Evaluator(definition, options.device, options.data_root)
            begin = None if parent is None else hashlib.sha256(parent).hexdigest()
            fingerprint = definition.fingerprint("binary", evaluator.load("search"), begin)
            if parent is not None:
                evaluator.inherit(parent)
            for ratio in options.ratios:
                accuracies = []
                for seed in range(1, options.seeds + 1):
                    make = partial(_accuracy, evaluator, space.uniform(ratio), seed)
                    accuracies.append(kept.values([fingerprint, ratio, seed], make)["accuracy"])
                error = (
                    statistics.stdev(accuracies) / options.seeds**0.5 if options.seeds > 1 else 0.0
                )
                rows.append(
                    {
                        "system": f"{schedule}, {rate:g}{', inherited' if parent else ''}",
                        "metric": f"accuracy@{ratio:g}",
                        "value": round(statistics.mean(accuracies), 3),
                        "spread": round(error, 3),
                    }
                )
    print(file=sys.stderr)
    if options.json:
        settings = {
            k: v for k, v in vars(options).items() if k not in ("json", "data_root", "keep")
        }
        print(
            json.dumps({"benchmark": "final_recipes", "settings": settings, "rows": rows}, indent=1)
        )
        return
    for row in rows:
        print(f"{row['system']:<26} {row['metric']:<14} {row['value']:6.2f} +- {row['spread']:.2f}")


if __name__ == "__main__":
    main()
