"""The lease that makes one driver at a time drive a study."""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update

from moo_bnas.storage.database import Database, age
from moo_bnas.storage.engine import utc_now
from moo_bnas.storage.outages import waiting_out
from moo_bnas.storage.records import LeaseRow, Study
from moo_bnas.storage.stored import check_lease
from moo_bnas.storage.tables import driver_rows


class Leases:
    """The drivers' leases of a storage; each is held by a token."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @waiting_out
    def read(self, study: Study) -> LeaseRow | None:
        """The lease of a study's driver; None if nobody drives it."""
        with self._db.read() as connection:
            row = connection.execute(
                select(driver_rows, utc_now().label("now")).where(
                    driver_rows.c.study_id == study.id
                )
            ).first()
        if row is None:
            return None
        check_lease(f"the driver of study {study.name!r}", dict(row._mapping))
        return LeaseRow(
            token=row.token,
            host=row.host,
            pid=row.pid,
            grace=row.grace,
            last_seen=row.last_seen,
            held_seconds=age(row.now, row.since),
            idle_seconds=age(row.now, row.last_seen),
        )

    @waiting_out
    def take(
        self, study: Study, token: str, host: str, pid: int, grace: float, instead_of: str | None
    ) -> bool:
        """Takes the lease.

        Args:
            study: Study to drive.
            token: Token of the new holder.
            host: Host of its process.
            pid: Process id of its process.
            grace: Seconds of silence after which the lease runs out.
            instead_of: Token of the holder that was found to have exited; None if nobody held it.

        Returns:
            False if somebody else has taken it meanwhile.
        """
        with self._db.write() as connection:
            self._db.lock_study(connection, study.id, study.name)
            held = connection.scalar(
                select(driver_rows.c.token).where(driver_rows.c.study_id == study.id)
            )
            if held not in (instead_of, token):
                return False
            connection.execute(delete(driver_rows).where(driver_rows.c.study_id == study.id))
            connection.execute(
                insert(driver_rows).values(
                    study_id=study.id,
                    token=token,
                    host=host,
                    pid=pid,
                    grace=grace,
                    since=utc_now(),
                    last_seen=utc_now(),
                )
            )
        return True

    @waiting_out
    def renew(self, study: Study, token: str) -> bool:
        """Renews the lease; False if this token does not hold it any more."""
        with self._db.write() as connection:
            renewed = connection.execute(
                update(driver_rows)
                .where(driver_rows.c.study_id == study.id, driver_rows.c.token == token)
                .values(last_seen=utc_now())
            )
            return renewed.rowcount == 1

    def release(self, study: Study, token: str) -> None:
        """Ends the lease if this token holds it."""
        with self._db.write() as connection:
            connection.execute(
                delete(driver_rows).where(
                    driver_rows.c.study_id == study.id, driver_rows.c.token == token
                )
            )
