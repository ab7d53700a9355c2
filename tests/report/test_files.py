from __future__ import annotations

from pathlib import Path

import pytest

from moo_bnas.errors import DefinitionError
from moo_bnas.report.files import as_csv, write
from moo_bnas.results.points import Report

FILES = [
    *("pareto.csv", "pareto.html", "pareto.json", "report.html"),
    *("table.csv", "table.md", "table.tex"),
]


def test_csv_has_a_line_for_each_point(report: Report) -> None:
    lines = as_csv(report).splitlines()
    assert lines[0].startswith("trial,kind,precision,ratios,widths,accuracy")
    assert lines[0].endswith(",on_front,estimate,estimate_sd,on_measured_front")
    assert lines[2].startswith("1,search,binary,0.25 2 0.25 0.5 2 0.5,1 8 2 4 32 8,90.0,1074.0,")
    assert len(lines) == 1 + len(report.points)


def test_files_are_replaced_whole(report: Report, tmp_path: Path) -> None:
    for _ in range(2):
        paths = write(report, tmp_path / "new" / "folder")
    assert sorted(p.name for p in paths) == FILES
    assert sorted((tmp_path / "new" / "folder").iterdir()) == sorted(paths)


def test_an_unwritable_folder_is_reported(report: Report) -> None:
    with pytest.raises(DefinitionError, match="cannot write to the output folder /proc/nope"):
        write(report, Path("/proc/nope"))
