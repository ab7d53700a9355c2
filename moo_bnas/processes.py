"""Processes: how this one is named, its cores, and whether another one has exited."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path


def here() -> tuple[str, int]:
    """Host and process id that identify this process in a storage.

    On Linux, ids of the boot and of the process namespace follow the host name after a slash; they
    distinguish containers and cloned machines of equal names.
    """
    host = socket.gethostname()
    boot = Path("/proc/sys/kernel/random/boot_id")
    if boot.exists():
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
        host += f"/{boot.read_text()[:8]}-{namespace}"
    return host, os.getpid()


def count_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count_gpus() -> int:
    """The number of GPUs, counted in a subprocess so that this process does not load torch.

    That takes seconds, and is skipped where Linux shows no device of CUDA (WSL included) or ROCm.
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


def has_exited(host: str, pid: int) -> bool:
    """Whether a process is known to have exited; False for processes of other hosts."""
    if host != here()[0]:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it runs, and belongs to another user
        return False
    return False
