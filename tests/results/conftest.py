"""The report made by hand that tests of drawings use, too."""

from __future__ import annotations

from tests.report.conftest import report

__all__ = ["report"]
