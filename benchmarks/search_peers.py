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
from moo_bnas.evolution.scoring import Mode, front
from moo_bnas.evolution.space import FloatArray, Genotype, IntArray

ETA, POPULATION = 3.0, 32  # of pymoo's best integer operators, found by trying
BATCH, RANDOM, DRAWS = 16, 128, 32  # of BoTorch; its default is 128 draws
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
        signal: The accuracies.
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
        self.signal = signal
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
        return float(self.signal[row]), float(self.table.costs[row])

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
    """BoTorch's qLogNEHVI over a table, for Pareto mode.

    Its Gaussian process learns the accuracy, with its defaults; the cost is known. A batch is
    chosen one by one among new genotypes: all those one gene away from the front, and random ones.
    """
    import torch
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.deterministic import GenericDeterministicModel
    from botorch.models.model import ModelList
    from botorch.optim.optimize import optimize_acqf_discrete
    from botorch.sampling.get_sampler import get_sampler
    from botorch.utils.multi_objective.hypervolume import infer_reference_point
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    every = memory.table.genotypes()
    scale = np.maximum(np.array(memory.table.choices) - 1, 1)
    points = torch.from_numpy(every / scale)
    cheapness = torch.from_numpy(-memory.table.costs / memory.table.costs.max())[:, None]

    def rows_of(x: Any) -> IntArray:
        return memory.table.row((x.reshape(-1, len(scale)).numpy() * scale).round().astype(int))

    known = GenericDeterministicModel(lambda x: cheapness[rows_of(x)].reshape(*x.shape[:-1], 1))
    batch = rng.permutation(len(every))[:BATCH]
    while True:
        for row in batch:
            memory(tuple(every[row].tolist()))
        seen = np.array(list(memory.rows))
        accuracies = memory.signal[seen]
        accuracy = torch.from_numpy(accuracies)[:, None]
        process = SingleTaskGP(points[seen], accuracy)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(process.likelihood, process))
        on = front(accuracies, memory.table.costs[seen])
        model = ModelList(process, known)
        gain = qLogNoisyExpectedHypervolumeImprovement(
            model,
            infer_reference_point(torch.cat([accuracy, cheapness[seen]], dim=1)[on]),
            points[seen],
            sampler=get_sampler(model.posterior(points[:1]), torch.Size([DRAWS])),
            prune_baseline=True,
        )
        new = rng.permutation(np.setdiff1d(np.arange(len(every)), seen))
        distance = (every[new][:, None] != every[seen[on]]).sum(axis=2).min(axis=1)
        pool = np.concatenate([new[distance == 1], new[distance > 1][:RANDOM]])
        picked, _ = optimize_acqf_discrete(gain, min(BATCH, len(pool)), points[pool])
        batch = rows_of(picked)


BOTORCH = "botorch qLogNEHVI"
"""A peer of Pareto mode only, where the package botorch is installed."""

SYSTEMS: dict[str, System] = {
    "moo-bnas": moo_bnas_with("gp"),
    "moo-bnas without a model": moo_bnas_with("none"),
    "random": random,
    "optuna NSGAIISampler": optuna_with(lambda seed: optuna.samplers.NSGAIISampler(seed=seed)),
    "optuna TPESampler": optuna_with(lambda seed: optuna.samplers.TPESampler(seed=seed)),
    "optuna GPSampler": optuna_with(lambda seed: optuna.samplers.GPSampler(seed=seed)),
    "pymoo": pymoo_with(tuned=False),
    "pymoo, eta 3": pymoo_with(tuned=True),
    BOTORCH: botorch_qlognehvi,
}
RAW = ("random", "optuna NSGAIISampler", "pymoo", "pymoo, eta 3")
"""Peers fast enough to measure after many evaluations, repeated ones included."""

SLOW = ("optuna TPESampler", "optuna GPSampler", BOTORCH)
"""Peers that take up to a second per evaluation, measured with few seeds."""
