"""Versions of what computes results, as studies record them."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("moo-bnas", "optuna", "pymoo", "numpy", "torch")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results may depend on.

    What is not installed, such as torch beside a driver without local workers, is left out.
    """
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
