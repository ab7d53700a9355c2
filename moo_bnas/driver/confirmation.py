"""Repeats of training runs with other seeds: of the networks that matter, and the uniform ones.

They are trials of NAME.confirm, which any worker of the run takes. What is repeated follows from
the finished search and its references alone, never from repeats, so a run that is killed in between
repeats the same networks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from moo_bnas.definition import Definition
from moo_bnas.driver.candidates import binary_candidates
from moo_bnas.driver.progress import ConfirmProgress, Shown
from moo_bnas.driver.run import Run
from moo_bnas.driver.upkeep import Upkeep, pause
from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.space import Genotype
from moo_bnas.results.estimates import believed
from moo_bnas.results.points import Point, Searched, searched
from moo_bnas.storage import Candidate, Trial, confirm_of, pareto_metrics, study_gone


class Confirmation:
    """Repeats of a run's training runs. While it is not finished, workers stay with the run.

    Args:
        run: Opened run.
        networks: Number of searched networks to repeat.
        seeds: Number of repeats of each network.

    Raises:
        DefinitionError: If candidates are not trained: there is nothing to repeat.
    """

    def __init__(self, run: Run, networks: int, seeds: int) -> None:
        recipe = run.definition.recipe
        if recipe is not None and not recipe.epochs:
            raise DefinitionError(
                "got --confirm where [recipe] epochs is 0, expected training runs to repeat, since "
                "the inherited weights score the same each time; leave it out, or use a definition "
                "whose candidates train"
            )
        self._run = run
        self._networks = networks
        self._seeds = seeds
        definition = run.definition.model_dump(mode="json")
        known = {key: run.study.attributes[key] for key in ("mode", "seed", "versions")}
        self._study = run.storage.studies.ensure(
            confirm_of(run.study.name),
            pareto_metrics(run.definition.cost.name),
            {**known, "definition": definition, "finished": False},
        )
        run.storage.studies.set_attributes(
            self._study, {"definition": definition, "finished": self.is_over}
        )

    @property
    def is_over(self) -> bool:
        """Whether the search is finished, and all that is to be repeated was."""
        if not self._run.is_over:
            return False
        trials = self._run.storage.trials.read(self._study)
        ended = {(t.genotype, t.repeat) for t in trials if t.state in ("complete", "fail")}
        return {(c.genotype, c.repeat) for c in self._candidates()} <= ended

    def drive(self, upkeep: Upkeep, show: Callable[[Shown], None]) -> None:
        """Has all of them trained, unless they are; to be called once the search is finished.

        Args:
            upkeep: Upkeep of the run's driver.
            show: Called with the progress whenever it may have changed.
        """
        run, trials, study = self._run, self._run.storage.trials, self._study
        candidates = self._candidates()
        trials.submit(study, run.definition.make_space(), candidates)
        began = time.monotonic()
        while (left := trials.count_open([study])[0]) > 0:
            if upkeep.is_due:
                upkeep.look()
                show(ConfirmProgress(len(candidates) - left, len(candidates), upkeep.alive))
            pause(began)
        if not {c.genotype for c in candidates} <= {t.genotype for t in trials.read(study)}:
            raise study_gone(study.name)
        run.storage.studies.set_attributes(study, {"finished": True})
        show(ConfirmProgress(len(candidates), len(candidates), upkeep.alive))

    def _candidates(self) -> list[Candidate]:
        run = self._run
        trials, beside = (run.storage.trials.read(s) for s in (run.study, run.baselines))
        references = _uniform(beside)
        estimates = believed(run.definition, [*trials, *beside])
        found = searched(run.definition, trials, estimates)
        chosen = networks_to_confirm(run.definition, found, references, self._networks)
        once = binary_candidates(run.definition, [*chosen, *references], None)
        return [replace(c, repeat=k) for k in range(1, self._seeds + 1) for c in once]


def networks_to_confirm(
    definition: Definition, found: Searched, references: Sequence[Genotype], count: int
) -> list[Genotype]:
    """The searched networks whose accuracies matter most.

    First the best and the knee; then what the front offers at the cost of each uniform network,
    from uniform 1x outwards; then the rest of the front, each time the network whose cost is
    furthest from the costs of those before it. Uniform networks are left out: they are repeated
    anyway.

    Args:
        definition: Definition of the run.
        found: What the search found.
        references: Uniform networks that were trained beside it.
        count: Number of networks, at most.
    """
    subject, space = definition.subject(), definition.make_space()
    known = {space.decode(genotype) for genotype in references}
    one = definition.reference_cost()
    costs = sorted(
        subject.each(references)[definition.cost.name] if references else [],
        key=lambda cost: abs(math.log(cost / one)),
    )
    front = sorted((p for p in found.points if p.on_front), key=lambda p: (p.cost, p.ratios))
    offers = [within[-1] for cost in costs if (within := [p for p in front if p.cost <= cost])]
    first = [p for p in (found.best, found.knee, *offers) if p is not None]
    chosen = {p.ratios: p for p in first if p.ratios not in known}
    rest = [p for p in front if p.ratios not in known and p.ratios not in chosen]
    while rest and len(chosen) < count:
        furthest = max(rest, key=lambda p: _distance(p, list(chosen.values())))
        rest.remove(furthest)
        chosen[furthest.ratios] = furthest
    return [space.encode(ratios) for ratios in list(chosen)[:count]]


def _distance(point: Point, others: Sequence[Point]) -> float:
    """Between the cost of a point and the closest of others, on a log scale; 0 without others."""
    return min((abs(math.log(point.cost / p.cost)) for p in others), default=0.0)


def _uniform(references: Sequence[Trial]) -> list[Genotype]:
    """The uniform binary networks that were trained, in order of their trials."""
    return [t.genotype for t in references if t.state == "complete" and t.precision == "binary"]
