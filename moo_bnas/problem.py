"""A definition as a problem of pymoo, for those who bring an algorithm of their own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymoo.core.problem import Problem

from moo_bnas.definition import Definition
from moo_bnas.errors import DefinitionError, DeviceError
from moo_bnas.evaluation import Evaluation
from moo_bnas.evolution.candidates import tuples
from moo_bnas.evolution.scoring import Mode, Objective
from moo_bnas.evolution.space import Genotype
from moo_bnas.overrides import override
from moo_bnas.runs import as_definition, default_data_root

if TYPE_CHECKING:
    from moo_bnas.worker.evaluates import TrainsCandidates

log = logging.getLogger(__name__)


class DefinitionProblem(Problem):  # type: ignore[misc]
    """The search of a definition: genotypes are trained in this process, each only once.

    Variables are indices into the values of the genes: whole numbers from 0, though floats are
    rounded. Objectives, which pymoo minimises, are the negative accuracy in percent and the log of
    the cost; in scalar mode, the negative fitness of Eq. 4 before it is clipped. Each limit of
    `[search]` is a constraint: cost over limit, less 1. What is over a limit is not trained, and
    neither that nor what failed is accurate: they count as 0 %.

    Attributes:
        definition: Definition of the search.
        objective: What is optimised.
        evaluations: Evaluations so far by genotype; None where training failed.
    """

    def __init__(self, definition: Definition, mode: Mode, device: str, data_root: Path) -> None:
        if definition.parent is not None:
            raise DefinitionError(
                f"definition {definition.name} has a [parent], which is trained by `moo-bnas run` "
                "only; leave that section out"
            )
        subject, options = definition.subject(), definition.search
        costs = subject.countable()
        self.definition = definition
        self.objective = Objective(
            mode, costs[definition.cost.name], definition.reference_cost(), options.trade_off
        )
        self.evaluations: dict[Genotype, Evaluation | None] = {}
        self._limits = [(costs[name], limit) for name, limit in options.limits.items()]
        self._evaluator = _evaluator(definition, device, data_root)
        super().__init__(
            n_var=len(subject.space.genes),
            n_obj=2 if mode == "pareto" else 1,
            n_ieq_constr=len(self._limits),
            xl=np.zeros(len(subject.space.genes), dtype=np.int64),
            xu=np.array(subject.space.choices, dtype=np.int64) - 1,
            vtype=int,
        )

    def _evaluate(self, X: Any, out: dict[str, Any], *_: Any, **__: Any) -> None:
        genotypes = np.around(np.asarray(X, dtype=np.float64)).astype(np.int64)
        over = [cost.of(genotypes) / limit - 1 for cost, limit in self._limits]
        within = np.all([each <= 0 for each in over], axis=0) if over else [True] * len(genotypes)
        accuracies = [
            self._accuracy(genotype) if fits else 0.0
            for genotype, fits in zip(tuples(genotypes), within, strict=True)
        ]
        costs = self.objective.cost.of(genotypes)
        out["F"] = self.objective.minimized(np.array(accuracies), costs)
        if over:
            out["G"] = np.column_stack(over)

    def _accuracy(self, genotype: Genotype) -> float:
        if genotype not in self.evaluations:
            try:
                found = self._evaluator.evaluate(genotype, "binary", lambda: False)
            except DeviceError:  # another try may succeed
                raise
            except Exception as error:  # any other error would recur
                log.warning("%s failed: %s: %s", genotype, type(error).__name__, error)
                self.evaluations[genotype] = None
            else:
                self.evaluations[genotype] = found
        known = self.evaluations[genotype]
        return 0.0 if known is None else known.accuracy


def make_problem(
    definition: str | Path | Mapping[str, Any] | Definition,
    *,
    mode: Mode = "pareto",
    device: str = "auto",
    data_root: str | Path | None = None,
    **overrides: Any,
) -> DefinitionProblem:
    """A problem of pymoo that trains the candidates of a definition in this process.

    Args:
        definition: Name of a definition that comes with moo-bnas, path of a file, or the values
            that such a file would have.
        mode: `scalar`, one objective; or `pareto`, two.
        device: `auto`, `cpu` or `cuda:N`.
        data_root: Folder of data sets; None: `MOO_BNAS_DATA`, or ~/.cache/moo-bnas.
        **overrides: Keys of `[search]` to replace, such as `max_flops=2e6`.

    Raises:
        DefinitionError: Where the definition is wrong, or has a parent.
        DataError: Where its data are missing or broken.
    """
    made = override(as_definition(definition), **overrides)
    return DefinitionProblem(made, mode, device, default_data_root(data_root))


def _evaluator(definition: Definition, device: str, data_root: Path) -> TrainsCandidates:
    evaluator: TrainsCandidates
    if definition.evaluator is not None:
        from moo_bnas.worker.own_evaluator import OwnEvaluator

        evaluator = OwnEvaluator(definition, device, data_root)
    else:
        from moo_bnas.training.evaluator import Evaluator

        evaluator = Evaluator(definition, device, data_root)
    evaluator.load("search")
    return evaluator
