"""Parts that the tests of several commands use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import TINY

FOLDER = 'name = "folder"\npath = "set"\nimage_size = 8\nclasses = 2'
LOCAL = ("--workers", "2", "--device", "cpu")


@pytest.fixture
def folder_path(tmp_path: Path) -> Path:
    """A definition on images in folders, 8x8 of 2 classes."""
    path = tmp_path / "folder.toml"
    path.write_text(TINY.replace('name = "digits"', FOLDER).replace("128", "8"))
    return path
