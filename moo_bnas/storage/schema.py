"""Whose tables a database has, of which version they are, and how they are upgraded in place.

Versions of moo-bnas only ever add: tables, columns that have a default, indexes. So an upgrade
compares the database with `tables`, adds what is missing, and writes the new version last: it may
be killed and repeated at any moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import optuna
from sqlalchemy import Column, Connection, Inspector, Table, inspect, literal, select, text
from sqlalchemy.schema import CreateColumn

from moo_bnas.errors import StorageError
from moo_bnas.storage.engine import utc_now
from moo_bnas.storage.tables import SCHEMA_VERSION, driver_rows, metadata, schema, worker_rows

_OPTUNAS = {
    "studies": ("study_id", "study_name"),
    "study_user_attributes": ("study_id", "key", "value_json"),
    "study_system_attributes": ("study_id", "key", "value_json"),
    "trials": ("trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"),
    "trial_params": ("trial_id", "param_name", "param_value", "distribution_json"),
    "trial_values": ("trial_id", "objective", "value", "value_type"),
    "trial_intermediate_values": (
        *("trial_id", "step"),
        *("intermediate_value", "intermediate_value_type"),
    ),
    "trial_user_attributes": ("trial_id", "key", "value_json"),
}
"""Optuna's tables and columns that moo-bnas reads and writes by itself."""


def optunas_tables() -> dict[str, Table]:
    """Optuna's own tables, which are not a part of its public interface.

    Raises:
        StorageError: If the Optuna that is installed has other tables than moo-bnas knows.
    """
    try:
        from optuna.storages._rdb.models import BaseModel

        tables: Mapping[str, Table] = BaseModel.metadata.tables
    except (ImportError, AttributeError) as error:
        raise _another_optuna(str(error)) from error
    for name, columns in _OPTUNAS.items():
        missing = [c for c in columns if name not in tables or c not in tables[name].c]
        if missing:
            raise _another_optuna(f"its table {name} lacks {', '.join(missing)}")
    return dict(tables)


def foreign_tables(look: Inspector) -> list[str]:
    """Tables that are called like ours or like Optuna's, and have been made by another program."""
    there = set(look.get_table_names())
    ours = {} if schema.name in there else dict(metadata.tables)
    known = {**optunas_tables(), **ours}
    foreign = [
        name
        for name in sorted(there & set(known))
        if not {c.name for c in known[name].c} <= {c["name"] for c in look.get_columns(name)}
    ]
    # With Optuna's version_info there, another version of Optuna made the tables.
    is_optunas = "version_info" in there - set(foreign)
    if not is_optunas and "alembic_version" in there:  # Optuna makes it last
        foreign.append("alembic_version")
    return [] if is_optunas else foreign


def views_in_place(look: Inspector) -> list[str]:
    """Views that are called like tables of ours or of Optuna's."""
    known = {*optunas_tables(), *metadata.tables, "alembic_version"}
    return sorted(known & set(look.get_view_names()))


def version_of(connection: Connection) -> int | None:
    """The schema version of the tables of moo-bnas; None if they do not say."""
    if not inspect(connection).has_table(schema.name):
        return None
    found: int | None = connection.scalar(select(schema.c.version))
    return found


def check_version(found: int | None, shown_url: str) -> None:
    """Refuses tables of another version.

    Raises:
        StorageError: With what to do about it.
    """
    if found == SCHEMA_VERSION:
        return
    is_older = found is not None and found < SCHEMA_VERSION
    remedy = "`moo-bnas storage upgrade` upgrades them, once nobody uses them"
    raise StorageError(
        f"the tables of {shown_url} were made by another version of moo-bnas (schema "
        f"{found or 'unknown'}, expected {SCHEMA_VERSION}); "
        + (remedy if is_older else "use that version, or another --storage")
    )


def check_upgradable(connection: Connection, shown_url: str) -> None:
    """Refuses an upgrade of tables of a later version, or while somebody works with them.

    Raises:
        StorageError: If they are, or a driver or worker was heard of within its grace.
    """
    found = version_of(connection)
    if found is None or found > SCHEMA_VERSION:
        check_version(found, shown_url)
    for table, verb in ((driver_rows, "drives"), (worker_rows, "serves")):
        columns = (table.c.host, table.c.pid, table.c.last_seen, table.c.grace)
        for row in connection.execute(select(*columns, utc_now().label("now"))):
            left = row.grace - (row.now - row.last_seen).total_seconds()
            if left > 0:
                raise StorageError(
                    f"process {row.pid} on {row.host:.100} {verb} a run in {shown_url}; end it, or "
                    f"wait {left:.0f} s if it was killed, and upgrade then"
                )


def upgrade_optunas(storage: optuna.storages.RDBStorage, shown_url: str) -> list[str]:
    """Upgrades Optuna's tables.

    Returns:
        What was done; empty if they were of the version of the Optuna that is installed.

    Raises:
        StorageError: If a later version of Optuna made them.
    """
    before, now = storage.get_current_version(), storage.get_head_version()
    if before not in storage.get_all_versions():
        raise StorageError(
            f"the tables of {shown_url} were made by a later version of Optuna ({before:.40}, "
            f"expected {now}); install that version of Optuna, or give another --storage"
        )
    if before == now:
        return []
    storage.upgrade()
    return [f"Optuna's tables from {before} to {now}"]


def add_missing(connection: Connection) -> list[str]:
    """Adds to the tables of moo-bnas what this version has beyond theirs.

    Returns:
        Names of the tables, columns and indexes that were added.
    """
    look = inspect(connection)
    there, added = set(look.get_table_names()), []
    for table in metadata.sorted_tables:
        if table.name not in there:
            table.create(connection)
            added.append(table.name)
            continue
        columns = {column["name"] for column in look.get_columns(table.name)}
        for column in table.c:
            if column.name not in columns:
                connection.execute(text(_addition(connection, table, column)))
                added.append(f"{table.name}.{column.name}")
        indexes = {index["name"]: index["column_names"] for index in look.get_indexes(table.name)}
        for index in table.indexes:
            wanted = _names(index.expressions)
            if index.name in indexes and indexes[index.name] != wanted:
                index.drop(connection)
            if indexes.get(index.name) != wanted:
                index.create(connection)
                added.append(f"{table.name} index {index.name}")
    connection.execute(schema.delete())
    connection.execute(schema.insert().values(version=SCHEMA_VERSION))
    return added


def _names(expressions: Iterable[object]) -> list[str]:
    """Names of an index's columns, whichever their order."""
    return [getattr(getattr(each, "element", each), "name", "") for each in expressions]


def _addition(connection: Connection, table: Table, column: Column[object]) -> str:
    """The statement that adds a column, which has its default in the rows that are there."""
    preparer = connection.dialect.identifier_preparer
    definition = str(CreateColumn(column).compile(dialect=connection.dialect))
    default = getattr(column.default, "arg", None)
    if default is not None:
        value = literal(default, column.type).compile(
            dialect=connection.dialect, compile_kwargs={"literal_binds": True}
        )
        definition = definition.replace(" NOT NULL", f" DEFAULT {value} NOT NULL")
    return f"ALTER TABLE {preparer.format_table(table)} ADD COLUMN {definition}"


def _another_optuna(why: str) -> StorageError:
    return StorageError(
        f"Optuna {optuna.__version__} keeps its tables in another way than moo-bnas knows ({why}); "
        "install a version that moo-bnas was made for: pip install 'optuna>=5.0,<5.1'"
    )
