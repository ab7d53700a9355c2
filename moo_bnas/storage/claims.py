"""What workers do with trials: take, finish, give back, retry; and what happens to lost claims.

Each operation is one transaction (`return_lost`: one per claim) and may be repeated.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from moo_bnas.evaluation import Evaluation, Source
from moo_bnas.storage import stored
from moo_bnas.storage.database import Database, age
from moo_bnas.storage.engine import utc_now
from moo_bnas.storage.outages import waiting_out
from moo_bnas.storage.records import (
    HEARTBEAT,
    MAX_DEVICE_ERRORS,
    MAX_LOSSES,
    Claim,
    Study,
    WorkerRow,
    grace_of,
    parse_run_key,
)
from moo_bnas.storage.silence import Running, Silence
from moo_bnas.storage.stored import as_object, parsed
from moo_bnas.storage.tables import evaluations, queue, worker_rows
from moo_bnas.storage.transitions import Transitions
from moo_bnas.storage.workers import Workers


class _BegunElsewhereError(Exception):
    """Another study's worker has begun the same evaluation at this moment."""


class Claims:
    """The claims of a storage."""

    def __init__(self, database: Database, workers: Workers) -> None:
        self._db = database
        self._workers = workers
        self._move = Transitions(database)
        self._silence = Silence()
        # Building a statement takes longer than running it: the frequent ones are built once.
        self._begin = insert(evaluations)
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
        """Takes one waiting trial: of the first study that has any, the most expensive one.

        Args:
            studies: Studies to take from, in order of preference.
            worker: Name of the worker.
            fingerprints: Fingerprints of what this worker would evaluate, by precision.

        Returns:
            None if nothing waits that could be begun now.
        """
        try:
            with self._db.write() as connection:
                for study in studies:
                    row = self._move.next(connection, study, fingerprints)
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
        stored.check_queue(f"study {study.name!r} trial {row.number}", dict(row._mapping))
        token = uuid.uuid4().hex
        if not self._move.start(connection, row.trial_id, token, worker):
            return None
        known = None
        if row.result is not None:
            where = f"an evaluation of {row.genotype}"
            found = stored.of_trial(where, as_object(parsed(row.result, where, "result"), where))
            known = Evaluation.from_attributes(found)
        if known is not None:
            known = replace(known, copied_from=self._source(connection, row.source))
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
        genotype, repeat = parse_run_key(row.genotype)
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
            repeat,
        )

    def beat(self, worker: str, claim: Claim | None) -> None:
        """Records a heartbeat of a worker, and of its claim if it has one."""
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
        """Forgets how often the trial was lost before, since it makes progress."""
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
        """Gives the claim back; False if it was not held any more."""
        with self._db.write() as connection:
            return self._move.give_back(connection, claim.trial_id, claim.token)

    @waiting_out
    def retry(self, claim: Claim, reason: str, *, memory: bool) -> bool:
        """Gives the claim back after a fault of its device, or fails the trial for good.

        Args:
            claim: The claim, as it was taken.
            reason: The device's error message.
            memory: Whether the device ran out of memory: then the next try is alone on the device,
                and the last one. Other faults are tried `MAX_DEVICE_ERRORS` times.

        Returns:
            Whether this was the last try, and the trial has failed.
        """
        # The claim's count of earlier tries stays true for as long as the claim is held.
        device_errors = claim.device_errors + (not memory)
        with self._db.write() as connection:
            if memory and claim.alone:
                last = f"out of memory, also alone on the device: {reason}"
            elif device_errors >= MAX_DEVICE_ERRORS:
                last = f"the device failed {device_errors} times, the last time with: {reason}"
            else:
                self._move.give_back(
                    connection,
                    claim.trial_id,
                    claim.token,
                    alone=claim.alone or memory,
                    device_errors=device_errors,
                )
                return False
            return self._fail(connection, claim, last)

    @waiting_out
    def finish(
        self,
        claim: Claim,
        worker: str,
        evaluation: Evaluation,
        scores: Mapping[str, float],
    ) -> bool:
        """Completes the trial.

        Args:
            claim: The claim, as it was taken.
            worker: Name of the worker that holds it.
            evaluation: What came of the trial.
            scores: Fitness and the study's metrics by name; the metrics become the trial's values.

        Returns:
            False if the claim was taken away: then nothing is written.
        """
        known = stored.Stored(f"study {claim.study.name!r}", scores)
        values = [float(known[m]) for m in claim.study.metrics]
        found = evaluation.to_attributes()
        attributes = {**found, "fitness": scores["fitness"]}
        this, token = claim.trial_id, claim.token
        with self._db.write() as connection:
            if not self._move.end(connection, this, token, "complete", attributes):
                return self._move.ended_before(connection, this, token, "complete")
            connection.execute(
                insert(self._db.trial_values),
                [
                    {
                        "trial_id": this,
                        "objective": i,
                        "value": v,
                        "value_type": "FINITE",
                    }
                    for i, v in enumerate(values)
                ],
            )
            if len(values) == 1:  # of several, Optuna has no plots of intermediate values
                self._add_steps(connection, this, evaluation.accuracy_per_epoch)
            connection.execute(self._keep_result, {"held": token, "found": json.dumps(found)})
            connection.execute(self._count, {"by": worker})
        return True

    @waiting_out
    def fail(self, claim: Claim, reason: str) -> bool:
        """Fails the trial for good; False if the claim was taken away."""
        with self._db.write() as connection:
            return self._fail(connection, claim, reason)

    @waiting_out
    def return_lost(self, is_dead: Callable[[WorkerRow], bool]) -> int:
        """Gives the claims of dead workers, and of workers that fell silent, to others.

        This concerns all studies of the storage: a lost claim holds up every study that wants its
        evaluation. To be called again and again; `silence` says which silent claims are lost.

        Args:
            is_dead: Whether a worker's process is known to have exited.

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
        for row in rows:
            stored.check_claim(f"the trial with the id {row.trial_id}", dict(row._mapping))
        holders = {w.worker: w for w in self._workers.named({row.worker for row in rows})}
        dead = {name for name, holder in holders.items() if is_dead(holder)}
        graces = {name: holder.grace for name, holder in holders.items()}
        silent = self._silence.lost(
            Running(
                row.token,
                row.heartbeat,
                age(row.now, row.heartbeat),
                graces.get(row.worker, grace_of(HEARTBEAT)),
            )
            for row in rows
        )
        lost = 0
        for row in rows:
            if row.worker not in dead and row.token not in silent:
                continue
            with self._db.write() as connection:
                if row.losses + 1 >= MAX_LOSSES:
                    reason = f"its worker was lost {MAX_LOSSES} times"
                    lost += self._move.fail(connection, row.trial_id, row.token, reason)
                else:
                    losses = row.losses + 1
                    lost += self._move.give_back(connection, row.trial_id, row.token, losses=losses)
        return lost

    def _add_steps(
        self, connection: Connection, trial_id: int, accuracies: Sequence[float]
    ) -> None:
        """Adds the accuracy after each epoch, which Optuna plots as intermediate values."""
        if accuracies:
            connection.execute(
                insert(self._db.trial_steps),
                [
                    {
                        "trial_id": trial_id,
                        "step": epoch,
                        "intermediate_value": accuracy,
                        "intermediate_value_type": "FINITE",
                    }
                    for epoch, accuracy in enumerate(accuracies, start=1)
                ],
            )

    def _fail(self, connection: Connection, claim: Claim, reason: str) -> bool:
        """Fails the trial, unless this very claim has failed it before."""
        this, token = claim.trial_id, claim.token
        return self._move.fail(connection, this, token, reason) or self._move.ended_before(
            connection, this, token, "fail"
        )

    def _source(self, connection: Connection, token: str) -> Source | None:
        """The trial that an evaluation was made for, if that still exists."""
        trials, studies = self._db.trials, self._db.studies
        row = connection.execute(
            select(studies.c.study_name, trials.c.number)
            .join(studies, studies.c.study_id == trials.c.study_id)
            .join(queue, queue.c.trial_id == trials.c.trial_id)
            .where(queue.c.token == token, self._db.owned)
        ).first()
        return None if row is None else Source(row.study_name, row.number)
