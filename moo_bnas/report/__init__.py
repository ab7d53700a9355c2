"""Reports: data, tables, figures, pages, files."""

from __future__ import annotations

from moo_bnas.report.files import as_csv, as_json, make_folder, write
from moo_bnas.report.images import Format, write_images
from moo_bnas.report.points import Final, Point, Report, collect
from moo_bnas.report.tables import as_table, called

__all__ = [
    "Final",
    "Format",
    "Point",
    "Report",
    "as_csv",
    "as_json",
    "as_table",
    "called",
    "collect",
    "make_folder",
    "write",
    "write_images",
]
