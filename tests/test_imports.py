"""Which modules load which libraries; import contracts in pyproject.toml check it statically."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "pymoo", "optuna", "plotly", "sqlalchemy", "sklearn"}


def _loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return HEAVY & set(done.stdout.split())


@pytest.mark.parametrize("arguments", [["--help"], ["cost", "vgg_small"], ["run", "--help"]])
def test_help_and_cost_load_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import contextlib, io, sys; from moo_bnas.cli import cli\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    cli.main({arguments!r}, standalone_mode=False)\n"
    )
    assert _loaded(code) == set()


def test_the_drivers_side_does_not_load_torch() -> None:
    modules = (
        *("driver.search_loop", "driver.final_loop", "driver.local_workers"),
        *("results.points", "results.status", "report.files", "report.images"),
    )
    assert "torch" not in _loaded("import " + ", ".join(f"moo_bnas.{m}" for m in modules))


def test_evaluators_of_other_packages_do_not_load_torch() -> None:
    assert not _loaded("import moo_bnas.worker, moo_bnas.worker.own_evaluator") & {"torch", "pymoo"}


def test_the_workers_side_does_not_load_pymoo() -> None:
    assert not _loaded("import moo_bnas.worker.loop") & {"pymoo", "plotly"}


def test_the_package_itself_loads_nothing() -> None:
    assert _loaded("import moo_bnas") == set()
