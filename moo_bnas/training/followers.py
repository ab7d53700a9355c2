"""The processes that a worker starts to share each final training with it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moo_bnas.definition import Definition, stored_definition
from moo_bnas.training.evaluator import Evaluator
from moo_bnas.training.process_group import Group, join_group

_NOTICE_SECONDS = 30.0  # for this process to notice by itself that another one has ended
_END_SECONDS = 15.0
_POLL = 0.2

log = logging.getLogger(__name__)


@contextmanager
def lead_group(count: int, definition: Definition, device: str, data_root: Path) -> Iterator[Group]:
    """Starts `moo-bnas follow` for all processes of a group but this one, its first.

    They end with the block, or when this process ends in whichever way: each reads its standard
    input, which closes then. Should one of them end before, this process ends as well, since it may
    be waiting for that one within a step, where nothing else can stop it.

    Args:
        count: Number of processes of the group.
        definition: Definition of the run.
        device: `auto`, or the device of all of them.
        data_root: Folder that contains the data sets.
    """
    folder = tempfile.mkdtemp(prefix="moo-bnas-group-")  # which only this user may enter
    meeting = Path(folder, "meeting")
    followers = []
    over = threading.Event()
    try:
        for rank in range(1, count):
            task = {
                "meeting": str(meeting),
                "rank": rank,
                "count": count,
                "definition": definition.model_dump(mode="json"),
                "device": device,
                "data_root": str(data_root),
            }
            followers.append(_start(json.dumps(task)))

        def watch() -> None:
            while not over.wait(_POLL):
                if (said := _ended(followers)) is not None and not over.wait(_NOTICE_SECONDS):
                    log.error("%s; this worker ends as well", said)
                    shutil.rmtree(folder, ignore_errors=True)
                    os._exit(1)

        threading.Thread(target=watch, daemon=True).start()
        yield join_group(meeting, 0, count, lambda: _soon_ended(followers))
    finally:
        over.set()
        for process in followers:
            _end(process)
        shutil.rmtree(folder, ignore_errors=True)


def follow(message: str) -> None:
    """Trains with the process that wrote this message, until that one has no more to train.

    Raises:
        DataError: If the data are missing or broken here.
        DeviceError: If the device of this process fails.
    """
    task = json.loads(message)
    definition = stored_definition(task["definition"])
    group = join_group(Path(task["meeting"]), task["rank"], task["count"])
    device = group.device(task["device"])
    Evaluator(definition, device, Path(task["data_root"]), group).follow()


def _start(message: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "moo_bnas", "follow"],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches only the process that can give back its claim
    )
    assert process.stdin is not None  # noqa: S101 (what PIPE means)
    process.stdin.write(message.encode() + b"\n")
    process.stdin.flush()
    return process


def _ended(followers: list[subprocess.Popen[bytes]]) -> str | None:
    for rank, process in enumerate(followers, start=1):
        if (code := process.poll()) is not None:
            return f"process {rank} of {len(followers) + 1} has ended with exit code {code}"
    return None


def _soon_ended(followers: list[subprocess.Popen[bytes]]) -> str | None:
    """The same, for a process whose connections have closed: it ends a moment later."""
    until = time.monotonic() + _END_SECONDS / 3
    while (said := _ended(followers)) is None and time.monotonic() < until:
        time.sleep(_POLL / 4)
    return said


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
