"""Final trainings of a run: opened, submitted, and what comes of them fetched.

They are trials of NAME.final, which any worker of the run takes. So their rows are comparable (one
recipe for all of them), shared, and nothing that is killed loses more than an epoch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from moo_bnas.definition import Definition, stored_definition
from moo_bnas.driver.candidates import candidate
from moo_bnas.driver.run import check_unchanged, open_run
from moo_bnas.errors import ArtifactsError, DefinitionError, StorageError
from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import Genotype
from moo_bnas.models.model_file import parse_model
from moo_bnas.output import write_whole
from moo_bnas.processes import is_gone
from moo_bnas.results.points import called, collect
from moo_bnas.storage import (
    PARETO_METRICS,
    Storage,
    Study,
    Trial,
    final_of,
    training_of,
)
from moo_bnas.storage.artifacts import Artifacts, agree_on_artifacts, join_artifacts
from moo_bnas.storage.checkpoints import Checkpoints

Chosen = tuple[Genotype, Precision]


@dataclass(frozen=True)
class Finals:
    """The final trainings of a run, opened: see `open_finals`.

    Attributes:
        storage: Of the run.
        run: Its study.
        study: Of its final trainings.
        definition: Of the run, with the final recipe in effect.
        artifacts: Where checkpoints and models are kept.
    """

    storage: Storage
    run: Study
    study: Study
    definition: Definition
    artifacts: Artifacts


def open_finals(
    storage_url: str,
    study_name: str | None,
    given: Definition | None,
    artifacts_url: str | None,
    epochs: int | None,
    *,
    create: bool = True,
    restart: bool = False,
) -> Finals:
    """Opens the final trainings of a run.

    Args:
        storage_url: SQLAlchemy URL.
        study_name: Of the run; None: that of the definition, or the only one there.
        given: A definition; its [final] counts, where the run has another one or none.
        artifacts_url: Where checkpoints and models are kept; None: where the run has kept them so
            far, at first beside an SQLite file.
        epochs: Instead of those of [final].
        create: Make the run where it is missing and the definition is given.
        restart: Drop what was begun, and not finished, with another recipe.

    Raises:
        DefinitionError: Where there is no [final], where the run was begun with another
            definition, its final trainings with another recipe, or where a place for artifacts
            must be named.
        StorageError: Where there is no such run.
        ArtifactsError: Where that place cannot be used.
    """
    if given is not None:
        _in_effect(given, epochs)  # tells what is wrong before anything is made
    storage = Storage(storage_url, create=create and given is not None)
    default = None if given is None else f"{given.name}-pareto-s0"
    name = storage.studies.choose(study_name or default)
    if given is not None and create and storage.studies.find(name) is None:
        open_run(storage_url, name, given, "pareto", 0, artifacts_url)
    run = storage.studies.open(name)
    if given is not None:
        _check_same_networks(run, given)
    begun = storage.studies.find(final_of(name))
    known = stored_definition((begun or run).attributes["definition"])
    definition = _in_effect(given or known, epochs)
    place = agree_on_artifacts(run.attributes.get("artifacts"), artifacts_url, storage.url)
    if place != run.attributes.get("artifacts"):
        storage.studies.set_attributes(run, {"artifacts": place})
    attributes = {
        **{key: run.attributes[key] for key in ("mode", "seed", "versions")},
        "definition": definition.model_dump(mode="json"),
        "finished": True,
    }
    study = storage.studies.ensure(final_of(name), PARETO_METRICS, attributes)
    finals = Finals(storage, run, study, definition, join_artifacts(place, None))
    _agree_on_recipe(finals, restart)
    return replace(finals, study=storage.studies.open(study.name))


def _in_effect(definition: Definition, epochs: int | None) -> Definition:
    recipe = definition.final_recipe()
    if epochs is not None:
        recipe = recipe.lasting(epochs)
    return definition.model_copy(update={"final": recipe})


def _check_same_networks(run: Study, given: Definition) -> None:
    stored = run.attributes["definition"]
    # How long and within what limits it searches decides nothing here.
    values = {**given.model_dump(mode="json"), "search": stored["search"]}
    given_now = {**run.attributes, "definition": values}
    check_unchanged(run.name, run.attributes, given_now)


def _agree_on_recipe(finals: Finals, drop: bool) -> None:
    """Refuses another recipe than that of the networks there are; without any, takes it."""
    storage, study = finals.storage, finals.study
    known: Mapping[str, Any] = study.attributes["definition"]["final"]
    now = finals.definition.final_recipe().model_dump(mode="json")
    changed = [key for key in now if now[key] != known.get(key)]
    if not changed:
        return
    storage.claims.return_lost(lambda worker: is_gone(worker.host, worker.pid))
    trials = storage.trials.read(study)
    differs = ", ".join(f"{k} was {known.get(k)!r}, now {now[k]!r}" for k in changed)
    told = f"networks of {study.name} were trained with another [final] ({differs})"
    if any(t.state in ("complete", "running") for t in trials):
        raise DefinitionError(
            f"{told}, and rows of one table are trained alike; give the former one, or drop them "
            f"with `optuna delete-study --study-name {study.name} --storage {storage.shown_url}`"
        )
    begun = [t for t in trials if study.attributes.get(training_of(t.number))]
    if begun and not drop:
        raise DefinitionError(
            f"{told} up to some epoch; give the former one to go on, or --restart to begin anew"
        )
    for trial in begun:
        _checkpoints(finals, trial).forget()
    storage.studies.set_attributes(study, {"definition": finals.definition.model_dump(mode="json")})


def _checkpoints(finals: Finals, trial: Trial) -> Checkpoints:
    key = training_of(trial.number)
    return Checkpoints(finals.storage, finals.study, finals.artifacts, key)


def choose(
    finals: Finals,
    *,
    trial: int | None = None,
    best: bool = False,
    knee: bool = False,
    max_flops: float | None = None,
) -> Genotype:
    """A network of a search.

    Args:
        finals: Of the run.
        trial: By number.
        best: The fittest by Eq. 4.
        knee: That of the front.
        max_flops: The most accurate of at most so many FLOPs.

    Raises:
        StorageError: Where there is none.
    """
    storage, run, space = finals.storage, finals.run, finals.definition.make_space()
    trials = storage.trials.read(run)
    if trial is not None and trials:
        return _numbered(trials, trial, run.name)
    if not any(t.state == "complete" for t in trials):
        raise StorageError(
            f"the search {run.name!r} has no finished candidate to choose from; begin it with "
            "`moo-bnas run`, or give --ratios"
        )
    report = collect(storage, run.name)
    if best and report.best is not None:
        return space.encode(report.best.ratios)
    if knee and report.knee is not None:
        return space.encode(report.knee.ratios)
    searched = report.search
    within = [p for p in searched if max_flops is not None and p.flops <= max_flops]
    if not within:
        raise StorageError(
            f"no searched network of {run.name!r} has at most {max_flops:g} FLOPs; the cheapest "
            f"has {min(p.flops for p in searched):g}"
        )
    return space.encode(max(within, key=lambda p: (p.accuracy, -p.flops)).ratios)


def _numbered(trials: Sequence[Trial], number: int, name: str) -> Genotype:
    for trial in trials:
        if trial.number == number:
            return trial.genotype
    raise StorageError(
        f"got trial {number}, but {name!r} has only {len(trials)} (from 0); see its report"
    )


def title_of(finals: Finals, genotype: Genotype, precision: Precision) -> str:
    """What a network is called, in tables too; see `report.called`."""
    found = finals.storage.trials.read(finals.run, [genotype])
    ratios = finals.definition.make_space().decode(genotype)
    return called(ratios, precision, found[0].number if found else None)


def folder_name(title: str) -> str:
    """The folder of a network of this title."""
    return title.replace(",", "").replace(" ", "-")


def submit(finals: Finals, chosen: Sequence[Chosen]) -> None:
    """Makes trials of those that have none yet, and has workers take no others.

    Those that an earlier command had begun and this one does not name wait until they are named
    again: nobody wants hours of another network first.
    """
    network, space = finals.definition.make_network(), finals.definition.make_space()
    candidates = [candidate(network, space, *each) for each in chosen]
    finals.storage.trials.submit(finals.study, space, candidates)
    finals.storage.trials.hold_back(finals.study, but=chosen)


def restart(finals: Finals, chosen: Sequence[Chosen]) -> None:
    """Has the trainings of these begin anew, but for those whose models are there."""
    for trial in trials_of(finals, chosen):
        if trial.state == "complete" and _is_kept(finals, trial):
            continue
        _checkpoints(finals, trial).forget()
        finals.storage.trials.revive(finals.study, trial.number)


def fetch(finals: Finals, trial: Trial, folder: Path) -> Path:
    """Writes the model of a finished trial, and beside it a JSON of how it came about.

    Args:
        finals: Of the run.
        trial: Of `FinalDriver.train`.
        folder: Where to.

    Returns:
        The path of the model.

    Raises:
        ArtifactsError: Where the model is lost.
        DefinitionError: Where the folder cannot be written to.
    """
    found, path = trial.result, folder / "model.safetensors"
    content = _model(finals, trial, path)
    card = parse_model(content, "the model in the artifact store").card
    searched = [
        t
        for t in finals.storage.trials.read(finals.run, [trial.genotype])
        if t.state == "complete" and t.precision == trial.precision
    ]
    document = {
        "study": finals.run.name,
        "name": title_of(finals, trial.genotype, trial.precision),
        "test": {"top1": card.accuracy, "top5": card.top5},
        "search": {
            "trial": searched[0].number if searched else None,
            "accuracy": searched[0].result.accuracy if searched else None,
        },
        "train_seconds": found.train_seconds,
        "weights_sha256": found.kept.sha256,
        **card.model_dump(mode="json", exclude={"accuracy", "top5"}),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        write_whole(folder / "model.json", (json.dumps(document, indent=1) + "\n").encode())
    except OSError as error:
        raise DefinitionError(
            f"cannot write to {folder}: {error.strerror}; give another --out (the model is kept in "
            "the artifact store, nothing is trained again)"
        ) from error
    return path


def _is_kept(finals: Finals, trial: Trial) -> bool:
    try:
        finals.artifacts.get(trial.result.kept)
    except ArtifactsError:
        return False
    return True


def _model(finals: Finals, trial: Trial, path: Path) -> bytes:
    """The model of a trial, from the artifact store; or from where it was written before."""
    artifact = trial.result.kept
    try:
        return finals.artifacts.get(artifact)
    except ArtifactsError as error:
        if path.is_file():
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == artifact.sha256:
                return content
        title = title_of(finals, trial.genotype, trial.precision)
        raise ArtifactsError(
            f"the model of {title} is lost: {error}; or give --restart to train it anew"
        ) from error


def trials_of(finals: Finals, chosen: Sequence[Chosen]) -> list[Trial]:
    """The trials of these networks, in order, of those that have one."""
    found = {
        (t.genotype, t.precision): t
        for t in finals.storage.trials.read(finals.study, [genotype for genotype, _ in chosen])
    }
    return [found[each] for each in chosen if each in found]
