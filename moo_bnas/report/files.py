"""Writes a report into a folder: its pages, its points and its table."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from moo_bnas.errors import DefinitionError
from moo_bnas.output import write_whole
from moo_bnas.report.page import page, pareto_page
from moo_bnas.report.tables import as_markdown, as_table_csv, as_tex
from moo_bnas.report.together import together_page
from moo_bnas.results.points import Point, Report


def make_folder(folder: Path) -> None:
    """Makes an output folder.

    Raises:
        DefinitionError: If the folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".moo-bnas-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DefinitionError(
            f"cannot write to the output folder {folder}: {error.strerror}; choose another with "
            "--out"
        ) from error


def write(report: Report, folder: Path) -> list[Path]:
    """Writes all files of a report, each completely or not at all.

    Returns:
        The paths of the files.

    Raises:
        DefinitionError: If the folder cannot be written to.
    """
    files = {
        "report.html": page(report),
        "pareto.html": pareto_page(report),
        "pareto.csv": as_csv(report),
        "pareto.json": as_json(report),
        "table.md": as_markdown(report),
        "table.csv": as_table_csv(report),
        "table.tex": as_tex(report),
    }
    return _written(files, folder)


def write_together(reports: Sequence[Report], folder: Path) -> list[Path]:
    """Writes the page of several runs, completely or not at all.

    Returns:
        The path of the page.

    Raises:
        DefinitionError: If the folder cannot be written to, or the runs cannot be compared.
        StorageError: If one has no finished candidate.
    """
    return _written({"report.html": together_page(reports)}, folder)


def _written(files: Mapping[str, str], folder: Path) -> list[Path]:
    make_folder(folder)
    paths = []
    for name, text in files.items():
        path = folder / name
        try:
            write_whole(path, text.encode())
        except OSError as error:
            raise DefinitionError(
                f"cannot write {path}: {error.strerror}; choose another folder with --out"
            ) from error
        paths.append(path)
    return paths


def as_json(report: Report) -> str:
    """`{"study", "mode", "points": [...]}`, independent of when and where the run took place.

    A point whose network was confirmed has `confirmed`: `mean`, `standard_error`, `runs`.
    """
    document = {
        "study": report.study,
        "mode": report.mode,
        "points": [
            _flat(report, p) | _confirmed(report, p) for p in (*report.points, *report.repeats)
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def as_csv(report: Report) -> str:
    """One line per point; ratios and widths, or values, are joined by spaces."""
    text = io.StringIO()
    rows = [_flat(report, point) for point in (*report.points, *report.repeats)]
    writer = csv.DictWriter(text, _columns(report), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        for name in ("ratios", "widths", "bits", "values"):
            if name in row:
                row[name] = " ".join(f"{value:g}" for value in row[name])
        writer.writerow(row)
    return text.getvalue()


def _columns(report: Report) -> list[str]:
    columns: list[str] = []
    for name in Point.__dataclass_fields__:
        columns += _keys(report, name)
    return columns


def _keys(report: Report, field: str) -> list[str]:
    """The keys under which a field of a point is written."""
    if field == "costs":
        return list(report.definition.costs())
    if field == "cost":  # `costs` includes it
        return []
    if field == "bits" and not report.space.bit_genes:
        return []
    if not report.has_widths and field in ("precision", "ratios", "widths"):
        return ["values"] if field == "ratios" else []
    return [field]


def _confirmed(report: Report, point: Point) -> dict[str, Any]:
    """What repeats say of the network of a search or baseline point, if there are any."""
    found = None if point.kind == "confirm" else report.confirmed_as(point)
    return {} if found is None else {"confirmed": asdict(found)}


def _flat(report: Report, point: Point) -> dict[str, Any]:
    """The fields of a point, with one key per cost."""
    flat: dict[str, Any] = {}
    for field, value in asdict(point).items():
        for key in _keys(report, field):
            flat[key] = value[key] if field == "costs" else value
    return flat
