"""What a new run takes from another run of the same storage.

Evaluations of the same recipe and data become the new run's generation 0: trials that workers
finish with copies. Those of another recipe, other data or another network with the same genes and
ratios are a prior mean of the model. The name of the other run is stored with the new one, and so
is what a prior rests on, so that a run resumes whatever becomes of the other one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from moo_bnas.definition import Definition, stored_definition
from moo_bnas.driver.candidates import binary_candidates
from moo_bnas.errors import DefinitionError, StorageError
from moo_bnas.evolution.space import Genotype
from moo_bnas.output import one_line
from moo_bnas.storage import Candidate, Storage, Study

_FROM, _PRIOR = "from", "prior"
_AT_MOST = 640  # evaluations of a prior: the time of a prediction grows with them


def origin(
    storage: Storage, study_name: str, source: str, definition: Definition
) -> dict[str, Any]:
    """The attributes of a study that begins with what another run found.

    Args:
        storage: Storage that holds both.
        study_name: Name of the run that takes them over; it may exist already.
        source: Name of the run that made them.
        definition: Definition of the run that takes them over.

    Raises:
        DefinitionError: If the run exists and was begun in another way, if there is no such other
            run, or if none of its evaluations is of use here.
    """
    if study_name in storage.studies.names():
        begun = storage.studies.open(study_name).attributes
        if begun.get(_FROM) != source:
            raise DefinitionError(
                f"study {study_name!r} was not begun with --from {source}; evaluations are taken "
                "over when a run begins: leave --from out, or give another --study-name"
            )
        return {_FROM: source}
    other = storage.studies.find(source)
    if other is None:
        raise DefinitionError(
            f"got --from {source}, but {storage.shown_url} holds no such study, only "
            f"{one_line(', '.join(storage.studies.names())) or 'none'}; give one of these"
        )
    theirs = stored_definition(other.attributes["definition"])
    found = _evaluated(storage, other, definition) if _genes(theirs) == _genes(definition) else {}
    if not found:
        raise DefinitionError(
            f"study {source!r} has no finished evaluation of the same genes and ratios within the "
            "budgets; leave --from out"
        )
    if _identity(theirs) == _identity(definition):
        return {_FROM: source, "data_hash": other.attributes["data_hash"]}
    if definition.search.model == "none":
        raise DefinitionError(
            f"study {source!r} evaluated other networks, data or recipes, so its accuracies do not "
            "hold here; give --model gp, which learns from them, or a run with the same [network], "
            "[data], [recipe] and [parent]"
        )
    some = np.unique(np.linspace(0, len(found) - 1, min(len(found), _AT_MOST)).astype(np.int64))
    pairs = [list(found.items())[i] for i in some]
    return {_FROM: source, _PRIOR: [[list(genotype), accuracy] for genotype, accuracy in pairs]}


def taken_over(storage: Storage, study: Study, definition: Definition) -> list[Candidate]:
    """The candidates of generation 0 of a run that has no trials yet.

    Args:
        storage: Storage that holds the run.
        study: Study of the run.
        definition: Definition of the run.
    """
    source = study.attributes.get(_FROM)
    other = None if source is None else storage.studies.find(source)
    if other is None or _PRIOR in study.attributes:
        return []
    return binary_candidates(definition, [*_evaluated(storage, other, definition)], 0)


def known_before(study: Study) -> list[tuple[Genotype, float]]:
    """Genotypes and accuracies that the prior mean of a run rests on; empty without a prior.

    Args:
        study: Study of the run.

    Raises:
        StorageError: If they are damaged.
    """
    space = stored_definition(study.attributes["definition"]).make_space()
    try:
        found = [
            (tuple(genotype), float(accuracy))
            for genotype, accuracy in study.attributes.get(_PRIOR, [])
        ]
        for genotype, accuracy in found:
            space.decode(genotype)
            if not 0 <= accuracy <= 100:
                raise ValueError(f"got the accuracy {accuracy}, expected a percentage")
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise StorageError(
            f"the attribute {_PRIOR!r} of study {study.name!r} is damaged ({error!s:.200}); "
            "begin another run with --from"
        ) from error
    return found


def _evaluated(storage: Storage, other: Study, definition: Definition) -> dict[Genotype, float]:
    """Accuracies of the other run's genotypes that are within the budgets, in their order."""
    complete = {
        t.genotype: t.result.accuracy
        for t in storage.trials.read(other)
        if t.state == "complete" and t.precision == "binary"
    }
    limits = definition.search.limits.items()
    return {
        candidate.genotype: complete[candidate.genotype]
        for candidate in binary_candidates(definition, [*complete], 0)
        if all(candidate.costs[name] <= limit for name, limit in limits)
    }


def _genes(definition: Definition) -> tuple[tuple[str, ...], tuple[tuple[float, ...], ...]]:
    space = definition.make_space()
    return space.genes, space.values


def _identity(definition: Definition) -> tuple[str, str | None]:
    """The fingerprint of evaluations as far as a definition decides it."""
    parent = None if definition.parent is None else definition.parent_fingerprint("")
    return definition.fingerprint("binary", ""), parent
