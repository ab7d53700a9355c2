"""What the driver does with trials: submit, read, count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution, distribution_to_json
from optuna.trial import TrialState
from sqlalchemy import ColumnElement, and_, delete, func, insert, not_, or_, select, update

from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import Genotype, SearchSpace, genotype_key
from moo_bnas.storage.database import Database
from moo_bnas.storage.outages import waiting_out
from moo_bnas.storage.records import RESULTS, Candidate, Study, Trial, parse_run_key, trial_of
from moo_bnas.storage.stored import check_queue, of_trial, parsed
from moo_bnas.storage.tables import evaluations, queue

ENQUEUED = "enqueued with Optuna; only the search makes trials"
"""Why a trial was refused that somebody else added to a study."""


class Trials:
    """The trials of a storage."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @waiting_out
    def submit(self, study: Study, space: SearchSpace, candidates: Sequence[Candidate]) -> None:
        """Makes WAITING trials, in order, of those candidates that the study does not have yet."""
        with self._db.write() as connection:
            self._db.lock_study(connection, study.id, study.name)
            keys = [c.key for c in candidates]
            rows = connection.execute(
                select(queue.c.genotype, queue.c.precision).where(
                    queue.c.study_id == study.id, queue.c.genotype.in_(keys)
                )
            ).all()
            known = {(row.genotype, row.precision) for row in rows}
            new = [c for c in candidates if (c.key, c.precision) not in known]
            if not new:
                return
            trials = self._db.trials
            last = connection.scalar(
                select(func.max(trials.c.number)).where(trials.c.study_id == study.id)
            )
            first = 0 if last is None else last + 1
            connection.execute(
                insert(trials),
                [
                    {"number": n, "study_id": study.id, "state": TrialState.WAITING}
                    for n in range(first, first + len(new))
                ],
            )
            ids = connection.scalars(
                select(trials.c.trial_id)
                .where(trials.c.study_id == study.id, trials.c.number >= first)
                .order_by(trials.c.number)
            ).all()
            distributions = [
                distribution_to_json(CategoricalDistribution(values)) for values in space.values
            ]
            made = list(zip(ids, new, strict=True))
            connection.execute(
                insert(self._db.trial_params),
                [
                    {
                        "trial_id": trial_id,
                        "param_name": gene,
                        "param_value": float(choice),  # Optuna stores the index of a category
                        "distribution_json": distribution,
                    }
                    for trial_id, c in made
                    for gene, choice, distribution in zip(
                        space.genes, c.genotype, distributions, strict=True
                    )
                ],
            )
            for trial_id, c in made:
                self._db.add_attributes(connection, trial_id, c.to_attributes())
            # Rows of trials that were deleted with Optuna: SQLite uses their ids again.
            connection.execute(delete(queue).where(queue.c.trial_id.in_(ids)))
            connection.execute(
                insert(queue),
                [
                    {
                        "trial_id": trial_id,
                        "study_id": study.id,
                        "genotype": c.key,
                        "precision": c.precision,
                        "status": "waiting",
                        "cost": c.cost,
                    }
                    for trial_id, c in made
                ],
            )

    @waiting_out
    def hold_back(self, study: Study, but: Sequence[tuple[Genotype, Precision]]) -> None:
        """Keeps workers from the waiting trials of a study, except some; releases those.

        To Optuna the trials that are held back still wait; here their state is `held`.

        Args:
            study: Study of the trials.
            but: Networks whose trials workers may take.
        """
        wanted = or_(
            *(
                and_(queue.c.genotype == genotype_key(genotype), queue.c.precision == precision)
                for genotype, precision in but
            )
        )
        with self._db.write() as connection:
            self._db.lock_study(connection, study.id, study.name)
            for chosen, before, after in (
                (not_(wanted), "waiting", "held"),
                (wanted, "held", "waiting"),
            ):
                connection.execute(
                    update(queue)
                    .where(queue.c.study_id == study.id, queue.c.status == before, chosen)
                    .values(status=after)
                )

    @waiting_out
    def close(self, study: Study) -> None:
        """Holds back all waiting trials of a study, until `reopen`."""
        self._move_all(study, "waiting", "held")

    @waiting_out
    def reopen(self, study: Study) -> None:
        """Releases all trials of a study that are held back."""
        self._move_all(study, "held", "waiting")

    def _move_all(self, study: Study, before: str, after: str) -> None:
        with self._db.write() as connection:
            self._db.lock_study(connection, study.id, study.name)
            connection.execute(
                update(queue)
                .where(queue.c.study_id == study.id, queue.c.status == before)
                .values(status=after)
            )

    @waiting_out
    def revive(self, study: Study, number: int) -> None:
        """Makes a trial that has ended wait again, as if it had never been tried.

        Its evaluation is forgotten in the whole storage: no other study copies it any more. A
        trial that has not ended stays as it is.
        """
        trials, attributes = self._db.trials, self._db.trial_attributes
        ended = (
            select(trials.c.trial_id, queue.c.genotype)
            .join(queue, queue.c.trial_id == trials.c.trial_id)
            .where(
                trials.c.study_id == study.id,
                trials.c.number == number,
                queue.c.status.in_(["complete", "fail"]),
            )
        )
        with self._db.write() as connection:
            self._db.lock_study(connection, study.id, study.name)
            row = connection.execute(ended).first()
            if row is None:
                return
            connection.execute(
                update(queue)
                .where(queue.c.trial_id == row.trial_id)
                .values(status="waiting", token=None, losses=0, device_errors=0, alone=False)
            )
            of_trial = attributes.c.trial_id == row.trial_id
            fingerprint = connection.scalar(
                select(attributes.c.value_json).where(of_trial, attributes.c.key == "fingerprint")
            )
            if fingerprint is not None:
                where = f"study {study.name!r} trial {number}"
                connection.execute(
                    delete(evaluations).where(
                        evaluations.c.fingerprint == parsed(fingerprint, where, "fingerprint"),
                        evaluations.c.genotype == row.genotype,
                    )
                )
            connection.execute(delete(attributes).where(of_trial, attributes.c.key.in_(RESULTS)))
            values = self._db.trial_values
            connection.execute(delete(values).where(values.c.trial_id == row.trial_id))
            connection.execute(
                update(trials)
                .where(trials.c.trial_id == row.trial_id)
                .values(state=TrialState.WAITING, datetime_start=None, datetime_complete=None)
            )

    @waiting_out
    def refuse_enqueued(self, study: Study) -> list[int]:
        """Fails waiting trials of a study that were enqueued with Optuna, with a reason.

        Returns:
            The numbers of these trials.
        """
        trials = self._db.trials
        foreign = select(trials.c.trial_id, trials.c.number).where(
            trials.c.state == TrialState.WAITING, self._is_foreign(study)
        )
        with self._db.write() as connection:
            self._db.lock_study(connection, study.id, study.name)
            rows = connection.execute(foreign).all()
            for row in rows:
                connection.execute(
                    update(trials)
                    .where(trials.c.trial_id == row.trial_id)
                    .values(state=TrialState.FAIL)
                )
                self._db.add_attributes(connection, row.trial_id, {"fail_reason": ENQUEUED})
        return [row.number for row in rows]

    @waiting_out
    def enqueued(self, study: Study) -> dict[str, int]:
        """How many trials somebody enqueued with Optuna: `waiting` ones, and refused: `fail`."""
        trials = self._db.trials
        known = {TrialState.WAITING: "waiting", TrialState.FAIL: "fail"}
        with self._db.read() as connection:
            rows = connection.execute(
                select(trials.c.state, func.count().label("number"))
                .where(trials.c.state.in_([*known]), self._is_foreign(study))
                .group_by(trials.c.state)
            ).all()
        return dict.fromkeys(known.values(), 0) | {known[row.state]: row.number for row in rows}

    def _is_foreign(self, study: Study) -> ColumnElement[bool]:
        """The condition of trials of a study that the search did not make."""
        trials = self._db.trials
        ours = select(queue.c.trial_id).where(queue.c.study_id == study.id)
        return (trials.c.study_id == study.id) & trials.c.trial_id.not_in(ours)

    @waiting_out
    def forget_deleted(self) -> None:
        """Drops what is left of trials that were deleted with Optuna.

        An evaluation that one of them had begun would hold up other studies. It takes longer the
        more trials there are: to be called now and then.
        """
        held = select(queue.c.token).where(queue.c.status == "running")
        with self._db.write() as connection:
            connection.execute(delete(queue).where(~self._db.owned))
            left = connection.scalars(
                select(evaluations.c.token).where(
                    evaluations.c.result.is_(None), evaluations.c.token.not_in(held)
                )
            ).all()
            if left:
                connection.execute(delete(evaluations).where(evaluations.c.token.in_(left)))

    @waiting_out
    def read(self, study: Study, genotypes: Iterable[Genotype] | None = None) -> list[Trial]:
        """The trials of a study in order of their numbers; all, or those of some genotypes.

        Repeats of genotypes are read with all trials only.
        """
        trials, attributes = self._db.trials, self._db.trial_attributes
        chosen = select(queue.c.trial_id).where(queue.c.study_id == study.id)
        if genotypes is not None:
            chosen = chosen.where(queue.c.genotype.in_([genotype_key(g) for g in genotypes]))
        with self._db.read() as connection:
            rows = connection.execute(
                select(
                    trials.c.trial_id,
                    trials.c.number,
                    trials.c.datetime_start,
                    trials.c.datetime_complete,
                    queue.c.status,
                    queue.c.genotype,
                    queue.c.precision,
                )
                .join(queue, queue.c.trial_id == trials.c.trial_id)
                .where(trials.c.trial_id.in_(chosen))
                .order_by(trials.c.number)
            ).all()
            places = {row.trial_id: f"study {study.name!r} trial {row.number}" for row in rows}
            values: dict[int, dict[str, Any]] = {row.trial_id: {} for row in rows}
            for trial_id, key, value in connection.execute(
                select(attributes.c.trial_id, attributes.c.key, attributes.c.value_json).where(
                    attributes.c.trial_id.in_(chosen)
                )
            ):
                # A trial made since is left out: on servers each statement sees the newest rows.
                if trial_id in values:
                    values[trial_id][key] = parsed(value, places[trial_id], key)
        for row in rows:
            check_queue(places[row.trial_id], dict(row._mapping))
        return [
            trial_of(
                row.number,
                row.status,
                parse_run_key(row.genotype)[0],
                row.precision,
                of_trial(places[row.trial_id], values[row.trial_id]),
                row.datetime_start,
                row.datetime_complete,
            )
            for row in rows
        ]

    @waiting_out
    def count_open(self, studies: Sequence[Study]) -> list[int]:
        """How many trials of each study are waiting or running."""
        with self._db.read() as connection:
            rows = connection.execute(
                select(queue.c.study_id, func.count().label("open"))
                .where(
                    queue.c.study_id.in_([s.id for s in studies]),
                    queue.c.status.in_(["waiting", "running"]),
                )
                .group_by(queue.c.study_id)
            ).all()
        found = {row.study_id: row.open for row in rows}
        return [found.get(s.id, 0) for s in studies]

    @waiting_out
    def counts(self, study: Study) -> dict[str, int]:
        """How many trials of a study are complete, running, waiting, fail."""
        with self._db.read() as connection:
            rows = connection.execute(
                select(queue.c.status, func.count().label("open"))
                .where(queue.c.study_id == study.id)
                .group_by(queue.c.status)
            ).all()
        found = {row.status: row.open for row in rows}
        return {state: found.get(state, 0) for state in ("complete", "running", "waiting", "fail")}
