"""What is believed of a run's networks, from all measurements that its storage holds. Pure data."""

from __future__ import annotations

from collections.abc import Sequence

from moo_bnas.definition import Definition
from moo_bnas.evolution.estimates import Estimate, estimates
from moo_bnas.evolution.space import Genotype
from moo_bnas.storage import Storage, Trial, baselines_of, confirm_of


def believed(definition: Definition, trials: Sequence[Trial]) -> dict[Genotype, Estimate]:
    """Estimates of the binary networks among some trials.

    Args:
        definition: Definition of the run.
        trials: Trials of the search and of its siblings (see `measured_elsewhere`), in any order
            and state. Each training run counts once, however many trials share its evaluation.

    Returns:
        One estimate for each genotype that is complete; empty if there are too few to estimate
        anything.
    """
    runs = {
        (t.genotype, t.repeat, t.result.fingerprint or ""): t.result.accuracy
        for t in trials
        if t.state == "complete" and t.precision == "binary"
    }
    measured = [(genotype, accuracy) for (genotype, *_), accuracy in sorted(runs.items())]
    wanted = sorted({genotype for genotype, _ in measured})
    space = definition.make_space()
    found = estimates(space.choices, measured, wanted)
    return {} if found is None else dict(zip(wanted, found, strict=True))


def measured_elsewhere(storage: Storage, study_name: str) -> list[Trial]:
    """Trials of a run's siblings that measure what its search measures: the same recipe's accuracy.

    Args:
        storage: Storage that holds the run.
        study_name: Name of the run's study.
    """
    siblings = [storage.studies.find(of(study_name)) for of in (baselines_of, confirm_of)]
    return [trial for study in siblings if study for trial in storage.trials.read(study)]
