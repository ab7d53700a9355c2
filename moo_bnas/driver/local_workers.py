"""Local workers: processes that a driver starts and watches, and that end when it ends."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from moo_bnas.errors import EXIT_NO_RESTART, EXIT_USAGE, DefinitionError, WorkersError
from moo_bnas.passwords import STORAGE_VARIABLE
from moo_bnas.processes import count_cores, count_gpus
from moo_bnas.storage import HEARTBEAT

MAX_DEATHS = 5  # per worker, without a finished evaluation in between
_STOP_SECONDS = 15.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LocalOptions:
    """How local workers are started.

    Attributes:
        storage_url: URL of the storage; they get it in the environment, where `ps` does not show
            its password.
        devices: The device of each worker; there are as many workers as devices.
        data_root: Folder where they look for data.
        log_folder: Folder where each worker writes `worker-N.log`.
        heartbeat: Seconds between two signs of life of a worker.
        only_final: Whether they train final networks only.
        processes: Processes per worker, which share a final training.
        artifacts_url: Where the artifact store is; None: at the default of the storage.
    """

    storage_url: str
    devices: tuple[str, ...]
    data_root: Path
    log_folder: Path
    heartbeat: float = HEARTBEAT
    only_final: bool = False
    processes: int = 1
    artifacts_url: str | None = None


class LocalWorkers:
    """Keeps a number of worker processes running.

    Each reads its standard input and stops when that closes, which the operating system does for
    a driver that is killed. Each has a session of its own, so that Ctrl-C reaches only the driver.

    Args:
        study_name: Name of the run that they serve.
        options: How they are started.
    """

    def __init__(self, study_name: str, options: LocalOptions) -> None:
        self._study_name = study_name
        self._options = options
        self._processes: list[subprocess.Popen[bytes]] = []
        self._deaths = 0

    def start(self) -> None:
        """Starts them all."""
        self._processes = [self._spawn(i) for i in range(len(self._options.devices))]

    def check(self, progressed: bool) -> None:
        """Starts a new worker for each one that died.

        Args:
            progressed: Whether an evaluation was finished since the last call. Failed trials do not
                count: a broken device makes all of them fail.

        Raises:
            WorkersError: After `MAX_DEATHS` per worker, or once one cannot use data or artifacts,
                or was started wrongly.
        """
        if progressed:
            self._deaths = 0
        for i, process in enumerate(self._processes):
            code = process.poll()
            if code is None:
                continue
            if code in (EXIT_USAGE, EXIT_NO_RESTART):
                raise WorkersError(self._last_words(i).removeprefix("moo-bnas: "))
            self._deaths += 1
            if self._deaths >= MAX_DEATHS * len(self._processes):
                raise WorkersError(
                    f"{self._deaths} local workers died in a row, the last with exit code {code}: "
                    f"{self._last_words(i)}; see all of it in {self._log_path(i)}"
                )
            log.warning("local worker %d died (exit code %d); starting another", i, code)
            self._processes[i] = self._spawn(i)

    def stop(self) -> None:
        """Asks them to return what they train and exit; kills those that do not."""
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in self._processes:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes = []

    def _spawn(self, i: int) -> subprocess.Popen[bytes]:
        options = self._options
        command = [sys.executable, "-m", "moo_bnas", "worker", "--wait", "--until-stdin-closes"]
        command += ["--only-final"] * options.only_final
        command += ["--processes", str(options.processes)] * (options.processes > 1)
        command += ["--study-name", self._study_name, "--device", options.devices[i]]
        if options.artifacts_url is not None:
            command += ["--artifacts", options.artifacts_url]
        command += ["--heartbeat", str(options.heartbeat), "--data-root", str(options.data_root)]
        environment = {
            **os.environ,
            STORAGE_VARIABLE: options.storage_url,
            # One thread per process: on a busy machine, two can be ten times slower.
            "OMP_NUM_THREADS": "1",
        }
        options.log_folder.mkdir(parents=True, exist_ok=True)  # somebody may have tidied up
        with self._log_path(i).open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )

    def _log_path(self, i: int) -> Path:
        return self._options.log_folder / f"worker-{i}.log"

    def _last_words(self, i: int) -> str:
        if not self._log_path(i).exists():
            return "its log was deleted"
        lines = self._log_path(i).read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


def local_devices(count: int | None, device: str, processes: int = 1) -> tuple[str, ...]:
    """The devices of the local workers.

    Args:
        count: Number of workers; None means one per GPU, or one per core where there is no GPU.
        device: `auto`, or the device of all of them.
        processes: Processes per worker. With more than one, each process takes the GPU of its
            number, and one worker is the default.
    """
    if processes > 1:
        return (device,) * (1 if count is None else count)
    gpus = count_gpus() if device == "auto" and count != 0 else 0
    if count is None:
        count = gpus or count_cores()
    return tuple(f"cuda:{i % gpus}" if gpus else device for i in range(count))


def check_local_device(device: str) -> None:
    """Checks that this machine has a device, before workers are started that need it.

    Raises:
        DefinitionError: If it is a GPU that this machine does not have.
    """
    kind, _, index = device.partition(":")
    gpus = count_gpus() if kind == "cuda" else 0
    if kind == "cuda" and int(index or 0) >= gpus:
        raise DefinitionError(
            f"got --device {device:.100}, but this machine has {gpus} CUDA devices; give one of "
            "those, cpu, or --workers 0 for workers on other machines"
        )
