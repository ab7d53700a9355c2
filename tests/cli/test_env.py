"""`moo-bnas env` as a user types it."""

from __future__ import annotations

import platform
from importlib.metadata import version

from tests.conftest import Cli


def test_env_tells_versions_and_devices_but_no_password(cli: Cli) -> None:
    done = cli("env", MOO_BNAS_STORAGE="postgresql://me:secret@host/db")
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["python"] == platform.python_version()
    assert lines["torch"] == version("torch")
    assert lines["MOO_BNAS_STORAGE"] == "postgresql://me:***@host/db"
    assert lines["MOO_BNAS_DATA"] == "not set"
    assert "devices" in lines
    assert "secret" not in done.stdout + done.stderr
