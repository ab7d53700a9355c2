"""`moo-bnas data` as a user types it."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Cli
from tests.data.trees import plant


def test_data_checks_what_a_search_would_read(cli: Cli, folder_path: Path, tmp_path: Path) -> None:
    missing = cli("data", folder_path)
    assert missing.returncode == 3
    (shown,) = missing.stderr.splitlines()
    assert shown.startswith("moo-bnas: looked for images in ")
    assert "/.cache/moo-bnas/set/train/<class>/ and found none; put a folder of images" in shown

    plant(tmp_path / "data" / "set" / "train", images=10, size=8)
    found = cli("data", folder_path, MOO_BNAS_DATA="data")
    assert found.returncode == 0, found.stderr
    assert "images     16 train, 2 validation, 2 test\n" in found.stdout
    assert "classes    2: a, b\n" in found.stdout
    assert "decoding data/set: 18 images" in found.stderr
    again = cli("data", folder_path, "--data-root", "data")
    assert (again.stdout, again.stderr) == (found.stdout, "")
