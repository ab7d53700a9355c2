"""What workers do with trials: take, finish, give back; and what becomes of lost claims."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Connection, and_, case, delete, exists, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from moo_bnas.space import parse_genotype_key
from moo_bnas.storage.database import Database, age, waiting_out
from moo_bnas.storage.engine import utc_now
from moo_bnas.storage.records import HEARTBEAT, MAX_LOSSES, Claim, Study, WorkerRow, grace_of
from moo_bnas.storage.tables import evaluations, queue, worker_rows
from moo_bnas.storage.workers import Workers

_LONGEST_LOOK = 5.0  # seconds that one look at a silent claim counts for, at most


class Claims:
    """The claims of a storage."""

    def __init__(self, database: Database, workers: Workers) -> None:
        self._db = database
        self._workers = workers
        self._silent: dict[tuple[str, datetime | None], float] = {}
        self._last_look = float("-inf")

    @waiting_out
    def take(
        self, studies: Sequence[Study], worker: str, fingerprints: Mapping[str, str]
    ) -> Claim | None:
        """Takes one waiting trial; of the first study that has any, the dearest.

        Args:
            studies: In order of preference.
            worker: Its name.
            fingerprints: Of what this worker would evaluate, by precision.

        Returns:
            None where nothing waits that could be begun now.
        """
        by_id = {s.id: s for s in studies}
        waiting = (
            select(
                queue.c.trial_id,
                queue.c.study_id,
                queue.c.genotype,
                queue.c.precision,
                evaluations.c.result,
                evaluations.c.token.label("source"),
            )
            .outerjoin(
                evaluations,
                and_(
                    evaluations.c.genotype == queue.c.genotype,
                    evaluations.c.fingerprint == case(fingerprints, value=queue.c.precision),
                ),
            )
            .where(
                queue.c.study_id.in_(list(by_id)),
                queue.c.status == "waiting",
                self._db.owned,
                or_(evaluations.c.token.is_(None), evaluations.c.result.is_not(None)),
            )
            .order_by(
                case({i: n for n, i in enumerate(by_id)}, value=queue.c.study_id),
                queue.c.cost.desc(),
                queue.c.trial_id,
            )
            .limit(1)
        )
        with self._db.read() as connection:  # idle workers must not queue for the write lock
            if connection.execute(waiting).first() is None:
                return None
        trials = self._db.trials
        token = uuid.uuid4().hex
        with self._db.write() as connection:
            row = connection.execute(waiting.with_for_update(of=queue, skip_locked=True)).first()
            if row is None:
                return None
            if row.result is None and not self._begin_evaluation(
                connection, fingerprints[row.precision], row.genotype, token, row.trial_id
            ):
                return None
            taken = connection.execute(
                update(trials)
                .where(trials.c.trial_id == row.trial_id, trials.c.state == TrialState.WAITING)
                .values(state=TrialState.RUNNING, datetime_start=_utc_now())
            )
            mine = taken.rowcount == 1
            connection.execute(
                update(queue)
                .where(queue.c.trial_id == row.trial_id)
                # A trial that something else than moo-bnas took out of WAITING is not ours to run.
                .values(status="running" if mine else "fail", token=token, worker=worker)
            )
            if not mine:
                connection.execute(delete(evaluations).where(evaluations.c.token == token))
                reason = {"fail_reason": "another program took it out of the queue"}
                self._db.add_attributes(connection, row.trial_id, reason)
                return None
            connection.execute(
                insert(self._db.trial_heartbeats).values(trial_id=row.trial_id, heartbeat=utc_now())
            )
            number = connection.scalar(
                select(trials.c.number).where(trials.c.trial_id == row.trial_id)
            )
            known = None
            if row.result is not None:
                known = {**json.loads(row.result), **self._source(connection, row.source)}
        return Claim(
            row.trial_id,
            int(number or 0),
            by_id[row.study_id],
            parse_genotype_key(row.genotype),
            row.precision,
            token,
            known,
        )

    def beat(self, worker: str, claim: Claim | None) -> None:
        """Says that a worker lives, and works on its claim if it has one."""
        beats = self._db.trial_heartbeats
        with self._db.write() as connection:
            if claim is not None:
                connection.execute(
                    update(beats)
                    .where(
                        beats.c.trial_id == claim.trial_id,
                        exists().where(
                            queue.c.trial_id == claim.trial_id, queue.c.token == claim.token
                        ),
                    )
                    .values(heartbeat=utc_now())
                )
            connection.execute(
                update(worker_rows)
                .where(worker_rows.c.worker == worker)
                .values(last_seen=utc_now())
            )

    @waiting_out
    def release(self, claim: Claim) -> bool:
        """Gives the claim back; False where it was not held any more."""
        with self._db.write() as connection:
            return self._give_back(connection, claim.trial_id, claim.token, None)

    @waiting_out
    def finish(
        self,
        claim: Claim,
        attributes: Mapping[str, Any],
        scores: Mapping[str, float],
    ) -> bool:
        """Completes the trial.

        Args:
            claim: Held.
            attributes: User attributes that the trial does not have yet.
            scores: At least the study's metrics, by name; these become its values.

        Returns:
            False where the claim was taken away: then nothing is written.
        """
        values = {m: float(scores[m]) for m in claim.study.metrics}
        with self._db.write() as connection:
            return self._end(
                connection, claim.trial_id, claim.token, "complete", attributes, values
            )

    @waiting_out
    def fail(self, claim: Claim, reason: str) -> bool:
        """Fails the trial for good; False where the claim was taken away."""
        with self._db.write() as connection:
            return self._end(
                connection, claim.trial_id, claim.token, "fail", {"fail_reason": reason}, {}
            )

    @waiting_out
    def return_lost(self, is_dead: Callable[[WorkerRow], bool]) -> int:
        """Gives claims of dead workers, and of those that fell silent, to others.

        Of all studies of the storage: a lost claim holds up every study that wants its evaluation.
        To be called again and again: a claim whose last heartbeat is older than its worker's grace
        is lost once this process has watched that silence for half the grace. After an outage, or
        the sleep of a machine, all are silent at first, and most go on.

        Args:
            is_dead: Whether a worker's process is known to be gone.

        Returns:
            How many claims were lost.
        """
        beats = self._db.trial_heartbeats
        running = (
            select(
                queue.c.trial_id,
                queue.c.token,
                queue.c.losses,
                queue.c.worker,
                beats.c.heartbeat,
                utc_now().label("now"),
            )
            .outerjoin(beats, beats.c.trial_id == queue.c.trial_id)
            .where(queue.c.status == "running", self._db.owned)
        )
        with self._db.read() as connection:
            rows = connection.execute(running).all()
        holders = {w.worker: w for w in self._workers.named({row.worker for row in rows})}
        dead = {name for name, holder in holders.items() if is_dead(holder)}
        look = min(time.monotonic() - self._last_look, _LONGEST_LOOK)
        self._last_look = time.monotonic()
        silent, lost = {}, 0
        for row in rows:
            if row.worker not in dead:
                holder = holders.get(row.worker)
                grace = holder.grace if holder else grace_of(HEARTBEAT)
                if row.heartbeat is not None and age(row.now, row.heartbeat) <= grace:
                    continue
                silence = (row.token, row.heartbeat)
                silent[silence] = self._silent.get(silence, -look) + look
                if silent[silence] < grace / 2:
                    continue
            with self._db.write() as connection:
                if row.losses + 1 >= MAX_LOSSES:
                    reason = f"its worker was lost {MAX_LOSSES} times"
                    done = self._end(
                        connection, row.trial_id, row.token, "fail", {"fail_reason": reason}, {}
                    )
                else:
                    done = self._give_back(connection, row.trial_id, row.token, row.losses + 1)
            lost += done
        self._silent = silent
        return lost

    def _end(
        self,
        connection: Connection,
        trial_id: int,
        token: str,
        status: str,
        attributes: Mapping[str, Any],
        values: Mapping[str, float],
    ) -> bool:
        # The row of the queue is locked before that of the trial, here as everywhere: transactions
        # that took them in different orders would wait for each other.
        held = connection.execute(
            select(queue.c.status, queue.c.worker)
            .where(queue.c.trial_id == trial_id, queue.c.token == token)
            .with_for_update()
        ).first()
        if held is None or held.status != "running":
            return held is not None and held.status == status
        trials = self._db.trials
        state = TrialState.COMPLETE if status == "complete" else TrialState.FAIL
        ended = connection.execute(
            update(trials)
            .where(trials.c.trial_id == trial_id, trials.c.state == TrialState.RUNNING)
            .values(state=state, datetime_complete=_utc_now())
        )
        if ended.rowcount != 1:
            return False
        if values:
            connection.execute(
                insert(self._db.trial_values),
                [
                    {"trial_id": trial_id, "objective": i, "value": v, "value_type": "FINITE"}
                    for i, v in enumerate(values.values())
                ],
            )
        self._db.add_attributes(connection, trial_id, attributes)
        connection.execute(update(queue).where(queue.c.trial_id == trial_id).values(status=status))
        if status == "complete":
            connection.execute(
                update(evaluations)
                .where(evaluations.c.token == token)
                .values(result=json.dumps(dict(attributes)))
            )
            connection.execute(
                update(worker_rows)
                .where(worker_rows.c.worker == held.worker)
                .values(evaluations=worker_rows.c.evaluations + 1, last_seen=utc_now())
            )
        else:
            connection.execute(delete(evaluations).where(evaluations.c.token == token))
        return True

    def _give_back(
        self, connection: Connection, trial_id: int, token: str, losses: int | None
    ) -> bool:
        trials, beats = self._db.trials, self._db.trial_heartbeats
        freed = connection.execute(
            update(queue)
            .where(
                queue.c.trial_id == trial_id,
                queue.c.token == token,
                queue.c.status == "running",
            )
            .values(
                status="waiting",
                token=None,
                worker=None,
                losses=queue.c.losses if losses is None else losses,
            )
        )
        if freed.rowcount != 1:
            return False
        connection.execute(
            update(trials)
            .where(trials.c.trial_id == trial_id, trials.c.state == TrialState.RUNNING)
            .values(state=TrialState.WAITING, datetime_start=None)
        )
        connection.execute(delete(beats).where(beats.c.trial_id == trial_id))
        connection.execute(delete(evaluations).where(evaluations.c.token == token))
        return True

    def _begin_evaluation(
        self, connection: Connection, fingerprint: str, genotype: str, token: str, trial_id: int
    ) -> bool:
        """False where another study's worker has begun the same one at this moment."""
        try:
            with connection.begin_nested():
                connection.execute(
                    insert(evaluations).values(
                        fingerprint=fingerprint, genotype=genotype, token=token, trial_id=trial_id
                    )
                )
        except IntegrityError:
            return False
        return True

    def _source(self, connection: Connection, token: str) -> dict[str, str]:
        """Where an evaluation was made, if that trial is still there."""
        trials, studies = self._db.trials, self._db.studies
        row = connection.execute(
            select(studies.c.study_name, trials.c.number)
            .join(studies, studies.c.study_id == trials.c.study_id)
            .join(queue, queue.c.trial_id == trials.c.trial_id)
            .where(queue.c.token == token, self._db.owned)
        ).first()
        return {} if row is None else {"copied_from": f"{row.study_name} trial {row.number}"}


def _utc_now() -> datetime:
    # Optuna 5 keeps naive UTC in these columns.
    return datetime.now(UTC).replace(tzinfo=None)
