"""Studies and their attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import optuna
from sqlalchemy import ColumnElement, Connection, ScalarSelect, delete, insert, select

from moo_bnas.errors import DataError, StorageError, VersionError
from moo_bnas.storage import stored
from moo_bnas.storage.database import Database
from moo_bnas.storage.engine import utc_now
from moo_bnas.storage.names import check_name, is_sibling, run_of
from moo_bnas.storage.outages import waiting_out
from moo_bnas.storage.records import CLAIMS_UNTIL, CODE, WORKER_VERSIONS, RunState, Study
from moo_bnas.storage.stored import parsed
from moo_bnas.storage.tables import driver_rows, queue, worker_rows

_MAXIMIZED = ("accuracy", "fitness")  # the other metrics are costs
_METRIC_NAMES = "study:metric_names"  # where Optuna keeps them


class Studies:
    """The studies of a storage."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @waiting_out
    def ensure(self, name: str, metrics: Sequence[str], attributes: Mapping[str, Any]) -> Study:
        """Opens a study; makes it, and the tables before the first one, if it is missing.

        A study that is half made, because its process was killed meanwhile, is completed.

        Raises:
            StorageError: If a study of this name belongs to another program.
        """
        self._db.make()
        self.refuse_foreign([name])
        with self._db.errors():
            study = optuna.create_study(
                storage=self._db.optuna_storage,
                study_name=name,
                directions=["maximize" if m in _MAXIMIZED else "minimize" for m in metrics],
                load_if_exists=True,
            )
        with self._db.write() as connection:
            self._db.lock_study(connection, study._study_id, name)
            opened = self._read_study(connection, name)
            if opened is not None and set(attributes) <= set(opened.attributes):
                return opened
            for table in (queue, worker_rows, driver_rows):  # left by a study that had this id
                connection.execute(delete(table).where(table.c.study_id == study._study_id))
            self._set_attributes(connection, study._study_id, attributes)
            self._set_metric_names(connection, study._study_id, metrics)
            return self._expect(connection, name)

    @waiting_out
    def refuse_foreign(self, names: Sequence[str]) -> None:
        """Refuses to take over studies of another program.

        Raises:
            StorageError: If one of these names is that of a study with other trials than ours.
        """
        studies, attributes, trials = self._db.studies, self._db.study_attributes, self._db.trials
        ours = select(attributes.c.study_id).where(attributes.c.key == "definition")
        foreign = select(studies.c.study_name).where(
            studies.c.study_name.in_(names),
            studies.c.study_id.not_in(ours),
            studies.c.study_id.in_(select(trials.c.study_id)),
        )
        if not self._db.has_studies:
            return
        with self._db.read() as connection:
            found = connection.scalars(foreign.order_by(studies.c.study_name)).first()
        if found is not None:
            raise StorageError(
                f"study {found!r} in {self._db.shown_url} was not made by moo-bnas; choose another "
                "--study-name"
            )

    @waiting_out
    def open(self, name: str) -> Study:
        """Opens a study.

        Raises:
            StorageError: If there is none of this name; the message lists the studies there are.
        """
        if not self._db.has_studies:
            raise self._none()
        with self._db.read() as connection:
            return self._expect(connection, name)

    def choose(self, name: str | None) -> str:
        """The name of a run as given; without one, the name of the run that was begun last.

        Raises:
            StorageError: If the name is that of a sibling, or if none was given and there is no
                run.
            DefinitionError: If the name is one that no run of moo-bnas has, such as a path.
        """
        if name is not None:
            if is_sibling(name):
                raise StorageError(
                    f"got the study {name!r}, which belongs to the run {run_of(name)!r}; give "
                    f"--study-name {run_of(name)}"
                )
            return check_name(name)
        names = self.names()
        if not names:
            raise self._none()
        return check_name(names[-1])

    @waiting_out
    def find(self, name: str) -> Study | None:
        """Opens a study; None if there is none of this name."""
        if not self._db.has_studies:
            return None
        with self._db.read() as connection:
            return self._read_study(connection, name)

    @waiting_out
    def names(self) -> list[str]:
        """The names of the runs here, without their siblings, in the order of their beginnings."""
        if not self._db.has_studies:
            return []
        with self._db.read() as connection:
            return self._names(connection)

    @waiting_out
    def set_attributes(self, study: Study, attributes: Mapping[str, Any]) -> None:
        """Sets user attributes of a study."""
        with self._db.write() as connection:
            self._db.lock_study(connection, study.id, study.name)
            self._set_attributes(connection, study.id, attributes)

    @waiting_out
    def close_claims(self, studies: Sequence[Study], seconds: float | None) -> None:
        """Lets no claim of studies begin after so many seconds from now; None: at any time."""
        with self._db.write() as connection:
            for study in studies:
                self._db.lock_study(connection, study.id, study.name)
                until = None
                if seconds is not None:
                    now = connection.scalar(select(utc_now()))
                    until = (now + timedelta(seconds=seconds)).isoformat()
                self._set_attributes(connection, study.id, {CLAIMS_UNTIL: until})

    @waiting_out
    def look(
        self, study: Study, *siblings: Study, confirm: str | None = None, final: str | None = None
    ) -> RunState:
        """What there is to do in a run, read in one statement that locks nothing.

        Args:
            study: Study of the run.
            siblings: Siblings that count as the run's own work.
            confirm: Name of the study of repeats, if they count; it may not exist.
            final: Name of the study of final trainings, if they count; it may not exist.

        Returns:
            The state of the run. It is finished once its driver, and the drivers of the studies
            that are named, have ended.
        """
        named = {"confirm": confirm, "final": final}
        found = select(
            self._finished(study.id).label("finished"),
            _waiting(queue.c.study_id.in_([s.id for s in (study, *siblings)])).label("waiting"),
        )
        for what, name in named.items():
            if name is not None:
                by_name = self._db.studies.c.study_name == name
                id_ = select(self._db.studies.c.study_id).where(by_name).scalar_subquery()
                found = found.add_columns(
                    self._finished(id_).label(f"{what}_finished"),
                    _waiting(queue.c.study_id == id_).label(what),
                )
        with self._db.read() as connection:
            row = connection.execute(found).mappings().one()
        if row["finished"] is None:
            return RunState.GONE
        if row["waiting"] is not None:
            return RunState.WAITING
        for what, state in (("confirm", RunState.CONFIRM), ("final", RunState.FINAL)):
            if row.get(what) is not None:
                return state
        ends = ("finished", *(f"{what}_finished" for what in named))
        over = [v for k in ends if (v := row.get(k)) is not None]
        where = f"study {study.name!r}"
        is_over = all(parsed(v, where, "finished") is True for v in over)
        return RunState.FINISHED if is_over else RunState.IDLE

    def _finished(self, study_id: Any) -> ScalarSelect[Any]:
        attributes = self._db.study_attributes
        return (
            select(attributes.c.value_json)
            .where(attributes.c.study_id == study_id, attributes.c.key == "finished")
            .scalar_subquery()
        )

    @waiting_out
    def agree_on_data(self, study: Study, content_hash: str) -> None:
        """Records the content hash of the first worker's data; refuses any other.

        Raises:
            DataError: If the study was begun on data of another content.
        """
        with self._db.write() as connection:
            self._db.lock_study(connection, study.id, study.name)
            opened = self._expect(connection, study.name)
            recorded = opened.attributes.get("data_hash")
            if recorded is None:
                self._set_attributes(connection, study.id, {"data_hash": content_hash})
            elif recorded != content_hash:
                raise DataError(
                    f"the data here have the content hash {content_hash[:12]}, but study "
                    f"{study.name!r} was begun on {recorded[:12]}: images differ, or were added or "
                    "removed; use the same data from the beginning to the end, on every machine"
                )

    @waiting_out
    def agree_on_code(
        self, study: Study, code: Mapping[str, Any], versions: Mapping[str, str]
    ) -> None:
        """Records what the first worker evaluates; refuses those that would evaluate otherwise.

        Args:
            study: Study to serve.
            code: What decides accuracies, see `Definition.code`.
            versions: Versions of packages, which may differ; all of them are recorded.

        Raises:
            VersionError: If the study was begun with other code.
        """
        with self._db.write() as connection:
            self._db.lock_study(connection, study.id, study.name)
            known = self._expect(connection, study.name).attributes
            recorded = known.get(CODE)
            if recorded is not None and recorded != code:
                raise VersionError(_refusal(study.name, recorded, code))
            every = known.get(WORKER_VERSIONS, {})
            now = {p: sorted({*every.get(p, ()), version}) for p, version in versions.items()}
            found = {CODE: dict(code), WORKER_VERSIONS: {**every, **now}}
            if any(known.get(key) != value for key, value in found.items()):
                self._set_attributes(connection, study.id, found)

    def _expect(self, connection: Connection, name: str) -> Study:
        study = self._read_study(connection, name)
        if study is None:
            names = ", ".join(self._names(connection))
            if not names:
                raise self._none()
            raise StorageError(
                f"{self._db.shown_url} holds no study {name!r}, only {names}; name one of these"
            )
        return study

    def _none(self) -> StorageError:
        return StorageError(
            f"{self._db.shown_url} holds no study; begin one with `moo-bnas run`, or give another "
            "--storage"
        )

    def _names(self, connection: Connection) -> list[str]:
        studies, attributes = self._db.studies, self._db.study_attributes
        found = connection.scalars(
            select(studies.c.study_name)
            .join(attributes, attributes.c.study_id == studies.c.study_id)
            .where(attributes.c.key == "definition")
            .order_by(studies.c.study_id)  # which rises, also where SQLite gives one out again
        )
        return [name for name in found if not is_sibling(name)]

    def _read_study(self, connection: Connection, name: str) -> Study | None:
        studies, attributes = self._db.studies, self._db.study_attributes
        system = self._db.study_system_attributes
        study_id = connection.scalar(select(studies.c.study_id).where(studies.c.study_name == name))
        if study_id is None:
            return None
        where = f"study {name!r}"
        values = {
            key: parsed(value, where, key)
            for key, value in connection.execute(
                select(attributes.c.key, attributes.c.value_json).where(
                    attributes.c.study_id == study_id
                )
            )
        }
        if "definition" not in values:
            return None
        of_metrics = system.c.study_id == study_id, system.c.key == _METRIC_NAMES
        names = connection.scalar(select(system.c.value_json).where(*of_metrics))
        metrics = stored.names(where, parsed(names or "[]", where, "metric names"))
        return Study(study_id, name, metrics, stored.of_study(where, values))

    def _set_attributes(
        self, connection: Connection, study_id: int, attributes: Mapping[str, Any]
    ) -> None:
        table = self._db.study_attributes
        connection.execute(
            delete(table).where(table.c.study_id == study_id, table.c.key.in_(list(attributes)))
        )
        connection.execute(
            insert(table),
            [
                {"study_id": study_id, "key": k, "value_json": json.dumps(v)}
                for k, v in attributes.items()
            ],
        )

    def _set_metric_names(
        self, connection: Connection, study_id: int, metrics: Sequence[str]
    ) -> None:
        table = self._db.study_system_attributes
        connection.execute(
            delete(table).where(table.c.study_id == study_id, table.c.key == _METRIC_NAMES)
        )
        connection.execute(
            insert(table).values(
                study_id=study_id, key=_METRIC_NAMES, value_json=json.dumps(list(metrics))
            )
        )


def _refusal(study_name: str, recorded: Mapping[str, Any], code: Mapping[str, Any]) -> str:
    here, there = code["evaluation_version"], recorded.get("evaluation_version")
    if here != there:
        differs = f"evaluates by version {there} of its training code, and this one by {here}"
    else:
        parts = [k for k in sorted({*recorded, *code}) if recorded.get(k) != code.get(k)]
        differs = (
            f"has another version of its {' and '.join(parts)} than the package that is installed "
            "here"
        )
    return (
        f"study {study_name!r} {differs}: accuracies would not be comparable; install what the "
        "other workers of the run have, or begin a run with another --study-name"
    )


def _waiting(of: ColumnElement[bool]) -> ScalarSelect[Any]:
    return (
        select(queue.c.trial_id).where(of, queue.c.status == "waiting").limit(1).scalar_subquery()
    )
