"""A MariaDB server for tests, from the programs that Debian's mariadb-server installs."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pymysql

NO_MARIADB = "mariadbd is not installed (.ci/run installs Debian's mariadb-server)"


class MariaDBServer:
    """A private server with default settings, reached through a Unix socket."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        # Not in `folder`: the path of a socket may have at most 107 bytes.
        self._run = Path(tempfile.mkdtemp(prefix="mariadb"))
        self._socket = self._run / "s"
        self._log = folder / "log"
        install = ["mariadb-install-db", "--auth-root-authentication-method=normal"]
        subprocess.run([*install, *self._options()], check=True, capture_output=True)
        self.start()

    def start(self) -> None:
        """Returns once the server answers."""
        command = [_mariadbd() or "mariadbd", *self._options()]
        command += [f"--socket={self._socket}", "--skip-networking"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        while True:
            try:
                return self.execute("SELECT 1")
            except pymysql.err.OperationalError:
                assert self._process.poll() is None, self._log.read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        """Returns once the server has exited."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait(60)

    def crash(self) -> None:
        """Ends the server as a failure of power would."""
        self._process.kill()
        self._process.wait(60)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._run)

    def execute(self, statement: str) -> None:
        with (
            pymysql.connect(unix_socket=str(self._socket), user="root") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)

    def url(self, database: str) -> str:
        return f"mysql+pymysql://root@localhost/{database}?unix_socket={self._socket}"

    def _options(self) -> list[str]:
        return ["--no-defaults", f"--datadir={self._data}", f"--user={getpass.getuser()}"]


def is_installed() -> bool:
    return _mariadbd() is not None and shutil.which("mariadb-install-db") is not None


def _mariadbd() -> str | None:
    return shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
