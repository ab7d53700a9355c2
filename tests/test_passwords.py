from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moo_bnas.passwords import STORAGE_VARIABLE, hide_password, with_password
from tests.conftest import Cli, start_cli


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        (
            "mysql://me@host/db?charset=utf8&password=se/c@r",
            "mysql://me@host/db?charset=utf8&password=***",
        ),
        ("postgresql:/me:secret@host", "postgresql:/me:***@host"),
        ("sqlite:////tmp/a:b.db", "sqlite:////tmp/a:b.db"),
        ("nonsense", "nonsense"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert hide_password(url) == shown
    assert hide_password(shown) == shown


@given(st.text(st.characters(codec="ascii", exclude_characters="*\n"), min_size=4))
def test_no_password_shows_however_it_is_written(password: str) -> None:
    assert hide_password(f"postgresql://me:{password}@host/db") == "postgresql://me:***@host/db"


def test_a_shown_url_finds_its_password_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STORAGE_VARIABLE, "postgresql://me:secret@host/db")
    assert with_password("postgresql://me:***@host/db") == "postgresql://me:secret@host/db"
    assert with_password("postgresql://me:***@other/db") is None
    assert with_password("sqlite:///x.db") == "sqlite:///x.db"


def test_a_hidden_password_that_cannot_be_found_is_told(cli: Cli) -> None:
    ended = cli("status", "--storage", "postgresql://me:***@host/db")
    assert ended.returncode == 2
    assert f"whose password is hidden; set {STORAGE_VARIABLE} to the whole URL" in ended.stderr


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads the arguments of a process")
@pytest.mark.parametrize("form", [["--storage", "{}"], ["--storage={}"]])
def test_ps_does_not_show_the_password_of_a_url(tmp_path: Path, form: list[str]) -> None:
    url = "postgresql://me:secret@127.0.0.1:9/db"  # where nobody listens
    process = start_cli("status", *[part.format(url) for part in form], cwd=tmp_path)
    arguments = Path(f"/proc/{process.pid}/cmdline")
    # Until it has started anew, which is a moment after Python itself is up.
    while b"***" not in (shown := arguments.read_bytes()) and process.poll() is None:
        time.sleep(0.001)
    assert b"secret" not in shown
    out, err = process.communicate()
    assert process.returncode == 1
    assert "postgresql://me:***@127.0.0.1:9/db answered: " in err
    assert "secret" not in out + err
