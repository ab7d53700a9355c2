"""Writes a report: pareto.html, pareto.csv, pareto.json; and as a table in text."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import asdict
from pathlib import Path

from moo_bnas.errors import DefinitionError
from moo_bnas.report.page import page
from moo_bnas.report.points import Point, Report
from moo_bnas.units import quantity


def make_folder(folder: Path) -> None:
    """Makes an output folder.

    Raises:
        DefinitionError: Where it cannot be made or written to.
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
    """Writes all files of a report, each whole or not at all.

    Returns:
        Their paths.

    Raises:
        DefinitionError: Where the folder cannot be written to.
    """
    make_folder(folder)
    files = {
        "pareto.html": page(report),
        "pareto.csv": as_csv(report),
        "pareto.json": as_json(report),
    }
    paths = []
    for name, text in files.items():
        path, partial = folder / name, folder / f".{name}.{os.getpid()}"
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise DefinitionError(
                f"cannot write {path}: {error.strerror}; choose another folder with --out"
            ) from error
        paths.append(path)
    return paths


def as_json(report: Report) -> str:
    """`{"study", "mode", "points": [...]}`; nothing in it depends on when or where it ran."""
    document = {
        "study": report.study,
        "mode": report.mode,
        "points": [asdict(p) for p in report.points],
    }
    return json.dumps(document, indent=1) + "\n"


def as_csv(report: Report) -> str:
    """One line a point; ratios and widths joined by spaces."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Point.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    for point in report.points:
        row = asdict(point)
        row["ratios"] = " ".join(f"{r:g}" for r in point.ratios)
        row["widths"] = " ".join(str(w) for w in point.widths)
        writer.writerow(row)
    return text.getvalue()


def as_table(report: Report) -> str:
    """The front and the references, one line each."""
    header = ("network", "accuracy", "FLOPs", "memory", "fitness", "ratios")
    rows = []
    for p in report.front:
        marks = [m for m, q in (("knee", report.knee), ("best", report.best)) if p is q]
        rows.append(_row(f"trial {p.trial}" + f" ({', '.join(marks)})" * bool(marks), p))
    if not report.best.on_front:
        rows.append(_row(f"trial {report.best.trial} (best)", report.best))
    for p in report.references:
        name = f"uniform {p.ratios[0]:g}x" if p.precision == "binary" else "full precision 1x"
        rows.append(_row(name, p))
    widths = [max(len(r[i]) for r in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(w) if i in (0, len(header) - 1) else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, *rows]
    ]
    if report.definition.parent is not None:
        lines.append(
            "Binary networks inherited the weights of a parent; full precision began from scratch, "
            f"and had {report.definition.recipe.epochs} epochs as they."
        )
    return "\n".join(lines)


def _row(name: str, p: Point) -> tuple[str, ...]:
    ratios = " ".join(f"{r:g}" for r in p.ratios)
    if len(set(p.ratios)) == 1:
        ratios = f"all {p.ratios[0]:g}"
    return (
        name,
        f"{p.accuracy:.2f} %",
        quantity(p.flops),
        f"{quantity(p.memory_bits)}bit",
        f"{p.fitness:.2f}",
        ratios,
    )
