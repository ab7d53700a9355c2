from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import moo_bnas
from moo_bnas.output import listing, one_line, printable, show, write_whole


def test_a_file_is_there_whole_or_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_whole(path, b"first")
    write_bytes = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        write_bytes(self, content[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    # As root, `--out /dev/null` replaced the device for all programs of the machine.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "link", "folder"):
        with pytest.raises(OSError, match="it is a folder, a pipe or a device, expected a file"):
            write_whole(tmp_path / name, b"content")
    assert pipe.is_fifo()
    assert (tmp_path / "link").is_char_device()
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "link", "folder"}


HOSTILE = "\x1b[2J\x1b]0;title\x07a\rb\x9bc\u202ed\u2028e\udcfff\0g"
ESCAPED = r"\x1b[2J\x1b]0;title\x07a\rb\x9bc\u202ed\u2028e\udcfff\x00g"


def test_what_is_printed_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert one_line(f"{HOSTILE}\nmoo-bnas: x") == rf"{ESCAPED}\nmoo-bnas: x"
    assert printable(f"one\n{HOSTILE}\nélève ✓") == f"one\n{ESCAPED}\nélève ✓"
    show(HOSTILE)
    show(f"{HOSTILE}\n", err=True)
    assert capsys.readouterr() == (f"{ESCAPED}\n", f"{ESCAPED}\n\n")


def test_nothing_is_printed_in_another_way() -> None:
    package = Path(moo_bnas.__file__).parent
    others = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in package.rglob("*.py")
        for line in path.read_text().split("\n")
        if re.search(r"\bprint\(|click\.s?echo|sys\.std(out|err)\.write", line)
    ]
    assert sorted(others) == [
        "cli/status.py: console.print()",
        "output.py: print(printable(text), file=sys.stderr if err else sys.stdout, flush=True)",
        'processes.py: [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"],',
    ]


def test_files_are_listed_without_a_break_in_a_name() -> None:
    folder = Path("runs/a-name-of-many-hyphens-s0")
    paths = [folder / f"file-{i}-with-a-name.html" for i in range(6)]
    text = listing("written", [*paths, Path("other") / "x.csv"])
    assert text.replace(",", "").split() == [
        *("written:", str(paths[0]), *(p.name for p in paths[1:]), "other/x.csv")
    ]
    assert all(len(line) <= 80 for line in text.split("\n")[1:])
