"""What of a storage goes when a run is deleted, and what stays because others use it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import and_, delete, select

from moo_bnas.evaluation import Artifact
from moo_bnas.storage import stored
from moo_bnas.storage.database import Database
from moo_bnas.storage.outages import waiting_out
from moo_bnas.storage.records import Study
from moo_bnas.storage.tables import driver_rows, evaluations, queue, worker_rows


class Deletions:
    """Deletes studies of a storage; every step may be repeated after a kill."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @waiting_out
    def release_artifacts(self, studies: Sequence[Study]) -> list[Artifact]:
        """The artifacts of trials that no trial of any other study has.

        Their evaluations are forgotten, so that no other study begins to share them.
        """
        trials, attributes = self._db.trials, self._db.trial_attributes
        where = f"a trial of {', '.join(s.name for s in studies)}"
        ids = [study.id for study in studies]
        kept = (
            select(attributes.c.trial_id, attributes.c.value_json, trials.c.study_id)
            .join(trials, trials.c.trial_id == attributes.c.trial_id)
            .where(attributes.c.key == "artifact")
        )
        with self._db.write() as connection:
            rows = connection.execute(kept).all()
            shared = {row.value_json for row in rows if row.study_id not in ids}
            own = {
                row.trial_id: stored.parsed(row.value_json, where, "artifact")
                for row in rows
                if row.study_id in ids and row.value_json not in shared
            }
            found = {}
            for trial_id, artifact in own.items():
                of_trial = attributes.c.trial_id == trial_id
                every = connection.execute(
                    select(attributes.c.key, attributes.c.value_json).where(of_trial)
                )
                values = stored.of_trial(where, {k: stored.parsed(v, where, k) for k, v in every})
                genotype = select(queue.c.genotype).where(queue.c.trial_id == trial_id)
                if "fingerprint" in values:
                    connection.execute(
                        delete(evaluations).where(
                            and_(
                                evaluations.c.fingerprint == values["fingerprint"],
                                evaluations.c.genotype == genotype.scalar_subquery(),
                            )
                        )
                    )
                found[artifact] = Artifact(artifact, values["weights_hash"])
        return list(found.values())

    @waiting_out
    def delete(self, study: Study) -> None:
        """Deletes a study with all its rows; other runs keep what they have copied from it."""
        with self._db.errors(), suppress(KeyError):  # deleted before, and not acknowledged
            self._db.optuna_storage.delete_study(study.id)
        with self._db.write() as connection:
            for table in (queue, worker_rows, driver_rows):
                connection.execute(delete(table).where(table.c.study_id == study.id))
            running = select(queue.c.token).where(queue.c.status == "running")
            begun = and_(evaluations.c.result.is_(None), evaluations.c.token.not_in(running))
            connection.execute(delete(evaluations).where(begun))
