"""Tables of moo-bnas, for what Optuna's schema has no place for.

They stand beside Optuna's own tables in the same database.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 2
"""Raised when a table below changes."""

metadata = MetaData()

queue = Table(
    "moo_bnas_trials",
    metadata,
    Column("trial_id", Integer, primary_key=True, autoincrement=False),
    Column("study_id", Integer, nullable=False),
    Column("genotype", String(255), nullable=False),
    Column("precision", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("cost", Float(53), nullable=False),
    Column("token", String(32)),
    Column("worker", String(255)),
    Column("heartbeat", DateTime),
    Column("losses", Integer, nullable=False, default=0),
    Column("device_errors", Integer, nullable=False, default=0),
    Column("alone", Boolean, nullable=False, default=False),
    UniqueConstraint("study_id", "genotype", "precision"),
)
Index(  # in which the most expensive waiting trial comes first
    "moo_bnas_trials_open",
    queue.c.study_id,
    queue.c.status,
    queue.c.cost.desc(),
    queue.c.trial_id,
)
"""One row per trial: what to evaluate, and which worker does so now.

`genotype` says which repeat it is, too; see `records.run_key`."""

evaluations = Table(
    "moo_bnas_evaluations",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("genotype", String(255), primary_key=True),
    Column("token", String(32), nullable=False, index=True),
    Column("trial_id", Integer, nullable=False),
    Column("result", Text),
)
"""One row per evaluation begun, shared by all studies; `result` is null until it is finished.

`genotype` says which repeat it is, too; see `records.run_key`."""

worker_rows = Table(
    "moo_bnas_workers",
    metadata,
    Column("worker", String(255), primary_key=True),
    Column("study_id", Integer, nullable=False, index=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("device", String(255), nullable=False),
    Column("last_seen", DateTime, nullable=False),
    Column("grace", Float(53), nullable=False),
    Column("evaluations", Integer, nullable=False, default=0),
)
"""One row per worker that ever joined; it is lost after `grace` seconds of silence (0 once it has
left)."""

driver_rows = Table(
    "moo_bnas_drivers",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("token", String(32), nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("since", DateTime, nullable=False),
    Column("last_seen", DateTime, nullable=False),
    Column("grace", Float(53), nullable=False),
)
"""One row per study that is driven: its driver's lease, which runs out after `grace` seconds."""

schema = Table(
    "moo_bnas_schema",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
)
"""One row: the `SCHEMA_VERSION` that these tables were made with."""
