"""Parts that the tests of several commands use."""

from __future__ import annotations

import signal
from collections.abc import Iterator
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


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """Commands that run in the process of the tests take over what Ctrl-C and SIGTERM do."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
