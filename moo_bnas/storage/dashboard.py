"""What optuna-dashboard shows of a study beside its trials: a note, figures, files.

It keeps them as system attributes of the study, and long texts in pieces; the names of these
attributes are those of its functions `save_note` and `save_plotly_graph_object`, and of Optuna's
`upload_artifact`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select

from moo_bnas.evaluation import Artifact
from moo_bnas.storage.database import Database
from moo_bnas.storage.outages import waiting_out
from moo_bnas.storage.records import Study
from moo_bnas.storage.stored import parsed

_PIECE = 2045  # letters of one attribute, as the dashboard has it
_NOTE, _NOTE_VERSION = "dashboard:note_str:", "dashboard:note_ver"
_FIGURE = "dashboard:plot_data:"
_FILE = "artifacts:"
_OURS = "moo_bnas:note"  # hash of the note that was written here last


class Dashboard:
    """Writes what the dashboard shows of the studies of a storage."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @waiting_out
    def show(self, study: Study, note: str, figures: Mapping[str, str]) -> None:
        """Replaces note and figures of a study; a note that somebody else has written stays.

        Args:
            study: Study that they are shown with.
            note: Text in Markdown.
            figures: Plotly's JSON of each figure, by a name of letters and `-`.
        """
        with self._db.write() as connection:
            self._db.lock_study(connection, study.id, study.name)
            found = self._read(connection, study)
            values: dict[str, Any] = {}
            for name, figure in figures.items():
                values |= _pieces(f"{_FIGURE}{name}:", figure, found)
            if self._is_ours(found):
                version = found.get(_NOTE_VERSION)
                values |= _pieces(_NOTE, note, found)
                values[_NOTE_VERSION] = version + 1 if isinstance(version, int) else 1
                values[_OURS] = _hash(note)
            self._write(connection, study, values)

    @waiting_out
    def add_files(self, study: Study, files: Mapping[str, Artifact]) -> None:
        """Lists files of the artifact store among those of a study.

        Args:
            study: Study that they are shown with.
            files: Files by the name under which they are to be loaded from there.
        """
        values = {}
        for name, artifact in files.items():
            about = {
                "artifact_id": artifact.id,
                "filename": name,
                "mimetype": "application/octet-stream",
                "encoding": None,
            }
            values[f"{_FILE}{artifact.id}"] = json.dumps(about)
        if values:
            with self._db.write() as connection:
                self._db.lock_study(connection, study.id, study.name)
                self._write(connection, study, values)

    def _read(self, connection: Connection, study: Study) -> dict[str, Any]:
        table = self._db.study_system_attributes
        ours = or_(table.c.key.startswith("dashboard:"), table.c.key == _OURS)
        rows = connection.execute(
            select(table.c.key, table.c.value_json).where(table.c.study_id == study.id, ours)
        )
        return {key: parsed(value, f"study {study.name!r}", key) for key, value in rows}

    def _write(self, connection: Connection, study: Study, values: Mapping[str, Any]) -> None:
        table = self._db.study_system_attributes
        connection.execute(
            delete(table).where(table.c.study_id == study.id, table.c.key.in_(list(values)))
        )
        connection.execute(
            insert(table),
            [
                {"study_id": study.id, "key": key, "value_json": json.dumps(value)}
                for key, value in values.items()
            ],
        )

    def _is_ours(self, found: Mapping[str, Any]) -> bool:
        """Whether there is no note, or the one that was written here."""
        pieces = {key: value for key, value in found.items() if key.startswith(_NOTE)}
        note = "".join(str(pieces.get(f"{_NOTE}{i}", "")) for i in range(len(pieces)))
        return not note or _hash(note) == found.get(_OURS)


def _pieces(prefix: str, text: str, found: Mapping[str, Any]) -> dict[str, str]:
    """A text in pieces; those of a longer one before become empty, as the dashboard has it."""
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    before = sum(key.startswith(prefix) for key in found)
    pieces += [""] * (before - len(pieces))
    return {f"{prefix}{i}": piece for i, piece in enumerate(pieces)}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
