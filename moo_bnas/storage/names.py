"""Names of studies and of their attributes: a run, its siblings, its long training runs."""

from __future__ import annotations

TRAINING = "training"
"""Attribute of a study that holds progress and checkpoint of its long training run."""

_SIBLINGS = _BASELINES, _PARENT, _CONFIRM, _FINAL = ".baselines", ".parent", ".confirm", ".final"


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


def training_of(number: int) -> str:
    """The attribute that holds progress and checkpoint of one of a study's long training runs."""
    return f"{TRAINING} {number}"


def run_of(study_name: str) -> str:
    """The name of the run that a study belongs to: its own, or a sibling's without the ending."""
    for end in _SIBLINGS:
        study_name = study_name.removesuffix(end)
    return study_name


def is_sibling(study_name: str) -> bool:
    """Whether a study is a sibling of a run: it holds other trials than those of the search."""
    return run_of(study_name) != study_name
