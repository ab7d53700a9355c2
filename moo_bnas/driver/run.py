"""Runs: making one, or opening one to continue it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from moo_bnas.definition import Definition, stored_definition
from moo_bnas.driver.warm_start import origin
from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.algorithm import Search
from moo_bnas.evolution.cost import Budget
from moo_bnas.evolution.model_screen import ModelScreen
from moo_bnas.evolution.prior import Prior
from moo_bnas.evolution.scoring import Mode, Objective
from moo_bnas.evolution.space import Genotype
from moo_bnas.overrides import keys_of
from moo_bnas.storage import (
    SCALAR_METRICS,
    Storage,
    Study,
    baselines_of,
    parent_of,
    pareto_metrics,
)
from moo_bnas.storage.artifacts import agree_on_artifacts
from moo_bnas.storage.names import check_name
from moo_bnas.versions import versions

_MAY_BE_RAISED = ("generations", "max_evaluations", "max_hours", "plateau")


@dataclass(frozen=True)
class Run:
    """A run, made or opened: see `open_run`.

    Attributes:
        storage: Storage that holds the run.
        study: Study of the run.
        baselines: Study of the uniform and full-precision networks.
        parent: Study of the parent, if the definition has one.
        definition: Definition of the run, as it is given now.
        mode: Scalar or pareto.
        seed: Seed of the search.
    """

    storage: Storage
    study: Study
    baselines: Study
    parent: Study | None
    definition: Definition
    mode: Mode
    seed: int

    @property
    def studies(self) -> list[Study]:
        """The run's study and its siblings."""
        return [self.study, self.baselines, *([self.parent] if self.parent else [])]

    @property
    def is_over(self) -> bool:
        """Whether it was finished when it was opened, within the limits of now."""
        stored, now = stored_definition(self.study.attributes["definition"]), self.definition
        same = all(getattr(stored.search, k) == getattr(now.search, k) for k in _MAY_BE_RAISED)
        return bool(self.study.attributes["finished"]) and same


def default_name(definition: Definition, mode: Mode = "pareto", seed: int = 0) -> str:
    """The name of a run that was given none."""
    return f"{definition.name}-{mode}-s{seed}"


def check_run(study_name: str, definition: Definition, mode: Mode, seed: int) -> None:
    """Refuses a run that can never be made, before anything is stored.

    Raises:
        DefinitionError: Where the name cannot be that of a run, or no network is within the
            budgets.
    """
    check_name(study_name)
    make_search(definition, mode, seed)


def open_run(
    storage: Storage,
    study_name: str,
    definition: Definition,
    mode: Mode,
    seed: int,
    artifacts_url: str | None = None,
    source: str | None = None,
) -> Run:
    """Makes the studies of a run, or opens them to continue it.

    Args:
        storage: Storage that holds the run, or will.
        study_name: Name of the run.
        definition: Definition that says what to search.
        mode: Scalar or pareto.
        seed: Seed of the search.
        artifacts_url: Store of the parent's weights, if there is a parent; None: the one that the
            run has had so far, at first a folder beside an SQLite file.
        source: Name of the run whose evaluations a new run takes over, or begins with as a prior
            mean where they are of another recipe; None: of none, or as the run began.

    Raises:
        DefinitionError: Where the stored run differs in more than being shorter, where no network
            is within the budgets, where a store for artifacts must be named, or where nothing can
            be taken over.
        ArtifactsError: Where that store cannot be used.
    """
    check_run(study_name, definition, mode, seed)
    siblings_of = (baselines_of, parent_of) if definition.parent is not None else (baselines_of,)
    storage.studies.refuse_foreign([study_name, *(of(study_name) for of in siblings_of)])
    siblings = pareto_metrics(definition.cost.name)
    metrics = SCALAR_METRICS if mode == "scalar" else siblings
    attributes = {
        "definition": definition.model_dump(mode="json"),
        "mode": mode,
        "seed": seed,
        "versions": versions(),
        "finished": False,
    }
    place = {}
    if definition.parent is not None:
        known: Mapping[str, Any] = {}
        if study_name in storage.studies.names():
            begun = storage.studies.open(study_name)
            check_unchanged(begun, definition, mode, seed)
            known = begun.attributes
        place = {
            "artifacts": agree_on_artifacts(known.get("artifacts"), artifacts_url, storage.url)
        }
    taken = {} if source is None else origin(storage, study_name, source, definition)
    study = storage.studies.ensure(study_name, metrics, {**attributes, **place, **taken})
    baselines = storage.studies.ensure(baselines_of(study_name), siblings, attributes)
    parent = None
    if definition.parent is not None:
        parent = storage.studies.ensure(parent_of(study_name), siblings, attributes)
    run = Run(storage, study, baselines, parent, definition, mode, seed)
    for each in run.studies:
        check_unchanged(each, definition, mode, seed)
    if place and study.attributes["artifacts"] != place["artifacts"]:
        storage.studies.set_attributes(study, place)
    return run


def make_search(
    definition: Definition, mode: Mode, seed: int, before: Sequence[tuple[Genotype, float]] = ()
) -> Search:
    """The search of a definition.

    Args:
        definition: Definition that says what to search.
        mode: Scalar or pareto.
        seed: Seed of the search.
        before: Genotypes and accuracies that another search found, by another recipe or on other
            data, for a prior mean; none: there is no prior.

    Raises:
        DefinitionError: Where no network is within its budgets, or one to start with is not.
    """
    space, options = definition.make_space(), definition.search
    costs = definition.subject().countable()
    choices = space.choices
    objective = Objective(
        mode, costs[definition.cost.name], definition.reference_cost(), options.trade_off
    )
    start = [space.encode(ratios) for ratios in options.start_with]
    prior = None
    if before:
        genotypes, accuracies = zip(*before, strict=True)
        prior = Prior(choices, np.array(genotypes), np.array(accuracies))
        first = prior.promising(objective, options.population // 2)
        start += [genotype for genotype in first if genotype not in start]
    return Search(
        choices,
        objective.cost,
        mode=mode,
        population=options.population,
        seed=seed,
        reference_cost=objective.reference_cost,
        trade_off=objective.trade_off,
        budgets=[Budget(costs[name], limit) for name, limit in options.limits.items()],
        start=start,
        repeats=options.repeats,
        screen=ModelScreen(choices, prior) if options.model == "gp" else None,
    )


def check_unchanged(study: Study, definition: Definition, mode: str, seed: int) -> None:
    """Refuses to continue a study with another definition, mode or seed.

    Definitions are compared as this version reads them: a key that the study was stored without,
    since its version did not have it, counts as having its default.

    Args:
        study: Study as it was begun.
        definition: Definition to continue with.
        mode: Mode to continue with.
        seed: Seed to continue with.

    Raises:
        DefinitionError: Naming all that differs, but for higher limits on the length of the search
            and [final], which decides nothing in a search.
    """
    known = study.attributes
    stored = {
        **_deciding(stored_definition(known["definition"])),
        "mode": known["mode"],
        "seed": known["seed"],
    }
    given = {**_deciding(definition), "mode": mode, "seed": seed}
    changed = [
        k
        for k in sorted(stored | given)
        if stored.get(k) != given.get(k) and not _is_raised(k, stored.get(k), given.get(k))
    ]
    if changed:
        raise DefinitionError(
            f"study {study.name!r} was begun with another definition: "
            + ", ".join(f"{k} was {stored.get(k)!r}, now {given.get(k)!r}" for k in changed)
            + f"; only {', '.join(_MAY_BE_RAISED)} may be raised: restore it "
            f"({' '.join(_restored(k, stored.get(k)) for k in changed)}), or give another "
            "--study-name"
        )


def _restored(key: str, value: Any) -> str:
    """The option that gives a key the value that it was begun with."""
    if key in ("mode", "seed"):
        return f"--{key} {value}"
    if key == "latency" and value is not None:
        return "--latency-table with the file that it was begun with"
    if value is None:
        return f"without {key}"
    return f"--set {shlex.quote(f'{key}={json.dumps(value)}')}"


def _is_raised(key: str, before: Any, now: Any) -> bool:
    """Whether a limit on the length of a search is higher now; None is no limit."""
    may_be = key in {f"search.{name}" for name in _MAY_BE_RAISED}
    return may_be and before is not None and (now is None or now > before)


def _deciding(definition: Definition) -> dict[str, Any]:
    """Every key that decides what a search finds: not what it is called, nor [final]."""
    flat = _flat(keys_of(definition))
    if definition.space.genes:  # genotypes are of genes in this order
        flat["space.genes"] = list(definition.space.genes)
    return {
        k: v for k, v in flat.items() if k.partition(".")[0] not in ("name", "description", "final")
    }


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
