"""`moo-bnas data` as a user types it."""

from __future__ import annotations

import os
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
    assert again.stderr == ""
    # 18 images of 8 x 8 x 3 bytes are written once; the two test images are not, yet.
    wrote, there = ("search     18 images, 3.5 kB in the cache, " + w for w in ("about", "which"))
    assert wrote in found.stdout
    assert there in again.stdout
    assert "final      20 images, 3.8 kB in the cache, about 0 s to write\n" in again.stdout
    final = cli("data", folder_path, "--data-root", "data", "--final")
    assert "decoding data/set: 2 images" in final.stderr


def test_pictures_are_verified_when_asked(cli: Cli, folder_path: Path, tmp_path: Path) -> None:
    plant(tmp_path / "data" / "set" / "train", images=10, size=8)
    text = folder_path.read_text().replace('name = "folder"', 'name = "folder"\nstored_as = "jpeg"')
    folder_path.write_text(text)
    command = ("data", folder_path, "--data-root", "data")
    assert cli(*command).returncode == 0
    (images,) = (tmp_path / "data" / "cache").glob("*/images.bin")
    status = images.stat()
    whole = images.read_bytes()
    assert cli(*command, "--verify").stdout.endswith(
        "verified   all of the cache that was opened\n"
    )
    # Changed between two markers of the JPEG, where no quick check looks at each byte.
    images.write_bytes(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
    os.utime(images, ns=(status.st_atime_ns, status.st_mtime_ns))
    made_again = cli(*command, "--verify")  # its ctime gives the change away
    assert made_again.returncode == 0
    assert "is damaged (the hash of all differs" in made_again.stderr


def test_room_that_is_missing_is_told_before_a_search(
    cli: Cli, folder_path: Path, tmp_path: Path, small_disk: Path
) -> None:
    plant(small_disk / "set" / "train", images=6, size=8)
    text = folder_path.read_text()
    folder_path.write_text(text.replace("image_size = 8", "image_size = 8\nstored_size = 64"))
    shown = cli("data", folder_path, "--data-root", small_disk)
    assert shown.returncode == 3  # 10 images of 12,288 bytes on a disk of 64 kB
    assert "needs 122,880 bytes" in shown.stderr
