"""Evaluations that a new run takes over from another run of the same storage.

They become the new run's generation 0: trials that workers finish with copies. The name of the
other run is stored with the new one, and its data are those of the other.
"""

from __future__ import annotations

from typing import Any

from moo_bnas.definition import Definition, stored_definition
from moo_bnas.driver.candidates import binary_candidates
from moo_bnas.errors import DefinitionError
from moo_bnas.storage import Candidate, Storage, Study

_FROM = "from"


def origin(
    storage: Storage, study_name: str, source: str, definition: Definition
) -> dict[str, Any]:
    """The attributes of a study that takes over the evaluations of another run.

    Args:
        storage: Storage that holds both.
        study_name: Name of the run that takes them over; it may exist already.
        source: Name of the run that made them.
        definition: Definition of the run that takes them over.

    Raises:
        DefinitionError: If the run exists and was begun in another way, if there is no such other
            run, or if that has no evaluation with the fingerprint of this one.
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
            f"{', '.join(storage.studies.names()) or 'none'}; give one of these"
        )
    if _identity(stored_definition(other.attributes["definition"])) != _identity(definition):
        raise DefinitionError(
            f"study {source!r} evaluated other networks, data or recipes, so its accuracies do not "
            "hold here; give a run with the same [network], [space], [data], [recipe] and [parent]"
        )
    if not _evaluated(storage, other, definition):
        raise DefinitionError(
            f"study {source!r} has no finished evaluation within the budgets; leave --from out"
        )
    return {_FROM: source, "data_hash": other.attributes["data_hash"]}


def taken_over(storage: Storage, study: Study, definition: Definition) -> list[Candidate]:
    """The candidates of generation 0 of a run that has no trials yet.

    Args:
        storage: Storage that holds the run.
        study: Study of the run.
        definition: Definition of the run.
    """
    source = study.attributes.get(_FROM)
    other = None if source is None else storage.studies.find(source)
    return [] if other is None else _evaluated(storage, other, definition)


def _evaluated(storage: Storage, other: Study, definition: Definition) -> list[Candidate]:
    complete = [t.genotype for t in storage.trials.read(other) if t.state == "complete"]
    limits = definition.search.limits.items()
    return [
        candidate
        for candidate in binary_candidates(definition, complete, 0)
        if all(candidate.costs[name] <= limit for name, limit in limits)
    ]


def _identity(definition: Definition) -> tuple[str, str | None]:
    """The fingerprint of evaluations as far as a definition decides it."""
    parent = None if definition.parent is None else definition.parent_fingerprint("")
    return definition.fingerprint("binary", ""), parent
