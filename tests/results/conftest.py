"""The same report by hand as for the tests of what is drawn."""

from __future__ import annotations

from tests.report.conftest import empty, report

__all__ = ["empty", "report"]
