"""The workers that joined a study."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, delete, insert, select, update

from moo_bnas.storage.database import Database, age
from moo_bnas.storage.engine import utc_now
from moo_bnas.storage.outages import waiting_out
from moo_bnas.storage.records import Study, WorkerRow
from moo_bnas.storage.stored import check_worker
from moo_bnas.storage.tables import worker_rows


class Workers:
    """The workers of a storage."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @waiting_out
    def join(
        self, study: Study, worker: str, host: str, pid: int, device: str, grace: float
    ) -> None:
        """Records a worker; see `WorkerRow`."""
        with self._db.write() as connection:
            connection.execute(delete(worker_rows).where(worker_rows.c.worker == worker))
            connection.execute(
                insert(worker_rows).values(
                    worker=worker,
                    study_id=study.id,
                    host=host,
                    pid=pid,
                    device=device,
                    grace=grace,
                    last_seen=utc_now(),
                    evaluations=0,
                )
            )

    def leave(self, worker: str) -> None:
        """Records that a worker leaves: from now on its silence means nothing."""
        with self._db.write() as connection:
            connection.execute(
                update(worker_rows).where(worker_rows.c.worker == worker).values(grace=0)
            )

    @waiting_out
    def read(self, study: Study) -> list[WorkerRow]:
        """The workers that have ever joined a study."""
        return self._select(worker_rows.c.study_id == study.id)

    @waiting_out
    def named(self, names: Collection[str]) -> list[WorkerRow]:
        """The workers of these names, whichever study they serve."""
        return self._select(worker_rows.c.worker.in_(names)) if names else []

    def _select(self, condition: ColumnElement[bool]) -> list[WorkerRow]:
        with self._db.read() as connection:
            rows = connection.execute(
                select(worker_rows, utc_now().label("now"))
                .where(condition)
                .order_by(worker_rows.c.worker)
            ).all()
        for row in rows:
            check_worker(f"worker {row.worker!r:.60}", dict(row._mapping))
        return [
            WorkerRow(
                r.worker, r.host, r.pid, r.device, r.evaluations, r.grace, age(r.now, r.last_seen)
            )
            for r in rows
        ]
