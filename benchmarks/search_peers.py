"""Systems that benchmarks/search_quality.py compares: this project's search and its peers.

Each is a function of a `Memory`, of a mode and of a seed. A memory answers evaluations from a
table, and raises `BudgetSpentError` when the budget is spent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.problem import ElementwiseProblem
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize
from tables import TRADE_OFF, Table

import moo_bnas
from moo_bnas.evolution.scoring import Mode
from moo_bnas.evolution.space import FloatArray, Genotype

ETA, POPULATION = 3.0, 32  # of pymoo's best integer operators, found by trying
BATCH, RESTARTS = 16, 8  # of BoTorch: its default of 20 restarts took TIME for the same
AT_MOST = 1600  # evaluations of a system, repeated ones included, if it finds nothing new


class BudgetSpentError(Exception):
    """A system has made as many evaluations as a measurement needs."""


class Memory:
    """Answers evaluations from a table and counts them; repeated ones are answered and counted.

    Args:
        table: Table to answer from.
        signal: Accuracies that the search sees, shape (n,).
        distinct: Distinct evaluations that are needed.
        raw: Evaluations, repeated ones included, that are needed too.

    Attributes:
        table: The table.
        rows: Rows of the distinct evaluations, in order.
        raw: Number of evaluations, repeated ones included.
        distinct_at: Number of distinct ones among the first evaluations that `raw` asked for.
        repeats: Number of repeated evaluations until `distinct` ones were found.
    """

    def __init__(self, table: Table, signal: FloatArray, distinct: int, raw: int = 0) -> None:
        self.table = table
        self.rows: dict[int, None] = {}
        self.raw = 0
        self.distinct_at: int | None = None
        self.repeats = 0
        self._signal = signal
        self._distinct, self._raw = min(distinct, len(signal)), raw

    @property
    def missing(self) -> int:
        """Distinct evaluations that are still needed."""
        return self._distinct - len(self.rows)

    def __call__(self, genotype: Genotype) -> tuple[float, float]:
        """Accuracy and cost of a genotype."""
        row = int(self.table.row(genotype))
        self.raw += 1
        self.repeats += row in self.rows and self.missing > 0
        self.rows[row] = None
        if self.raw == self._raw:
            self.distinct_at = len(self.rows)
        if self.raw >= (self._raw if self.missing <= 0 else max(self._raw, AT_MOST)):
            raise BudgetSpentError
        return float(self._signal[row]), float(self.table.costs[row])

    def minimized(self, genotype: Genotype, mode: Mode) -> list[float]:
        """What a peer minimises: the negative fitness, or negative accuracy and cost."""
        accuracy, cost = self(genotype)
        if mode == "scalar":
            return [TRADE_OFF * cost / float(self.table.costs.max()) - accuracy]
        return [-accuracy, cost]


System = Callable[[Memory, Mode, int], None]


def moo_bnas_with(model: Any) -> System:
    """This project's search, with a model or `none`."""

    def run(memory: Memory, mode: Mode, seed: int) -> None:
        moo_bnas.search(
            lambda genotype: memory(genotype)[0],
            lambda genotype: float(memory.table.costs[memory.table.row(genotype)]),
            choices=memory.table.choices,
            mode=mode,
            generations=10**6,
            seed=seed,
            reference_cost=float(memory.table.costs.max()),
            trade_off=TRADE_OFF,
            model=model,
        )

    return run


def random(memory: Memory, mode: Mode, seed: int) -> None:
    """Random genotypes, none twice."""
    every = memory.table.genotypes()
    for row in np.random.default_rng(seed).permutation(len(every)):
        memory(tuple(every[row].tolist()))


def optuna_with(sampler: Callable[[int], optuna.samplers.BaseSampler]) -> System:
    """Optuna with a sampler, made from a seed."""

    def run(memory: Memory, mode: Mode, seed: int) -> None:
        def objective(trial: optuna.Trial) -> Any:
            genotype = tuple(
                trial.suggest_int(f"g{i}", 0, c - 1) for i, c in enumerate(memory.table.choices)
            )
            found = memory.minimized(genotype, mode)
            return found if mode == "pareto" else found[0]

        directions = ["minimize"] * (2 if mode == "pareto" else 1)
        study = optuna.create_study(directions=directions, sampler=sampler(seed))
        study.optimize(objective, n_trials=10**6)

    return run


def pymoo_with(tuned: bool) -> System:
    """NSGA-II or GA of pymoo: with the library's defaults for integers, or the best operators."""

    def run(memory: Memory, mode: Mode, seed: int) -> None:
        class Lookup(ElementwiseProblem):  # type: ignore[misc]
            def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
                out["F"] = memory.minimized(tuple(int(i) for i in x), mode)

        choices = memory.table.choices
        objectives = 2 if mode == "pareto" else 1
        problem = Lookup(
            n_var=len(choices), n_obj=objectives, xl=0, xu=np.array(choices) - 1, vtype=int
        )
        own: dict[str, Any] = {"pop_size": POPULATION} if tuned else {}
        eta = {"eta": ETA} if tuned else {}
        algorithm = (NSGA2 if mode == "pareto" else GA)(
            sampling=IntegerRandomSampling(),
            crossover=SBX(vtype=float, repair=RoundingRepair(), **eta),
            mutation=PM(vtype=float, repair=RoundingRepair(), **eta),
            eliminate_duplicates=True,
            **own,
        )
        # As many restarts as it takes: it ends by itself once it finds no new offspring.
        for restart in range(1000):
            minimize(problem, algorithm, ("n_gen", 10**4), seed=seed + 1000 * restart)

    return run


def botorch_qlognehvi(memory: Memory, mode: Mode, seed: int) -> None:
    """BoTorch's qLogNEHVI over a lattice, for Pareto mode.

    Its Gaussian process learns the accuracy; the cost is known. Genes are scaled to 0..1. A batch
    is chosen one by one, each by BoTorch's local search from random starts, and none is seen twice.
    """
    import torch
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.deterministic import GenericDeterministicModel
    from botorch.models.model import ModelList
    from botorch.optim.optimize import optimize_acqf_discrete_local_search
    from botorch.utils.multi_objective.hypervolume import infer_reference_point
    from botorch.utils.multi_objective.pareto import is_non_dominated
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.manual_seed(seed)
    choices = memory.table.choices
    lattice = [torch.arange(c).double() / max(c - 1, 1) for c in choices]
    tops = torch.tensor(choices).double() - 1
    costs = torch.from_numpy(memory.table.costs / memory.table.costs.max())

    def cheapness(x: Any) -> Any:
        genes = (x * tops).round().long()
        rows = memory.table.row(genes.reshape(-1, len(choices)).numpy())
        return -costs[torch.from_numpy(rows)].reshape(*x.shape[:-1], 1)

    every = memory.table.genotypes()
    first = np.random.default_rng(seed).choice(len(every), min(BATCH, len(every)), replace=False)
    genotypes = [tuple(genotype) for genotype in every[first].tolist()]
    accuracies: list[float] = []
    seen = torch.empty(0, len(choices)).double()
    while True:
        accuracies += [memory(genotype)[0] for genotype in genotypes]
        seen = torch.cat([seen, torch.tensor(genotypes) / tops.clamp(min=1)])
        accuracy = torch.tensor(accuracies).double()[:, None]
        process = SingleTaskGP(seen, accuracy)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(process.likelihood, process))
        objectives = torch.cat([accuracy, cheapness(seen)], dim=1)
        gain = qLogNoisyExpectedHypervolumeImprovement(
            ModelList(process, GenericDeterministicModel(cheapness)),
            infer_reference_point(objectives[is_non_dominated(objectives)]),
            seen,
            prune_baseline=True,
        )
        left = len(every) - len(seen)
        batch = min(BATCH, left)
        with torch.no_grad():
            picked, _ = optimize_acqf_discrete_local_search(
                gain,
                lattice,
                q=batch,
                num_restarts=min(RESTARTS, left - batch + 1),  # as many as the last one has left
                raw_samples=1024,
                X_avoid=seen,
            )
        genotypes = [tuple(row) for row in (picked * tops).round().int().tolist()]


SYSTEMS: dict[str, System] = {
    "moo-bnas": moo_bnas_with("gp"),
    "moo-bnas without a model": moo_bnas_with("none"),
    "random": random,
    "optuna NSGAIISampler": optuna_with(lambda seed: optuna.samplers.NSGAIISampler(seed=seed)),
    "optuna TPESampler": optuna_with(lambda seed: optuna.samplers.TPESampler(seed=seed)),
    "optuna GPSampler": optuna_with(lambda seed: optuna.samplers.GPSampler(seed=seed)),
    "pymoo": pymoo_with(tuned=False),
    "pymoo, eta 3": pymoo_with(tuned=True),
    "botorch qLogNEHVI": botorch_qlognehvi,
}
RAW = ("random", "optuna NSGAIISampler", "pymoo", "pymoo, eta 3")
"""Peers fast enough to measure after many evaluations, repeated ones included."""

BOTORCH = "botorch qLogNEHVI"
"""A peer of Pareto mode only, where the package botorch is installed."""

SLOW = ("optuna TPESampler", "optuna GPSampler", BOTORCH)
"""Peers that take up to a second per evaluation, measured with few seeds."""
