from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moo_bnas.passwords import STORAGE_VARIABLE, hide_password, is_escaped, with_password
from tests.conftest import Cli, start_cli
from tests.marks import slow


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
        ("postgresql://me@server:secret@host:5432/db", "postgresql://me@server:***@host:5432/db"),
        ("me:secret@host:5432/db", "me:***@host:5432/db"),
        ("postgresql:me:secret@host", "postgresql:me:***@host"),
        ("mysql+pymysql:me:secret@host", "mysql+pymysql:me:***@host"),
        ("postgresql//me:secret@host", "postgresql//me:***@host"),
        (
            "postgresql://me@host:5432/db?ssl_key_Password=a&x=1&API_TOKEN=b",
            "postgresql://me@host:5432/db?ssl_key_Password=***&x=1&API_TOKEN=***",
        ),
        ("mysql://me:a@host/db?client_secret=b", "mysql://me:***@host/db?client_secret=***"),
        ("mysql://me@host:1/db?password=se/c@r", "mysql://me@host:***"),
        ("postgresql://me@host:5432/db", "postgresql://me@host:5432/db"),
        ("postgresql://me@[::1]:5432/db", "postgresql://me@[::1]:5432/db"),
        ("sqlite:////data/a:b@c.db", "sqlite:////data/a:b@c.db"),
        ("nonsense", "nonsense"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert hide_password(url) == shown
    assert hide_password(shown) == shown


@given(st.text(st.characters(codec="ascii", exclude_characters="*"), min_size=4))
def test_no_password_shows_however_it_is_written(password: str) -> None:
    assert hide_password(f"postgresql://me:{password}@host/db") == "postgresql://me:***@host/db"


@pytest.mark.parametrize(
    ("url", "escaped"),
    [
        ("postgresql://me:se%40c@host/db", True),
        ("postgresql://me@server:secret@host/db", True),
        ("postgresql://me:secret@host/db?options=a@b", True),
        ("postgresql://me@host:5432/db", True),
        ("sqlite:////data/a:b@c@d.db", True),
        ("postgresql://me:se@c@host/db", False),
        ("postgresql://me:se@c/r?t@host/db?sslmode=require", False),
    ],
)
def test_an_at_in_a_password_is_to_be_escaped(url: str, escaped: bool) -> None:
    assert is_escaped(url) == escaped


def test_a_shown_url_finds_its_password_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STORAGE_VARIABLE, "postgresql://me:secret@host/db")
    assert with_password("postgresql://me:***@host/db") == "postgresql://me:secret@host/db"
    assert with_password("postgresql://me:***@other/db") is None
    for path in ("sqlite:///x.db", "sqlite:///of ***.db"):
        assert with_password(path) == path


def test_a_password_with_stars_is_neither_looked_up_nor_shown(cli: Cli) -> None:
    assert with_password("postgresql://me:se***t@host/db") == "postgresql://me:se***t@host/db"
    ended = cli("status", "--storage", "postgresql://me:se***t@127.0.0.1:9/db")
    assert ended.returncode == 1
    assert "postgresql://me:***@127.0.0.1:9/db" in ended.stderr
    assert "se***t" not in ended.stderr


def test_a_hidden_password_that_cannot_be_found_is_reported(cli: Cli) -> None:
    ended = cli("status", "--storage", "postgresql://me:***@host/db")
    assert ended.returncode == 2
    assert f"whose password is hidden; set {STORAGE_VARIABLE} to the whole URL" in ended.stderr


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://me@server:SECRET@127.0.0.1:9/db", "storage postgresql://me@server:***@127"),
        ("postgresql://me:SEC@RET@127.0.0.1/db", "write an @ in a password as %40"),
        ("me:SECRET@127.0.0.1/db", "got the storage me:***@127.0.0.1/db, expected a database URL"),
        ("postgresql:me:SECRET@127.0.0.1", "got the storage postgresql:me:***@127.0.0.1, expected"),
        ("postgresql://me:SECRET@host:abc/x", "me:***@host:abc/x, expected a database URL such as"),
        ("postgresql://127.0.0.1:9/db?ssl_key_password=SECRET", "ssl_key_password=*** answered"),
    ],
)
def test_errors_show_no_password(cli: Cli, url: str, message: str) -> None:
    ended = cli("status", "--debug", "--storage", url)
    assert ended.returncode == 1
    assert message in ended.stderr
    assert "unexpected" not in ended.stderr
    assert "SEC" not in ended.stderr
    assert "RET" not in ended.stderr


# Python runs this before anything else: it records what `ps` shows of every process that starts.
_RECORD = """
import os
from pathlib import Path
with open(os.environ["STARTS"], "a") as file:
    file.write(Path("/proc/self/cmdline").read_bytes().decode().replace("\\0", " ") + "\\n")
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads the arguments of a process")
@pytest.mark.parametrize("form", [["--storage", "{}"], *slow(["--storage={}"])])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@127.0.0.1:9/db",  # where nobody listens
        "postgresql://me@server:secret@127.0.0.1:9/db",
        "me:secret@127.0.0.1:9/db",
    ],
)
def test_ps_does_not_show_the_password_of_a_url(tmp_path: Path, form: list[str], url: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(_RECORD)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    arguments = [part.format(url) for part in form]
    environment = {"PYTHONPATH": path, "STARTS": str(tmp_path / "starts")}
    process = start_cli("status", *arguments, cwd=tmp_path, **environment)
    out, err = process.communicate()
    first, second = (tmp_path / "starts").read_text().splitlines()
    assert url in first
    assert second.endswith(" ".join(["status", *form]).format(hide_password(url)) + " ")
    assert process.returncode == 1
    assert f"storage {hide_password(url)}" in err
    assert "secret" not in out + err
