"""Processes of `moo-bnas` that are forked from one that has imported everything.

Each is a process of its own, with its own arguments, environment, folder, pipes and end. Only its
imports are done beforehand: they take 2 to 9 seconds of a processor, most of the time of the tests.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

# Where a process that is to be forked finds the server.
VARIABLE = "FORK_SERVER"
_HEAVY = (
    *("torch", "torch._dynamo", "sklearn.datasets", "sklearn.model_selection", "scipy.stats"),
    *("optuna", "alembic.command", "psycopg", "plotly.graph_objects", "PIL.Image"),
    *("pymoo.algorithms.moo.nsga2", "pymoo.optimize", "tomlkit"),
)


class _Python(str):
    """A path of Python that may be forked."""


# In place of `sys.executable` in a test that does not ask what a fresh Python imports.
PYTHON = _Python(sys.executable)


class ForkServer:
    """The process from which others are forked."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp())
        self._address = str(self._folder / "forks")
        self._process: subprocess.Popen[Any] | None = None
        self._turn = threading.Lock()

    @property
    def environment(self) -> dict[str, str]:
        """What a process has in its environment for its children to be forked."""
        return {VARIABLE: self._address}

    def start(self) -> None:
        """Starts it, unless it runs."""
        with self._turn:
            if self._process is None:
                self._start()

    def close(self) -> None:
        """Ends it; what was forked lives on."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        shutil.rmtree(self._folder)

    def _start(self) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self._address)
            listening.listen(64)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(listening.fileno())],
                cwd=Path(__file__).parent.parent,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[listening.fileno()],
            )


class Forked(subprocess.Popen[Any]):
    """A process as `subprocess.Popen` starts one; `python -m moo_bnas` and `PYTHON` are forked.

    They are forked where the environment names a server, and Python itself would start as there.
    """

    # In the process that has made it. Others find it by their environment.
    server: ForkServer | None = None
    _connection: socket.socket | None = None

    def _execute_child(self, *arguments: Any) -> None:
        (args, _, _, _, _, cwd, env, _, _, _, *pipes) = arguments
        (stdin, _, _, stdout, _, stderr, _, _, _, _, _, new_session, *_) = pipes
        environment = os.environ if env is None else env
        if not _can_be_forked(args, environment):
            super()._execute_child(*arguments)  # type: ignore[misc]
            return
        if self.server is not None:
            self.server.start()
        request = {
            "arguments": list(map(str, args[1:])),
            "folder": str(cwd or Path.cwd()),
            "environment": dict(environment),
            "new_session": new_session,
        }
        content = json.dumps(request).encode()
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(environment[VARIABLE])
        files = [i if given == -1 else given for i, given in enumerate((stdin, stdout, stderr))]
        socket.send_fds(self._connection, [struct.pack("I", len(content))], files)
        self._connection.sendall(content)
        (self.pid,) = struct.unpack("i", _receive(self._connection, 4))
        self._child_created = True
        self._close_pipe_fds(*pipes[:6])  # type: ignore[attr-defined]

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._connection is None:
            return super()._try_wait(wait_flags)  # type: ignore[misc,no-any-return]
        if self._connection.fileno() < 0:  # nobody waits for it: it is garbage
            return self.pid, 0
        until = 0 if wait_flags & os.WNOHANG else None
        if not select.select([self._connection], [], [], until)[0]:
            return 0, 0
        (status,) = struct.unpack("i", _receive(self._connection, 4))
        self._connection.close()
        return self.pid, status

    def _internal_poll(self, *arguments: Any, **options: Any) -> int | None:
        if self._connection is None:
            return super()._internal_poll(*arguments, **options)  # type: ignore[misc,no-any-return]
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):  # type: ignore[attr-defined]
            try:
                pid, status = self._try_wait(os.WNOHANG) if self.returncode is None else (0, 0)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


def _can_be_forked(args: Any, environment: Mapping[str, str]) -> bool:
    is_ours = isinstance(args, Sequence) and list(args[:3]) == [sys.executable, "-m", "moo_bnas"]
    return (
        (is_ours or isinstance(args[0], _Python))
        and bool(environment.get(VARIABLE))
        and _of_python(environment) == _AT_START
    )


def _of_python(environment: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in environment.items() if k.startswith("PYTHON")}


_AT_START = _of_python(os.environ)


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise EOFError("the process from which others are forked has ended")
        received += part
    return received


def _serve(listening: socket.socket) -> None:
    """Forks processes until standard input is closed; returns in each forked process only."""
    ended, wakes = os.pipe()
    for end in (ended, wakes):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    waiting: dict[int, socket.socket] = {}
    sources: list[Any] = [listening, ended, sys.stdin]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if listening in ready:
            connection, _ = listening.accept()
            head, files, _, _ = socket.recv_fds(connection, 4, 3)
            request = json.loads(_receive(connection, *struct.unpack("I", head)))
            pid = os.fork()
            if not pid:
                _become(request, files)
                return
            for file in files:
                os.close(file)
            connection.sendall(struct.pack("i", pid))
            waiting[pid] = connection
        if ended in ready:
            os.read(ended, 4096)
            _tell(waiting)
        if sys.stdin in ready:
            os._exit(0)


def _tell(waiting: dict[int, socket.socket]) -> None:
    """Tells those who wait for them how processes have ended."""
    for pid in list(waiting):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            with waiting.pop(pid) as connection, contextlib.suppress(BrokenPipeError):
                connection.sendall(struct.pack("i", status))


def _become(request: dict[str, Any], files: list[int]) -> None:
    """Makes this process as if Python had started it anew."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["new_session"]:
        os.setsid()
    for i, file in enumerate(files):
        os.dup2(file, i)
    os.closerange(3, 256)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = request["folder"]
    tempfile.tempdir = None  # so that TMPDIR counts
    sys.argv = request["arguments"]
    subprocess.Popen = Forked  # type: ignore[misc]


def _run() -> NoReturn:
    """Runs what Python is given, and ends as it does, but that it takes nothing in memory apart."""
    code: int | str | None = 1
    try:
        _run_arguments()
        code = 0
    except SystemExit as end:
        code = end.code
    except Exception:
        traceback.print_exc()  # as Python does; the exit code is 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else code is not None)


def _run_arguments() -> None:
    """What Python does with the options -m and -c, and with a script."""
    first, *rest = sys.argv
    if first == "-m":
        command = importlib.import_module(f"{rest[0]}.__main__")
        sys.modules["__main__"] = command
        sys.argv = [str(command.__file__), *rest[1:]]
        command.main()
    elif first == "-c":
        sys.argv = ["-c", *rest[1:]]
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(rest[0], main.__dict__)  # noqa: S102 (code of a test)
    else:
        sys.path[0] = str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")


def _import_everything() -> None:
    for name in _HEAVY:
        importlib.import_module(name)
    package = importlib.import_module("moo_bnas")
    for module in pkgutil.walk_packages(package.__path__, "moo_bnas."):
        if not module.name.startswith(("moo_bnas.models.fast", "moo_bnas.loggers")):
            importlib.import_module(module.name)


if __name__ == "__main__":
    _import_everything()
    gc.freeze()  # or each process would copy the memory that it looks through
    _serve(socket.socket(fileno=int(sys.argv[1])))
    _run()
