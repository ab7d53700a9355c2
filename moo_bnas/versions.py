"""Versions of what computes results, as studies record them."""

from __future__ import annotations

import platform
from importlib.metadata import version

_PACKAGES = ("moo-bnas", "optuna", "pymoo", "numpy", "torch")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results may depend on."""
    return {"python": platform.python_version(), **{p: version(p) for p in _PACKAGES}}
