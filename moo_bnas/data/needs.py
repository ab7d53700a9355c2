"""What the data of a definition need of a machine, known before they are read."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from moo_bnas.data.image_data import Purpose

_BYTES_PER_PIXEL = 0.32  # of JPEGs as `pictures` writes them: 28 kB for a photograph of 256 x 341
_LONGER = 4 / 3  # longer side of a photograph, in shorter ones


@dataclass(frozen=True)
class Need:
    """What one purpose needs.

    Attributes:
        images: Number of images.
        room: Bytes that the cache takes.
        missing: Bytes of these that are not in the cache yet.
        seconds: Time that it takes to write them.
    """

    images: int
    room: int
    missing: int
    seconds: float


@dataclass(frozen=True)
class Needs:
    """What a search and a final training run need.

    Attributes:
        of: What each of the two needs.
        free: Bytes that are free where the cache is.
    """

    of: dict[Purpose, Need]
    free: int

    @property
    def fit(self) -> bool:
        """Whether there is room for both."""
        return sum(need.missing for need in self.of.values()) <= self.free


def free_bytes(folder: Path) -> int:
    """Bytes that are free for a folder, which need not exist."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def room_of_pixels(images: int, size: int, channels: int) -> int:
    """Bytes of images that are stored as pixels."""
    return images * channels * size**2


def room_of_pictures(images: int, side: int) -> int:
    """Bytes of photographs that are stored as JPEG, about."""
    return round(images * side**2 * _LONGER * _BYTES_PER_PIXEL)
