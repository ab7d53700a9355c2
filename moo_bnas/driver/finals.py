"""Final training runs: submitted, restarted, and what comes of them fetched.

They are trials of the study NAME.final, which any worker of the run takes. All of them have one
recipe, so that their rows are comparable; and a kill loses no more than an epoch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from moo_bnas.definition import Definition, stored_definition
from moo_bnas.driver.candidates import candidate
from moo_bnas.errors import ArtifactsError, DefinitionError
from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import Genotype
from moo_bnas.models.model_file import parse_model
from moo_bnas.output import write_whole
from moo_bnas.processes import has_exited
from moo_bnas.results.naming import called
from moo_bnas.storage import (
    Storage,
    Study,
    Trial,
    final_of,
    parent_of,
    pareto_metrics,
    training_of,
)
from moo_bnas.storage.artifacts import Artifacts, agree_on_artifacts
from moo_bnas.storage.checkpoints import Checkpoints

Chosen = tuple[Genotype, Precision]


@dataclass(frozen=True)
class Finals:
    """The final training runs of a run: see `open_finals`.

    Attributes:
        storage: Storage that holds the run.
        run: Study of the run.
        study: Study of its final training runs.
        definition: Definition of the run, with the final recipe in effect.
        artifacts: Store of checkpoints and models.
    """

    storage: Storage
    run: Study
    study: Study
    definition: Definition
    artifacts: Artifacts

    def trials(self, chosen: Sequence[Chosen]) -> list[Trial]:
        """The trials of these networks, in order, of those that have one."""
        found = {
            (t.genotype, t.precision): t
            for t in self.storage.trials.read(self.study, [genotype for genotype, _ in chosen])
        }
        return [found[each] for each in chosen if each in found]

    def title(self, genotype: Genotype, precision: Precision) -> str:
        """What a network is called, in tables too; see `results.points.called`."""
        found = self.storage.trials.read(self.run, [genotype])
        space = self.definition.make_space()
        return called(space, space.decode(genotype), precision, found[0].number if found else None)

    def submit(self, chosen: Sequence[Chosen]) -> None:
        """Makes trials of those that have none yet, and has workers take no others.

        Those that an earlier command began and this one does not name wait until they are named
        again: nobody wants to wait for hours of another network first.
        """
        space = self.definition.make_space()
        candidates = [candidate(self.definition, *each) for each in chosen]
        self.storage.trials.submit(self.study, space, candidates)
        self.storage.trials.hold_back(self.study, but=chosen)

    def restart(self, chosen: Sequence[Chosen]) -> None:
        """Has these trained from scratch again, but for those whose models are there."""
        for trial in self.trials(chosen):
            if trial.state == "complete" and self._is_kept(trial):
                continue
            self.forget(trial)
            self.storage.trials.revive(self.study, trial.number)

    def forget(self, trial: Trial) -> None:
        """Drops the checkpoint of a trial that is not being trained."""
        key = training_of(trial.number)
        Checkpoints(self.storage, self.study, self.artifacts, key).forget()

    def fetch(self, trial: Trial, folder: Path) -> Path:
        """Writes the model of a finished trial, and beside it a JSON of how it came about.

        Args:
            trial: Trial that `FinalDriver.train` returned.
            folder: Folder to write to.

        Returns:
            The path of the model.

        Raises:
            ArtifactsError: Where the model is lost.
            DefinitionError: Where the folder cannot be written to.
        """
        path = folder / "model.safetensors"
        content = self._model(trial, path)
        document = self._document(trial, content)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
            write_whole(folder / "model.json", (json.dumps(document, indent=1) + "\n").encode())
        except OSError as error:
            raise DefinitionError(
                f"cannot write to {folder}: {error.strerror}; give another --out (the model is "
                "kept in the artifact store, nothing is trained again)"
            ) from error
        return path

    def _document(self, trial: Trial, content: bytes) -> dict[str, Any]:
        """What model.json says: the card of the model, its test scores, and what came before."""
        found = trial.result
        card = parse_model(content, "the model in the artifact store").card
        searched = [
            t
            for t in self.storage.trials.read(self.run, [trial.genotype])
            if t.state == "complete" and t.precision == trial.precision
        ]
        return {
            "study": self.run.name,
            "name": self.title(trial.genotype, trial.precision),
            "test": {"top1": card.accuracy, "top5": card.top5},
            "search": {
                "trial": searched[0].number if searched else None,
                "accuracy": searched[0].result.accuracy if searched else None,
            },
            "train_seconds": found.train_seconds,
            "weights_sha256": found.kept.sha256,
            **card.model_dump(mode="json", exclude={"accuracy", "top5"}),
        }

    def _is_kept(self, trial: Trial) -> bool:
        try:
            self.artifacts.get(trial.result.kept)
        except ArtifactsError:
            return False
        return True

    def _model(self, trial: Trial, path: Path) -> bytes:
        """The model of a trial, from the artifact store; or from where it was written before."""
        artifact = trial.result.kept
        try:
            return self.artifacts.get(artifact)
        except ArtifactsError as error:
            if path.is_file():
                content = path.read_bytes()
                if hashlib.sha256(content).hexdigest() == artifact.sha256:
                    return content
            title = self.title(trial.genotype, trial.precision)
            raise ArtifactsError(
                f"the model of {title} is lost: {error}; or give --restart to train it again"
            ) from error


def folder_name(title: str) -> str:
    """The folder of a network of this title."""
    return re.sub(r"[^A-Za-z0-9.+_-]", "-", title.replace(",", ""))


def open_finals(
    storage: Storage,
    run: Study,
    definition: Definition,
    artifacts_url: str | None = None,
    *,
    restart: bool = False,
) -> Finals:
    """Opens the final training runs of a run; makes their study where there is none.

    Args:
        storage: Storage that holds the run.
        run: Study of the run; see `final_definition.find_run`.
        definition: Definition that counts; see `final_definition.definition_in_effect`.
        artifacts_url: Store of checkpoints and models; None: the one that the run has had so far,
            at first a folder beside an SQLite file.
        restart: Drop what was begun, and not finished, with another recipe.

    Raises:
        DefinitionError: Where networks were trained by another [final], where a store for artifacts
            must be named, or where the parent that [final] inherits from is not trained yet.
        ArtifactsError: Where that store cannot be used.
    """
    if definition.final_recipe().inherits and not _has_parent(storage, run):
        raise DefinitionError(
            f"got [final] inherits, but the parent of {run.name} is not trained yet; train it with "
            "`moo-bnas parent` or `moo-bnas run` first"
        )
    place = agree_on_artifacts(run.attributes.get("artifacts"), artifacts_url, storage.url)
    if place != run.attributes.get("artifacts"):
        storage.studies.set_attributes(run, {"artifacts": place})
    attributes = {
        **{key: run.attributes[key] for key in ("mode", "seed", "versions")},
        "definition": definition.model_dump(mode="json"),
        "finished": True,
    }
    study = storage.studies.ensure(
        final_of(run.name), pareto_metrics(definition.cost.name), attributes
    )
    finals = Finals(storage, run, study, definition, Artifacts(place["url"]))
    _agree_on_recipe(finals, restart)
    return replace(finals, study=storage.studies.open(study.name))


def _has_parent(storage: Storage, run: Study) -> bool:
    study = storage.studies.find(parent_of(run.name))
    return study is not None and storage.trials.counts(study)["complete"] > 0


def _agree_on_recipe(finals: Finals, drop: bool) -> None:
    """Refuses another recipe than that of the networks there are; without any, takes it."""
    storage, study = finals.storage, finals.study
    stored = stored_definition(study.attributes["definition"]).final_recipe()
    known, now = (r.model_dump(mode="json") for r in (stored, finals.definition.final_recipe()))
    changed = [key for key in now if now[key] != known[key]]
    if not changed:
        return
    storage.claims.return_lost(lambda worker: has_exited(worker.host, worker.pid))
    trials = storage.trials.read(study)
    differs = ", ".join(f"{k} was {known[k]!r}, now {now[k]!r}" for k in changed)
    conflict = f"networks of {study.name} were trained with another [final] ({differs})"
    if any(t.state in ("complete", "running") for t in trials):
        raise DefinitionError(
            f"{conflict}, and all rows of a table have one; give the former one, or drop them "
            f"with `optuna delete-study --study-name {study.name} --storage {storage.shown_url}`"
        )
    begun = [t for t in trials if study.attributes.get(training_of(t.number))]
    if begun and not drop:
        raise DefinitionError(
            f"{conflict} up to some epoch; give the former one to continue, or --restart to train "
            "them from scratch"
        )
    for trial in begun:
        finals.forget(trial)
    storage.studies.set_attributes(study, {"definition": finals.definition.model_dump(mode="json")})
