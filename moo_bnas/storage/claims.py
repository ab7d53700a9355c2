"""What workers do with trials: take, finish, give back, retry; and what becomes of lost claims."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    case,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from moo_bnas.evolution.space import parse_genotype_key
from moo_bnas.storage.database import Database, age, waiting_out
from moo_bnas.storage.engine import utc_now
from moo_bnas.storage.records import (
    HEARTBEAT,
    MAX_DEVICE_ERRORS,
    MAX_LOSSES,
    Claim,
    Study,
    WorkerRow,
    grace_of,
)
from moo_bnas.storage.tables import evaluations, queue, worker_rows
from moo_bnas.storage.workers import Workers

_LONGEST_LOOK = 5.0  # seconds that one look at a silent claim counts for, at most


class _BegunElsewhereError(Exception):
    """Another study's worker has begun the same evaluation at this moment."""


class Claims:
    """The claims of a storage."""

    def __init__(self, database: Database, workers: Workers) -> None:
        self._db = database
        self._workers = workers
        self._silent: dict[tuple[str, datetime], float] = {}
        self._last_look = float("-inf")
        # To build a statement takes longer than to run it: these are built once.
        trials = database.trials
        this = queue.c.trial_id == bindparam("this")
        held = and_(this, queue.c.token == bindparam("held"), queue.c.status == "running")
        self._next = _next_waiting(database)
        self._begin = insert(evaluations)
        self._run = (
            update(queue)
            .where(this)
            .values(
                status=bindparam("now"),
                token=bindparam("fresh"),
                worker=bindparam("by"),
                heartbeat=utc_now(),
            )
        )
        self._end_claim = update(queue).where(held).values(status=bindparam("now"))
        self._move_trial = update(trials).where(
            trials.c.trial_id == bindparam("this"), trials.c.state == bindparam("before")
        )
        self._start_trial = self._move_trial.values(
            state=TrialState.RUNNING, datetime_start=bindparam("at")
        )
        self._end_trial = self._move_trial.values(
            state=bindparam("after"), datetime_complete=bindparam("at")
        )
        self._keep_result = (
            update(evaluations)
            .where(evaluations.c.token == bindparam("held"))
            .values(result=bindparam("found"))
        )
        self._count = (
            update(worker_rows)
            .where(worker_rows.c.worker == bindparam("by"))
            .values(evaluations=worker_rows.c.evaluations + 1, last_seen=utc_now())
        )

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
        try:
            with self._db.write() as connection:
                for study in studies:
                    wanted = {"study": study.id, **fingerprints}
                    row = connection.execute(self._next, wanted).first()
                    if row is not None:
                        return self._take(connection, row, study, worker, fingerprints)
        except _BegunElsewhereError:
            pass
        return None

    def _take(
        self,
        connection: Connection,
        row: Row[Any],
        study: Study,
        worker: str,
        fingerprints: Mapping[str, str],
    ) -> Claim | None:
        token, this = uuid.uuid4().hex, {"this": row.trial_id}
        taken = connection.execute(
            self._start_trial, {**this, "before": TrialState.WAITING, "at": _utc_now()}
        )
        connection.execute(self._run, {**this, "now": "running", "fresh": token, "by": worker})
        if taken.rowcount != 1:
            reason = "another program took it out of the queue"
            self._disown(connection, row.trial_id, token, reason)
            return None
        known = None
        if row.result is not None:
            known = {**json.loads(row.result), **self._source(connection, row.source)}
        else:
            begun = {
                "fingerprint": fingerprints[row.precision],
                "genotype": row.genotype,
                "token": token,
                "trial_id": row.trial_id,
            }
            try:
                connection.execute(self._begin, begun)
            except IntegrityError as error:
                raise _BegunElsewhereError from error  # and all of this is rolled back
        genotype = parse_genotype_key(row.genotype)
        return Claim(
            row.trial_id,
            row.number,
            study,
            genotype,
            row.precision,
            row.cost,
            token,
            row.alone,
            row.device_errors,
            known,
        )

    def beat(self, worker: str, claim: Claim | None) -> None:
        """Says that a worker lives, and works on its claim if it has one."""
        with self._db.write() as connection:
            if claim is not None:
                connection.execute(
                    update(queue)
                    .where(
                        queue.c.trial_id == claim.trial_id,
                        queue.c.token == claim.token,
                        queue.c.status == "running",
                    )
                    .values(heartbeat=utc_now())
                )
            connection.execute(
                update(worker_rows)
                .where(worker_rows.c.worker == worker)
                .values(last_seen=utc_now())
            )

    @waiting_out
    def forgive(self, claim: Claim) -> None:
        """Forgets how often the trial was lost before: it gets on."""
        with self._db.write() as connection:
            connection.execute(
                update(queue)
                .where(
                    queue.c.trial_id == claim.trial_id,
                    queue.c.token == claim.token,
                    queue.c.status == "running",
                )
                .values(losses=0)
            )

    @waiting_out
    def release(self, claim: Claim) -> bool:
        """Gives the claim back; False where it was not held any more."""
        with self._db.write() as connection:
            return self._give_back(connection, claim.trial_id, claim.token)

    @waiting_out
    def retry(self, claim: Claim, reason: str, *, memory: bool) -> bool:
        """Gives the claim back after a fault of its device, or fails the trial for good.

        Args:
            claim: Held.
            reason: What the device said.
            memory: Whether it ran out of memory: then the next try is alone on the device, and
                the last. Of other faults the third is the last.

        Returns:
            Whether this was the last try, and the trial has failed.
        """
        # What a claim says of earlier tries stays true for as long as it is held.
        device_errors = claim.device_errors + (not memory)
        with self._db.write() as connection:
            if memory and claim.alone:
                last = f"out of memory, also alone on the device: {reason}"
            elif device_errors >= MAX_DEVICE_ERRORS:
                last = f"the device failed {device_errors} times, at last: {reason}"
            else:
                self._give_back(
                    connection,
                    claim.trial_id,
                    claim.token,
                    alone=claim.alone or memory,
                    device_errors=device_errors,
                )
                return False
            return self._fail(connection, claim.trial_id, claim.token, last) or self._ended_before(
                connection, claim, "fail"
            )

    @waiting_out
    def finish(
        self,
        claim: Claim,
        worker: str,
        attributes: Mapping[str, Any],
        scores: Mapping[str, float],
    ) -> bool:
        """Completes the trial.

        Args:
            claim: Held.
            worker: That holds it.
            attributes: User attributes that the trial does not have yet.
            scores: At least the study's metrics, by name; these become its values.

        Returns:
            False where the claim was taken away: then nothing is written.
        """
        values = [float(scores[m]) for m in claim.study.metrics]
        with self._db.write() as connection:
            if not self._end(connection, claim.trial_id, claim.token, "complete", attributes):
                return self._ended_before(connection, claim, "complete")
            connection.execute(
                insert(self._db.trial_values),
                [
                    {
                        "trial_id": claim.trial_id,
                        "objective": i,
                        "value": v,
                        "value_type": "FINITE",
                    }
                    for i, v in enumerate(values)
                ],
            )
            found = json.dumps(dict(attributes))
            connection.execute(self._keep_result, {"held": claim.token, "found": found})
            connection.execute(self._count, {"by": worker})
        return True

    @waiting_out
    def fail(self, claim: Claim, reason: str) -> bool:
        """Fails the trial for good; False where the claim was taken away."""
        with self._db.write() as connection:
            return self._fail(
                connection, claim.trial_id, claim.token, reason
            ) or self._ended_before(connection, claim, "fail")

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
        running = select(
            queue.c.trial_id,
            queue.c.token,
            queue.c.losses,
            queue.c.worker,
            queue.c.heartbeat,
            utc_now().label("now"),
        ).where(queue.c.status == "running", self._db.owned)
        with self._db.read() as connection:
            rows = connection.execute(running).all()
        holders = {w.worker: w for w in self._workers.named({row.worker for row in rows})}
        dead = {name for name, holder in holders.items() if is_dead(holder)}
        look = min(time.monotonic() - self._last_look, _LONGEST_LOOK)
        self._last_look = time.monotonic()
        silent, lost = {}, 0
        for row in rows:
            silence = (row.token, row.heartbeat)
            silent[silence] = self._silent.get(silence, -look) + look
            if row.worker not in dead:
                holder = holders.get(row.worker)
                grace = holder.grace if holder else grace_of(HEARTBEAT)
                if age(row.now, row.heartbeat) <= grace or silent[silence] < grace / 2:
                    continue
            with self._db.write() as connection:
                if row.losses + 1 >= MAX_LOSSES:
                    reason = f"its worker was lost {MAX_LOSSES} times"
                    lost += self._fail(connection, row.trial_id, row.token, reason)
                else:
                    losses = row.losses + 1
                    lost += self._give_back(connection, row.trial_id, row.token, losses=losses)
        self._silent = silent
        return lost

    def _end(
        self,
        connection: Connection,
        trial_id: int,
        token: str,
        status: str,
        attributes: Mapping[str, Any],
    ) -> bool:
        """Ends a claim and its trial; False where the claim is not held any more."""
        # The row of the queue is locked before that of the trial, here as everywhere: transactions
        # that took them in different orders would wait for each other.
        this = {"this": trial_id}
        ended = connection.execute(self._end_claim, {**this, "held": token, "now": status})
        if ended.rowcount != 1:
            return False
        state = TrialState.COMPLETE if status == "complete" else TrialState.FAIL
        move = {**this, "before": TrialState.RUNNING, "after": state, "at": _utc_now()}
        if connection.execute(self._end_trial, move).rowcount != 1:
            self._disown(connection, trial_id, token, "another program ended it")
            return False
        self._db.add_attributes(connection, trial_id, attributes)
        return True

    def _fail(self, connection: Connection, trial_id: int, token: str, reason: str) -> bool:
        failed = self._end(connection, trial_id, token, "fail", {"fail_reason": reason})
        if failed:
            connection.execute(delete(evaluations).where(evaluations.c.token == token))
        return failed

    def _disown(self, connection: Connection, trial_id: int, token: str, reason: str) -> None:
        """Gives up a trial that something else than moo-bnas has taken, or deleted."""
        connection.execute(update(queue).where(queue.c.trial_id == trial_id).values(status="fail"))
        connection.execute(delete(evaluations).where(evaluations.c.token == token))
        trials = self._db.trials
        if connection.scalar(select(trials.c.trial_id).where(trials.c.trial_id == trial_id)):
            self._db.add_attributes(connection, trial_id, {"fail_reason": reason})

    def _ended_before(self, connection: Connection, claim: Claim, status: str) -> bool:
        """Whether this very claim has ended so: then only the acknowledgement was lost."""
        found = connection.execute(
            select(queue.c.status, queue.c.token).where(queue.c.trial_id == claim.trial_id)
        ).first()
        return found is not None and (found.status, found.token) == (status, claim.token)

    def _give_back(self, connection: Connection, trial_id: int, token: str, **counted: int) -> bool:
        trials = self._db.trials
        freed = connection.execute(
            update(queue)
            .where(
                queue.c.trial_id == trial_id,
                queue.c.token == token,
                queue.c.status == "running",
            )
            .values(status="waiting", token=None, worker=None, **counted)
        )
        if freed.rowcount != 1:
            return False
        connection.execute(
            update(trials)
            .where(trials.c.trial_id == trial_id, trials.c.state == TrialState.RUNNING)
            .values(state=TrialState.WAITING, datetime_start=None)
        )
        connection.execute(delete(evaluations).where(evaluations.c.token == token))
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


def _next_waiting(database: Database) -> Select[Any]:
    """The dearest trial of a study that waits and could be begun now, locked.

    Parameters: study, and the fingerprint of each precision. In the order of an index, so that it
    takes as long with thousands waiting as with one.
    """
    trials = database.trials
    prints: dict[str, Any] = {p: bindparam(p) for p in ("binary", "full")}
    return (
        select(
            queue.c.trial_id,
            queue.c.genotype,
            queue.c.precision,
            queue.c.cost,
            queue.c.alone,
            queue.c.device_errors,
            trials.c.number,
            evaluations.c.result,
            evaluations.c.token.label("source"),
        )
        .join(trials, trials.c.trial_id == queue.c.trial_id)
        .outerjoin(
            evaluations,
            and_(
                evaluations.c.genotype == queue.c.genotype,
                evaluations.c.fingerprint == case(prints, value=queue.c.precision),
            ),
        )
        .where(
            queue.c.study_id == bindparam("study"),
            queue.c.status == "waiting",
            database.owned,
            or_(evaluations.c.token.is_(None), evaluations.c.result.is_not(None)),
        )
        .order_by(queue.c.cost.desc(), queue.c.trial_id)
        .limit(1)
        .with_for_update(of=queue, skip_locked=True)
    )


def _utc_now() -> datetime:
    # Optuna 5 keeps naive UTC in these columns.
    return datetime.now(UTC).replace(tzinfo=None)
