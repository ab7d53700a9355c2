"""moo-bnas: searches the layer widths of binary neural networks.

`run` searches a definition with workers and a storage, and `load_run` reads what a storage holds.
Other functions need no storage: `search` finds the front of any integer space with any accuracy and
cost function, `make_problem` makes a definition a problem of pymoo, `predict` runs the file of a
trained network on images, and `load_model` makes a torch module of it.

    >>> from moo_bnas import search
    >>> found = search(lambda g: 90 + sum(g), lambda g: 1 + sum(g), choices=[3, 3], generations=2)
    >>> found.front[-1].genotype
    (2, 2)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moo_bnas.errors import MooBnasError
    from moo_bnas.evolution.direct import Evaluation, SearchResult, search
    from moo_bnas.evolution.space import SearchSpace
    from moo_bnas.models.loading import load_model
    from moo_bnas.models.prediction import Prediction, Predictor, predict
    from moo_bnas.networks import make_network
    from moo_bnas.networks.cost import flops, flops_cost, memory_bits
    from moo_bnas.problem import make_problem
    from moo_bnas.runs import StoredRun, load_run, run

__version__ = "0.1.0"

# Imported on first use, so that `moo-bnas --help` does not wait for pymoo to load.
_HOMES = {
    "Evaluation": "moo_bnas.evolution.direct",
    "MooBnasError": "moo_bnas.errors",
    "Prediction": "moo_bnas.models.prediction",
    "Predictor": "moo_bnas.models.prediction",
    "SearchResult": "moo_bnas.evolution.direct",
    "SearchSpace": "moo_bnas.evolution.space",
    "StoredRun": "moo_bnas.runs",
    "flops": "moo_bnas.networks.cost",
    "flops_cost": "moo_bnas.networks.cost",
    "load_model": "moo_bnas.models.loading",
    "load_run": "moo_bnas.runs",
    "make_network": "moo_bnas.networks",
    "make_problem": "moo_bnas.problem",
    "memory_bits": "moo_bnas.networks.cost",
    "predict": "moo_bnas.models.prediction",
    "run": "moo_bnas.runs",
    "search": "moo_bnas.evolution.direct",
}

__all__ = [
    "Evaluation",
    "MooBnasError",
    "Prediction",
    "Predictor",
    "SearchResult",
    "SearchSpace",
    "StoredRun",
    "flops",
    "flops_cost",
    "load_model",
    "load_run",
    "make_network",
    "make_problem",
    "memory_bits",
    "predict",
    "run",
    "search",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'moo_bnas' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
