"""Reports: data, page, files."""

from __future__ import annotations

from moo_bnas.report.files import as_csv, as_json, as_table, make_folder, write
from moo_bnas.report.points import Point, Report, collect

__all__ = ["Point", "Report", "as_csv", "as_json", "as_table", "collect", "make_folder", "write"]
