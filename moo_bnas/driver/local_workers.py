"""Local workers: processes that a driver starts, watches, and that end when it does."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

from moo_bnas.errors import EXIT_NO_RESTART, WorkersError
from moo_bnas.passwords import STORAGE_VARIABLE
from moo_bnas.processes import count_cores

MAX_DEATHS = 5  # of each worker, without a finished evaluation between them
_STOP_SECONDS = 15.0

log = logging.getLogger(__name__)


class LocalWorkers:
    """Keeps a number of worker processes running.

    Each reads its standard input and stops when that closes, which the operating system does for
    a driver that is killed. Each has a session of its own, so that Ctrl-C reaches the driver only.

    Args:
        storage_url: Given to them in the environment, where `ps` does not show its password.
        study_name: Of the run that they serve.
        devices: One worker each.
        heartbeat: Theirs, in seconds.
        data_root: Where they look for data.
        log_folder: Each writes `worker-N.log` there.
        only_final: Whether they train final networks only.
        processes: Of each worker, which share a final training; torchrun starts more than one.
    """

    def __init__(
        self,
        storage_url: str,
        study_name: str,
        devices: list[str],
        heartbeat: float,
        data_root: Path,
        log_folder: Path,
        *,
        only_final: bool = False,
        processes: int = 1,
    ) -> None:
        self._storage_url = storage_url
        self._study_name = study_name
        self._devices = devices
        self._heartbeat = heartbeat
        self._data_root = data_root
        self._log_folder = log_folder
        self._only_final = only_final
        self._processes_each = processes
        self._processes: list[subprocess.Popen[bytes]] = []
        self._deaths = 0

    def start(self) -> None:
        """Starts them all."""
        self._processes = [self._spawn(i) for i in range(len(self._devices))]

    def check(self, progressed: bool) -> None:
        """Starts a new worker for each one that died.

        Args:
            progressed: Whether an evaluation was finished since the last call; trials that failed
                are none: a broken device fails them all.

        Raises:
            WorkersError: After `MAX_DEATHS` of each, or once one cannot use the data or artifacts.
        """
        if progressed:
            self._deaths = 0
        for i, process in enumerate(self._processes):
            code = process.poll()
            if code is None:
                continue
            if code == EXIT_NO_RESTART:
                raise WorkersError(self._last_words(i).removeprefix("moo-bnas: "))
            self._deaths += 1
            if self._deaths >= MAX_DEATHS * len(self._processes):
                raise WorkersError(
                    f"{self._deaths} local workers died in a row, the last with exit code {code}: "
                    f"{self._last_words(i)}; the whole story is in {self._log_path(i)}"
                )
            log.warning("local worker %d died (exit code %d); starting another", i, code)
            self._processes[i] = self._spawn(i)

    def stop(self) -> None:
        """Asks them to give back what they train and end; kills those that do not."""
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
        command = [sys.executable, "-m"]
        if self._processes_each > 1:
            command += ["torch.distributed.run", "--standalone"]
            command += [f"--nproc-per-node={self._processes_each}", "-m"]
        command += ["moo_bnas", "worker", "--until-stdin-closes"]
        command += ["--only-final"] * self._only_final
        command += ["--study-name", self._study_name, "--device", self._devices[i]]
        command += ["--heartbeat", str(self._heartbeat), "--data-root", str(self._data_root)]
        environment = {
            **os.environ,
            STORAGE_VARIABLE: self._storage_url,
            # One thread a process: two of them on a busy machine can be ten times slower.
            "OMP_NUM_THREADS": "1",
        }
        self._log_folder.mkdir(parents=True, exist_ok=True)  # somebody may have tidied up
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
        return self._log_folder / f"worker-{i}.log"

    def _last_words(self, i: int) -> str:
        if not self._log_path(i).exists():
            return "its log was deleted"
        lines = self._log_path(i).read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


def default_devices(count: int | None, device: str) -> list[str]:
    """The devices of the local workers.

    Args:
        count: How many workers; None: one per GPU, or one per core where there is none.
        device: `auto`, or the device of all.
    """
    gpus = _count_gpus() if device == "auto" and count != 0 else 0
    if count is None:
        count = gpus or count_cores()
    return [f"cuda:{i % gpus}" if gpus else device for i in range(count)]


def _count_gpus() -> int:
    """Counted in a subprocess, so that the driver does not load torch.

    That takes seconds, and is spared where Linux shows no device of CUDA (WSL's included) or ROCm.
    """
    nodes = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
    if sys.platform == "linux" and not any(Path(node).exists() for node in nodes):
        return 0
    counted = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"],
        capture_output=True,
        text=True,
        check=False,
    )
    return int(counted.stdout) if counted.returncode == 0 else 0
