"""Deletes runs: their studies with all siblings, and the files that nobody else uses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from moo_bnas.driver.lease import driver_lease, wait_for_end
from moo_bnas.errors import ArtifactsError
from moo_bnas.evaluation import Artifact
from moo_bnas.storage import TRAINING, Storage, Study, siblings_of
from moo_bnas.storage.artifacts import Artifacts, artifact_of, join_artifacts


@dataclass(frozen=True)
class Doomed:
    """A run that is to be deleted; see `find_doomed`.

    Attributes:
        storage: Storage that holds it.
        studies: Its siblings, and last its own study: as long as that is there, deleting can be
            repeated.
        artifacts: Its artifact store; None if it has none, or if it is left as it is.
    """

    storage: Storage
    studies: tuple[Study, ...]
    artifacts: Artifacts | None

    @property
    def trials(self) -> int:
        """Number of trials of all of its studies."""
        return sum(sum(self.storage.trials.counts(s).values()) for s in self.studies)

    def wait_until_free(self, notify: Callable[[str], None]) -> None:
        """Waits until nobody drives it, so that nobody is asked for nothing.

        Args:
            notify: Called with a line for people while this waits.

        Raises:
            StudyHeldError: If its driver is alive.
        """
        for study in self.studies:
            wait_for_end(self.storage, study, notify)


def find_doomed(
    storage: Storage, name: str, artifacts_url: str | None, *, keep_artifacts: bool
) -> Doomed:
    """The run that is to be deleted.

    Args:
        storage: Storage that holds it.
        name: Name of the run.
        artifacts_url: Where its artifact store is; None: the default of the storage.
        keep_artifacts: Leave the files of the artifact store as they are.

    Raises:
        StorageError: If there is no such run.
        ArtifactsError: If its artifact store is not there.
    """
    run = storage.studies.open(storage.studies.choose(name))
    siblings = [s for each in siblings_of(run.name) if (s := storage.studies.find(each))]
    known, store = run.attributes.get("artifacts"), None
    if known is not None and not keep_artifacts:
        try:
            store = join_artifacts(known, artifacts_url, storage.url)
        except ArtifactsError as error:
            raise ArtifactsError(
                f"{error}; or give --keep-artifacts, and delete its files by hand"
            ) from error
    return Doomed(storage, (*siblings, run), store)


def delete_run(doomed: Doomed, notify: Callable[[str], None]) -> int:
    """Deletes a run; if it is killed meanwhile, it can be repeated.

    Weights that a trial of another run shares stay, and so do evaluations without weights, which
    other runs may still copy.

    Args:
        doomed: The run.
        notify: Called with a line for people while this waits for a driver that may have ended.

    Returns:
        The number of files that were removed.

    Raises:
        StudyHeldError: If somebody drives it.
    """
    storage, store, run = doomed.storage, doomed.artifacts, doomed.studies[-1]
    removed = 0
    with contextlib.ExitStack() as held:
        for study in doomed.studies:
            held.enter_context(driver_lease(storage, study, notify))
        if store is not None:
            kept = [*_checkpoints(doomed), *storage.deletions.release_artifacts(doomed.studies)]
            for artifact in kept:
                store.remove(artifact)
            removed = len(kept)
        for study in doomed.studies:
            storage.deletions.delete(study)
        if store is not None:  # last: without its marker the store is not opened again
            store.remove(artifact_of(run.attributes["artifacts"]["marker"]))
    return removed


def _checkpoints(doomed: Doomed) -> list[Artifact]:
    """The checkpoints of long training runs that were not finished."""
    long = [
        value
        for study in doomed.studies
        for key, value in study.attributes.items()
        if key.partition(" ")[0] == TRAINING and isinstance(value, dict)
    ]
    return [artifact_of(value["checkpoint"]) for value in long if "checkpoint" in value]
