"""Moves of a trial from one state to the next, in Optuna's row and in the queue's at once.

Each move is a part of a transaction, conditional on the state that it starts from, and says whether
it was made. The row of the queue is locked before the row of the trial everywhere: transactions
that took them in different orders would wait for each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from optuna.trial import TrialState
from sqlalchemy import Connection, Row, Select, and_, bindparam, case, delete, or_, select, update

from moo_bnas.evaluation import PRECISIONS
from moo_bnas.storage.database import Database
from moo_bnas.storage.engine import utc_now
from moo_bnas.storage.records import CLAIMS_UNTIL, Study
from moo_bnas.storage.stored import damaged, parsed
from moo_bnas.storage.tables import evaluations, queue

_ENDS = {"complete": TrialState.COMPLETE, "fail": TrialState.FAIL}


class Transitions:
    """The moves between states that trials of one storage make."""

    def __init__(self, database: Database) -> None:
        self._db = database
        # Building a statement takes longer than running it: the frequent ones are built once.
        trials = database.trials
        this = queue.c.trial_id == bindparam("this")
        held = and_(this, queue.c.token == bindparam("held"), queue.c.status == "running")
        self._next = _next_waiting(database)
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
        move = update(trials).where(
            trials.c.trial_id == bindparam("this"), trials.c.state == bindparam("before")
        )
        self._start_trial = move.values(state=TrialState.RUNNING, datetime_start=bindparam("at"))
        self._end_trial = move.values(state=bindparam("after"), datetime_complete=bindparam("at"))

    def next(
        self, connection: Connection, study: Study, fingerprints: Mapping[str, str]
    ) -> Row[Any] | None:
        """The waiting trial of a study that is to be claimed first, locked; see `_next_waiting`.

        None once the time for claims is over; see `Studies.close_claims`.
        """
        row = connection.execute(self._next, {"study": study.id, **fingerprints}).first()
        if row is None:
            return None
        where = f"study {study.name!r:.100}"
        until = parsed(row.claims_until or "null", where, CLAIMS_UNTIL)
        if until is not None:
            try:
                return row if row.now < datetime.fromisoformat(until) else None
            except (TypeError, ValueError) as error:
                raise damaged(where, CLAIMS_UNTIL, f"{until!r:.60}") from error
        return row

    def start(self, connection: Connection, trial_id: int, token: str, worker: str) -> bool:
        """WAITING to RUNNING, for a trial that `next` has locked.

        Returns:
            False if another program took the trial; it has failed then.
        """
        this = {"this": trial_id}
        taken = connection.execute(
            self._start_trial, {**this, "before": TrialState.WAITING, "at": _utc_now()}
        )
        connection.execute(self._run, {**this, "now": "running", "fresh": token, "by": worker})
        if taken.rowcount != 1:
            self._disown(connection, trial_id, token, "another program took it out of the queue")
            return False
        return True

    def end(
        self,
        connection: Connection,
        trial_id: int,
        token: str,
        status: Literal["complete", "fail"],
        attributes: Mapping[str, object],
    ) -> bool:
        """RUNNING to an end, with attributes; False if the claim is not held any more."""
        this = {"this": trial_id}
        ended = connection.execute(self._end_claim, {**this, "held": token, "now": status})
        if ended.rowcount != 1:
            return False
        move = {**this, "before": TrialState.RUNNING, "after": _ENDS[status], "at": _utc_now()}
        if connection.execute(self._end_trial, move).rowcount != 1:
            self._disown(connection, trial_id, token, "another program ended it")
            return False
        self._db.add_attributes(connection, trial_id, attributes)
        return True

    def fail(self, connection: Connection, trial_id: int, token: str, reason: str) -> bool:
        """RUNNING to FAIL; False if the claim is not held any more."""
        failed = self.end(connection, trial_id, token, "fail", {"fail_reason": reason})
        if failed:
            _forget_begun(connection, token)
        return failed

    def give_back(self, connection: Connection, trial_id: int, token: str, **counted: int) -> bool:
        """RUNNING to WAITING in place; False if the claim is not held any more.

        Args:
            connection: Connection in a transaction.
            trial_id: Optuna's id of the trial.
            token: Token of the claim.
            counted: New values of columns of the queue that count tries.
        """
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
        _forget_begun(connection, token)
        return True

    def ended_before(self, connection: Connection, trial_id: int, token: str, status: str) -> bool:
        """Whether this very claim has ended so before: then only the acknowledgement was lost."""
        found = connection.execute(
            select(queue.c.status, queue.c.token).where(queue.c.trial_id == trial_id)
        ).first()
        return found is not None and (found.status, found.token) == (status, token)

    def _disown(self, connection: Connection, trial_id: int, token: str, reason: str) -> None:
        """Gives up a trial that another program has taken, ended or deleted."""
        connection.execute(update(queue).where(queue.c.trial_id == trial_id).values(status="fail"))
        _forget_begun(connection, token)
        trials = self._db.trials
        if connection.scalar(select(trials.c.trial_id).where(trials.c.trial_id == trial_id)):
            self._db.add_attributes(connection, trial_id, {"fail_reason": reason})


def _next_waiting(database: Database) -> Select[Any]:
    """The most expensive trial of a study that waits and could be begun now, locked.

    Parameters: study, and the fingerprint of each precision. In the order of an index, so that it
    takes as long with thousands waiting as with one.
    """
    trials, attributes = database.trials, database.study_attributes
    closing = select(attributes.c.value_json).where(
        attributes.c.study_id == bindparam("study"), attributes.c.key == CLAIMS_UNTIL
    )
    prints: dict[Any, Any] = {p: bindparam(p) for p in PRECISIONS}
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
            closing.scalar_subquery().label("claims_until"),
            utc_now().label("now"),
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
            # Begun and not finished, it is in training elsewhere: passed over until that ends.
            or_(evaluations.c.token.is_(None), evaluations.c.result.is_not(None)),
        )
        .order_by(queue.c.cost.desc(), queue.c.trial_id)
        .limit(1)
        .with_for_update(of=queue, skip_locked=True)
    )


def _forget_begun(connection: Connection, token: str) -> None:
    """Frees the evaluation that a claim had begun for other studies."""
    connection.execute(delete(evaluations).where(evaluations.c.token == token))


def _utc_now() -> datetime:
    # Optuna 5 keeps naive UTC in these columns.
    return datetime.now(UTC).replace(tzinfo=None)
