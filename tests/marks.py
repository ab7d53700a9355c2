"""Marks of parameters."""

from __future__ import annotations

from typing import Any

import pytest


def slow(*values: Any) -> list[Any]:
    """Parameters of a test for `make test-slow`; it has others for `make test`."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]
