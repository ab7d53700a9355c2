"""Measures whether fronts keep what they promise once their networks are trained again.

    python benchmarks/fronts.py --searches 5 --candidates 96 --seeds 2 --keep FOLDER

Searches of a definition are made with the Gaussian process (`gp`; `gp, half` is its state after
half of the candidates) and without a model (`none`, NSGA-II), with equal seeds. Networks of their
fronts are trained again with recipe seeds that no search used, and scored on validation and on test
images. Fronts are those of a report, by estimates, unless said. Training runs are kept in a folder.

- `hypervolume`: of a front by its mean test accuracies after training again, as a share of the
  space's area of accuracy and log cost; `area`: the same with linear cost, which is what the
  process looks for; `..._ahead`: the difference to `none`, seed by seed.
- `loss`: how far the accuracies that the front claims are above the means on the validation images
  after training again, in points; `extra_loss`: the same less that of as many networks of the
  same search that are on no front. `measured`: of the measured accuracies and their front.
- `knee_kept`: share of redraws in which the knee is the same network, or costs no more and no less
  than its two neighbours on the front; `knee_same`: in which it is the same. A redraw gives each
  candidate what the search believes of it plus the noise of a training run: the deviation between
  training runs with other seeds, the same for all networks on the scale of log error.
  `knee_kept_again`: with the accuracies after training again in place of those of the search, where
  there are any, a redraw per recipe seed.

All values are means over searches; spreads are their standard errors.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from retraining import Bench

from moo_bnas.definition import Definition, load_definition
from moo_bnas.driver.run import make_search
from moo_bnas.evolution.candidates import tuples
from moo_bnas.evolution.estimates import estimates
from moo_bnas.evolution.scoring import front, hypervolume, knee
from moo_bnas.evolution.screening import History
from moo_bnas.evolution.space import FloatArray, Genotype

Trained = Callable[[Genotype, int], tuple[float, float]]
"""Accuracies on validation and on test images of a genotype and a recipe seed."""


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        choices: The number of choices of each gene.
        genotypes: Evaluated genotypes.
        accuracies: Their accuracies as measured, shape (n,).
        costs: Their costs, shape (n,).
        believed: Their estimates, shape (n,).
    """

    choices: list[int]
    genotypes: list[Genotype]
    accuracies: FloatArray
    costs: FloatArray
    believed: FloatArray

    @staticmethod
    def of(choices: list[int], history: History, count: int) -> Found:
        """What the first evaluations of a history came to."""
        genotypes = tuples(history.genotypes[:count])
        accuracies = history.accuracies[:count]
        believed = _believed(choices, genotypes, accuracies)
        return Found(choices, genotypes, accuracies, history.costs[:count], believed)

    def front(self, accuracies: FloatArray) -> list[int]:
        """Indices of the front of some accuracies, by ascending cost."""
        return front(accuracies, self.costs)

    def knee(self, accuracies: FloatArray) -> int:
        """Index of the knee of that front."""
        on = self.front(accuracies)
        return on[knee(accuracies[on], self.costs[on])]

    def others(self, seed: int) -> list[int]:
        """Indices of networks that are on no front, as many as are on the front."""
        on = self.front(self.believed)
        rest = sorted({*range(len(self.costs))} - {*on, *self.front(self.accuracies)})
        return np.random.default_rng(seed).permutation(rest)[: len(on)].tolist()


def main() -> None:
    """Searches, trains again and prints."""
    options = parse()
    definition = load_definition(options.definition)
    bench = Bench(definition, options.data_root, options.keep)
    fresh = [definition.recipe.seed + k for k in range(1, options.seeds + 1)]

    @cache
    def trained(genotype: Genotype, seed: int) -> tuple[float, float]:
        found = bench.train("search", True, genotype, seed)
        return found["validation"], found["test"]

    searches = [
        searched(definition, seed, options.candidates, trained) for seed in range(options.searches)
    ]
    values: dict[tuple[str, str], list[float]] = {}
    again: dict[Genotype, FloatArray] = {}  # of shape (fresh seeds, 2)
    for seed, found in enumerate(searches):
        for system, metric, value in _scores(definition, seed, found, fresh, trained, again):
            values.setdefault((system, metric), []).append(value)
    logs = np.log([101 - runs[:, 0] for runs in again.values()])
    noise = float(np.sqrt(logs.var(axis=1, ddof=1).mean()))
    for seed, found in enumerate(searches):
        for metric, value in _knees(found["gp"], seed, noise, again, options.redraws):
            values.setdefault(("gp", metric), []).append(value)
    rows = [
        {
            "system": system,
            "metric": metric,
            "value": round(float(np.mean(some)), 4),
            "spread": round(float(np.std(some, ddof=1) / len(some) ** 0.5), 4),
            "seeds": len(some),
        }
        for (system, metric), some in values.items()
    ]
    if options.json:
        settings = {
            k: v for k, v in vars(options).items() if k not in ("json", "data_root", "keep")
        }
        settings |= {"noise_of_log_error": round(noise, 4), "trained_again": len(again)}
        machine = {"processor": platform.machine(), "torch": torch.__version__}
        document = {"benchmark": "fronts", "settings": settings, "machine": machine, "rows": rows}
        print(json.dumps(document, indent=1))
        return
    for row in rows:
        print(f"{row['system']:<14} {row['metric']:<18} {row['value']:8.4f} +- {row['spread']:.4f}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--definition", default="digits", help="name or file")
    parser.add_argument("--data-root", type=Path, default=Path("~/.cache/moo-bnas").expanduser())
    parser.add_argument("--searches", type=int, default=5, help="2 or more, with seeds from 0")
    parser.add_argument("--candidates", type=int, default=96, help="candidates of each search")
    parser.add_argument("--seeds", type=int, default=2, help="2 or more runs of each network after")
    parser.add_argument("--redraws", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="folder that keeps training runs")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def searched(
    definition: Definition, seed: int, candidates: int, trained: Trained
) -> dict[str, Found]:
    """What the searches of one seed came to, by system."""
    choices = definition.make_space().choices
    found = {}
    for model in ("gp", "none"):
        search = definition.search.model_copy(update={"model": model})
        searching = make_search(definition.model_copy(update={"search": search}), "pareto", seed)
        while len(searching.history) < candidates:
            asked = searching.ask()[: candidates - len(searching.history)]
            searching.tell({g: trained(g, definition.recipe.seed)[0] for g in asked})
        found[model] = Found.of(choices, searching.history, candidates)
        if model == "gp":
            found["gp, half"] = Found.of(choices, searching.history, candidates // 2)
    return found


def _scores(
    definition: Definition,
    seed: int,
    found: dict[str, Found],
    fresh: Sequence[int],
    trained: Trained,
    again: dict[Genotype, FloatArray],
) -> list[tuple[str, str, float]]:
    """Hypervolumes and losses; what is trained again is added to `again`."""
    space, network = definition.make_space(), definition.make_network()
    uniform = [space.uniform(ratio) for ratio in (space.ratios[0], space.ratios[-1])]
    ends = np.array(definition.cost.each(network, space, uniform))

    def means(each: Found, some: Sequence[int]) -> FloatArray:
        for genotype in (each.genotypes[i] for i in some):
            again[genotype] = np.array([trained(genotype, s) for s in fresh])
        return np.array([again[each.genotypes[i]].mean(axis=0) for i in some])

    scores = []
    for metric, shaped in (("hypervolume", np.asarray), ("area", lambda c: np.exp(c / ends[-1]))):
        volumes = {}
        for name, each in found.items():
            on = each.front(each.believed)
            tested = means(each, on)[:, 1]
            volumes[name] = hypervolume(tested, shaped(each.costs[on]), *map(float, shaped(ends)))
        scores += [(name, metric, volume) for name, volume in volumes.items()]
        scores += [
            (name, f"{metric}_ahead", volume - volumes["none"])
            for name, volume in volumes.items()
            if name != "none"
        ]
    each = found["gp"]
    for name, claimed in (("gp", each.believed), ("gp, measured", each.accuracies)):
        on, others = each.front(claimed), each.others(seed)
        loss, rest = (
            float((claimed[some] - means(each, some)[:, 0]).mean()) for some in (on, others)
        )
        scores += [(name, "loss", loss), (name, "extra_loss", loss - rest)]
    return scores


def _knees(
    found: Found, seed: int, noise: float, again: dict[Genotype, FloatArray], redraws: int
) -> list[tuple[str, float]]:
    """How often the knee of a search is kept."""
    on = found.front(found.believed)
    place = on.index(found.knee(found.believed))
    low, high = (found.costs[on[i]] for i in (max(place - 1, 0), min(place + 1, len(on) - 1)))

    def kept(accuracies: FloatArray) -> tuple[bool, bool]:
        now = found.knee(_believed(found.choices, found.genotypes, accuracies))
        return bool(low <= found.costs[now] <= high), now == on[place]

    rng = np.random.default_rng(seed)
    errors = 101 - found.believed
    drawn = [
        kept(np.clip(101 - errors * np.exp(noise * rng.standard_normal(len(errors))), 0, 100))
        for _ in range(redraws)
    ]
    trained = np.array(
        [
            again[g][:, 0] if g in again else np.full(len(next(iter(again.values()))), a)
            for g, a in zip(found.genotypes, found.accuracies, strict=True)
        ]
    )
    shares: list[float] = np.mean(drawn, axis=0).tolist()
    real = [kept(accuracies)[0] for accuracies in trained.T]
    return [
        *zip(("knee_kept", "knee_same"), shares, strict=True),
        ("knee_kept_again", float(np.mean(real))),
    ]


def _believed(choices: list[int], genotypes: list[Genotype], accuracies: FloatArray) -> FloatArray:
    pairs: Any = zip(genotypes, accuracies.tolist(), strict=True)
    found = estimates(choices, list(pairs), genotypes)  # None: too few, and then a report has none
    return accuracies if found is None else np.array([e.accuracy for e in found])


if __name__ == "__main__":
    main()
