"""Measures what bits of activations as genes are worth: widths and bits against widths alone.

    python benchmarks/bits.py --data-root FOLDER --seeds 3 --candidates 28 --keep FOLDER

Both searches have the Gaussian process, equal seeds, equally many candidates, and no candidate
costs more than the uniform 2x network of 1 bit. Their most accurate networks by estimates, at no
more than the cost of uniform 1x and 2x, are trained by [final] on the training images of the
search, and scored on the test images; and so are uniform networks.

- `hypervolume`: of the search's front by its estimates, as a share of the area of accuracy and log
  cost from the cheapest network to uniform 2x.
- `1x`, `2x`: accuracy on the test images of the networks within these costs; `bits - widths`: the
  differences, seed by seed.
- `share_of_2_bits`: of the genes of bits of these networks.
- `seconds`: of CPU time of a search's training runs.

All values are means over seeds; spreads are their standard errors.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import numpy as np
import torch
from retraining import Bench

from moo_bnas.definition import Definition, load_definition
from moo_bnas.driver.run import make_search
from moo_bnas.evolution.candidates import tuples
from moo_bnas.evolution.estimates import estimates
from moo_bnas.evolution.scoring import front, hypervolume
from moo_bnas.evolution.space import FloatArray, Genotype
from moo_bnas.overrides import override, with_keys

_BUDGETS = {"1x": 1.0, "2x": 2.0}


class Side:
    """One of the two searches that are compared.

    Args:
        name: Its name.
        definition: Its definition.
        options: Options of the command.
    """

    def __init__(self, name: str, definition: Definition, options: argparse.Namespace) -> None:
        self.name = name
        self._space = definition.make_space()
        self._limit = self.cost_of(definition, 2.0)
        self._definition = override(definition, max_flops=self._limit)
        self._bench = Bench(self._definition, options.data_root, options.keep)
        self._candidates = options.candidates

    @staticmethod
    def cost_of(definition: Definition, ratio: float) -> float:
        """Cost of the uniform network of 1 bit."""
        subject = definition.subject()
        return subject.costs_of(subject.space.of_ratio(ratio, 1))[definition.cost.name]

    def measure(self, seed: int) -> dict[str, float]:
        """Searches, and trains what was found to the end."""
        searching, seconds = make_search(self._definition, "pareto", seed), 0.0
        while len(searching.history) < self._candidates:
            asked = searching.ask()[: self._candidates - len(searching.history)]
            trained = {g: self._bench.train("search", False, g, seed) for g in asked}
            seconds += sum(each["seconds"] for each in trained.values())
            searching.tell({g: each["validation"] for g, each in trained.items()})
        history = searching.history
        genotypes = tuples(history.genotypes)
        believed = self._believed(genotypes, history.accuracies)
        on = front(believed, history.costs)
        least = self._definition.cost_range()[0]
        volume = hypervolume(believed[on], history.costs[on], least, self._limit)
        found = {"hypervolume": volume, "seconds": seconds}
        for name, ratio in _BUDGETS.items():
            within = np.flatnonzero(history.costs <= self.cost_of(self._definition, ratio) + 0.5)
            chosen = genotypes[within[believed[within].argmax()]]
            found[name] = self.final(chosen, seed)
            if bits := self._space.split(self._space.decode(chosen))[1]:
                found[f"{name} share_of_2_bits"] = float(np.mean([each == 2 for each in bits]))
        return found

    def uniform(self, ratio: float, bits: int | None, seed: int) -> float:
        """Test accuracy of a uniform network after final training."""
        return self.final(self._space.uniform(ratio, bits), seed)

    def final(self, genotype: Genotype, seed: int) -> float:
        """Test accuracy of a network after final training."""
        return self._bench.train("confirmed", True, genotype, seed)["test"]

    def _believed(self, genotypes: list[Genotype], accuracies: FloatArray) -> FloatArray:
        pairs = list(zip(genotypes, accuracies.tolist(), strict=True))
        found = estimates(self._space.choices, pairs, genotypes)
        return accuracies if found is None else np.array([e.accuracy for e in found])


def main() -> None:
    """Searches, trains and prints."""
    options = parse()
    definition = load_definition(options.definition)
    bits = Side("bits", definition, options)
    widths = Side("widths", with_keys(definition, ["space.activation_bits=[]"]), options)
    values: dict[tuple[str, str], list[float]] = {}
    for seed in range(options.seeds):
        found = {side.name: side.measure(seed) for side in (widths, bits)}
        found["bits - widths"] = {k: found["bits"][k] - v for k, v in found["widths"].items()}
        found["uniform"] = {
            "1x": widths.uniform(1.0, None, seed),
            "2x": widths.uniform(2.0, None, seed),
            "1x, 2 bits": bits.uniform(1.0, 2, seed),
        }
        for system, metrics in found.items():
            for metric, value in metrics.items():
                values.setdefault((system, metric), []).append(value)
    rows = [
        {
            "system": system,
            "metric": metric,
            "value": round(float(np.mean(some)), 4),
            "spread": round(float(np.std(some, ddof=1) / len(some) ** 0.5), 4),
            "by_seed": [round(each, 4) for each in some],
        }
        for (system, metric), some in values.items()
    ]
    if options.json:
        settings = {
            k: v for k, v in vars(options).items() if k not in ("json", "data_root", "keep")
        }
        machine = {"processor": platform.machine(), "torch": torch.__version__}
        document = {"benchmark": "bits", "settings": settings, "machine": machine, "rows": rows}
        print(json.dumps(document, indent=1))
        return
    for row in rows:
        print(f"{row['system']:<14} {row['metric']:<18} {row['value']:9.4f} +- {row['spread']:.4f}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--definition", default="benchmarks/cifar10_bits.toml", help="name or file")
    parser.add_argument("--data-root", type=Path, default=Path("~/.cache/moo-bnas").expanduser())
    parser.add_argument("--candidates", type=int, default=28, help="candidates of each search")
    parser.add_argument("--seeds", type=int, default=3, help="2 or more")
    parser.add_argument("--keep", type=Path, help="folder that keeps training runs")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
