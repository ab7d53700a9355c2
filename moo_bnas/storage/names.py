"""Names of studies and of their attributes: a run, its siblings, its long training runs."""

from __future__ import annotations

import re

from moo_bnas.errors import DefinitionError

TRAINING = "training"
"""Attribute of a study that holds progress and checkpoint of its long training run."""

_SIBLINGS = _BASELINES, _PARENT, _CONFIRM, _FINAL = ".baselines", ".parent", ".confirm", ".final"

_RUN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


def baselines_of(study_name: str) -> str:
    """The name of the sibling study that holds a run's uniform and full-precision networks."""
    return study_name + _BASELINES


def confirm_of(study_name: str) -> str:
    """The name of the sibling study that holds repeats of training runs, with other seeds."""
    return study_name + _CONFIRM


def parent_of(study_name: str) -> str:
    """The name of the sibling study whose one trial trains a run's parent."""
    return study_name + _PARENT


def final_of(study_name: str) -> str:
    """The name of the sibling study that holds a run's finally trained networks."""
    return study_name + _FINAL


def siblings_of(study_name: str) -> list[str]:
    """The names of all siblings that a run may have."""
    return [study_name + end for end in _SIBLINGS]


def training_of(number: int) -> str:
    """The attribute that holds progress and checkpoint of one of a study's long training runs."""
    return f"{TRAINING} {number}"


def check_name(study_name: str) -> str:
    """Returns the name of a run, which is a part of paths, too.

    Raises:
        DefinitionError: If it cannot be that of a run.
    """
    if not _RUN.fullmatch(study_name) or is_sibling(study_name):
        raise DefinitionError(
            f"got the study name {study_name!r:.300}, expected 1 to 200 letters, digits, '.', '_' "
            "and '-', not beginning with '.' and not ending in '.baselines', '.parent', "
            "'.confirm' or '.final'; choose another --study-name"
        )
    return study_name


def run_of(study_name: str) -> str:
    """The name of the run that a study belongs to: its own, or a sibling's without the ending."""
    for end in _SIBLINGS:
        study_name = study_name.removesuffix(end)
    return study_name


def is_sibling(study_name: str) -> bool:
    """Whether a study is a sibling of a run: it holds other trials than those of the search."""
    return run_of(study_name) != study_name
