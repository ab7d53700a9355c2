"""Entries of the cache: made once, whole or not at all, never silently wrong."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from moo_bnas.data.cache import Entry, Source, open_entry
from moo_bnas.data.statistics import channel_sums
from moo_bnas.errors import DataError
from tests.fork_server import PYTHON
from tests.marks import slow

IMAGES = np.arange(6 * 3 * 2 * 2, dtype=np.uint8).reshape(6, 3, 2, 2)
LABELS = np.array([0, 0, 0, 1, 1, 1])
Batches = Iterator[NDArray[np.uint8]]

# Makes an entry of 6 images; between its two batches it says so and waits for a line.
_MAKE = """
import logging, sys
from pathlib import Path
from tests.data.test_cache import source
from moo_bnas.data.cache import open_entry

def pause():
    print("half", flush=True)
    sys.stdin.readline()

logging.basicConfig(level=logging.INFO, format="%(message)s")
print(open_entry(Path(sys.argv[1]), source(pause)).content_hash, flush=True)
"""


def source(between: Callable[[], object] = lambda: None, key: str = "k" * 64) -> Source:
    """Reads IMAGES in two batches, and calls `between` them."""

    def batches() -> Batches:
        yield IMAGES[:4]
        between()
        yield IMAGES[4:]

    return Source("the files", key, ("a", "b"), (3, 2, 2), lambda: (LABELS, batches()))


def _is_right(entry: Entry) -> bool:
    arrays = ((entry.images, IMAGES), (entry.labels, LABELS), (entry.sums, channel_sums(IMAGES)))
    return all(np.array_equal(found, expected) for found, expected in arrays)


def _folder(root: Path) -> Path:
    return root / "cache" / ("k" * 64)


def _start(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PYTHON, "-c", _MAKE, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _line(stream: object) -> str:
    line: str = stream.readline()  # type: ignore[attr-defined]
    return line.strip()


def _never() -> None:
    raise AssertionError("decoded again")


def test_an_entry_is_made_once_and_mapped(tmp_path: Path) -> None:
    cold = open_entry(tmp_path, source())
    warm = open_entry(tmp_path, source(_never))
    assert _is_right(cold)
    assert _is_right(warm)
    assert cold.content_hash == warm.content_hash
    assert isinstance(warm.images, np.memmap)
    assert not warm.images.flags.writeable
    about = json.loads((_folder(tmp_path) / "about.json").read_text())
    assert (about["images"], about["classes"]) == (6, ["a", "b"])
    assert [p for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"] == [_folder(tmp_path)]


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    one, other = (open_entry(tmp_path, source(key=k * 64)) for k in "xy")
    assert one.content_hash == other.content_hash
    named = Source("w", "z" * 64, ("a", "c"), (3, 2, 2), lambda: (LABELS, iter([IMAGES])))
    mixed = Source("w", "w" * 64, ("a", "b"), (3, 2, 2), lambda: (LABELS[::-1], iter([IMAGES])))
    hashes = {open_entry(tmp_path, s).content_hash for s in (source(), named, mixed)}
    assert len(hashes) == 3


def test_after_a_kill_in_the_middle_another_process_starts_from_scratch(tmp_path: Path) -> None:
    process = _start(tmp_path)
    assert _line(process.stdout) == "half"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    part = _folder(tmp_path).with_name("k" * 64 + ".part")
    assert part.exists()
    assert not _folder(tmp_path).exists()
    assert _is_right(open_entry(tmp_path, source()))
    assert not part.exists()


def test_of_two_processes_one_decodes_and_the_other_waits(tmp_path: Path) -> None:
    first = _start(tmp_path)
    assert _line(first.stdout) == "half"
    second = _start(tmp_path)
    waiting = _line(second.stderr)
    assert f"waiting for process {first.pid} on " in waiting
    assert waiting.endswith(", which decodes the files")
    made = first.communicate("continue\n", timeout=60)[0]
    found, log = second.communicate(timeout=60)
    assert first.returncode == second.returncode == 0
    assert found == made  # and not "half" before it
    assert "decoding" not in log


def test_when_the_process_that_decodes_dies_the_one_that_waits_takes_over(tmp_path: Path) -> None:
    first = _start(tmp_path)
    assert _line(first.stdout) == "half"
    second = _start(tmp_path)
    assert "waiting for" in _line(second.stderr)
    first.kill()
    first.communicate()
    assert _line(second.stdout) == "half"
    second.communicate("continue\n", timeout=60)
    assert second.returncode == 0
    assert _is_right(open_entry(tmp_path, source(_never)))


def _cut(folder: Path) -> None:
    os.truncate(folder / "images.npy", 150)


def _lengthen(folder: Path) -> None:
    with (folder / "images.npy").open("ab") as file:
        file.write(b"more")


def _flip(folder: Path) -> None:
    with (folder / "images.npy").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")


def _swap_labels(folder: Path) -> None:
    np.save(folder / "labels.npy", LABELS[::-1])


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"")


def _reshape(folder: Path) -> None:
    np.save(folder / "images.npy", IMAGES.reshape(6, 2, 3, 2))


def _replace(folder: Path) -> None:
    other = Source("w", "o" * 64, ("a", "b"), (3, 2, 2), lambda: (LABELS, iter([IMAGES + 1])))
    open_entry(folder.parents[1], other)
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("o" * 64), folder)


def _lose(folder: Path) -> None:
    (folder / "images.npy").unlink()


@pytest.mark.parametrize("name", ["sums.bin", *slow("images.npy", "labels.npy", "about.json")])
def test_whichever_bit_of_an_entry_flips_it_is_right_or_made_again(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    open_entry(tmp_path, source())
    whole = (_folder(tmp_path) / name).read_bytes()
    for bit in range(0, 8 * len(whole), 3):  # of each byte some, of each header every kind
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        (_folder(tmp_path) / name).write_bytes(flipped)
        assert _is_right(open_entry(tmp_path, source()))


@pytest.mark.timeout(20)
def test_a_pipe_in_an_entry_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("labels.npy", "images.npy", "sums.bin", "about.json"):
        open_entry(tmp_path, source())
        (_folder(tmp_path) / name).unlink()
        os.mkfifo(_folder(tmp_path) / name)
        assert _is_right(open_entry(tmp_path, source()))


def test_labels_that_claim_to_be_many_take_no_memory(tmp_path: Path) -> None:
    open_entry(tmp_path, source())
    labels = _folder(tmp_path) / "labels.npy"
    whole = labels.read_bytes()
    labels.write_bytes(whole.replace(b"(6,), }         ", b"(999999999999,)}"))
    assert labels.read_bytes() != whole
    assert _is_right(open_entry(tmp_path, source()))


@pytest.mark.parametrize(
    "damage", [_cut, _lengthen, _flip, _swap_labels, _empty, _reshape, _replace, _lose]
)
def test_a_damaged_entry_is_noticed_and_made_again(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    before = open_entry(tmp_path, source()).content_hash
    damage(_folder(tmp_path))
    again = open_entry(tmp_path, source())
    assert _is_right(again)
    assert again.content_hash == before
    assert f"the cache {_folder(tmp_path)} is damaged (" in caplog.text
    open_entry(tmp_path, source(_never))


@pytest.mark.parametrize("damaged", [False, True])
def test_statistics_that_are_missing_as_in_old_entries_are_added(
    tmp_path: Path, damaged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    open_entry(tmp_path, source())
    sums = _folder(tmp_path) / "sums.bin"
    whole = sums.read_bytes()
    sums.write_bytes(whole[:-1] + b"x") if damaged else sums.unlink()
    caplog.clear()
    assert _is_right(open_entry(tmp_path, source(_never)))
    assert caplog.messages == [
        f"adding the channel statistics of the files to the cache {_folder(tmp_path)}"
    ]
    assert sums.read_bytes() == whole
    assert _is_right(open_entry(tmp_path, source(_never)))
    assert len(caplog.messages) == 1


def test_an_error_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        raise DataError("broken")

    with pytest.raises(DataError, match="^broken$"):
        open_entry(tmp_path, source(fail))
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]
    assert _is_right(open_entry(tmp_path, source()))


# A limit on the size of files fails a write as a full disk does.
_LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
import sys
import numpy as np
from pathlib import Path
from moo_bnas.data.cache import Source, open_entry
from moo_bnas.errors import DataError

images = np.zeros((100, 3, 8, 8), np.uint8)
big = Source("big", "b" * 64, ("a",), (3, 8, 8), lambda: (np.zeros(100, int), iter([images])))
try:
    open_entry(Path(sys.argv[1]), big)
except DataError as error:
    print(error)
"""


def test_a_write_that_fails_says_how_much_is_needed_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"the cache of big needs 19,200 bytes in {tmp_path}/cache: File too large; free that "
        "space or give another --data-root\n"
    )
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]


@pytest.mark.parametrize("known", [True, False])
def test_a_full_disk(small_disk: Path, monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    if not known:  # another process fills it while this one writes
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 10**9))
    images = np.zeros((1000, 3, 8, 8), np.uint8)
    big = Source(
        "big", "b" * 64, ("a",), (3, 8, 8), lambda: (np.zeros(1000, np.int64), iter([images]))
    )
    why = "bytes are free" if known else "No space left on device"
    with pytest.raises(DataError, match=f"the cache of big needs 192,000 bytes in .*{why}; free"):
        open_entry(small_disk, big)
    assert not [p for p in (small_disk / "cache").iterdir() if p.is_dir()]
    assert _is_right(open_entry(small_disk, source()))


def test_a_read_only_cache_can_be_read(small_disk: Path) -> None:
    open_entry(small_disk, source())
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert _is_right(open_entry(small_disk, source(_never)))
    with pytest.raises(DataError, match=r"cannot use the cache of the files .*Read-only file sy"):
        open_entry(small_disk, source(key="x" * 64))


def test_an_impossible_data_root_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot use the cache of the files in .*/file/cache: "):
        open_entry(tmp_path / "file", source())
