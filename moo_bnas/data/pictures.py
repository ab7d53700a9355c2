"""Pictures: whole images as JPEG in one file, each decoded when it is asked for."""

from __future__ import annotations

import hashlib
import io
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from moo_bnas.data.pixels import MODES
from moo_bnas.data.statistics import channel_sums
from moo_bnas.errors import DataError

WRITER_VERSION = 1
"""Increased whenever a change here changes the JPEGs."""

_QUALITY = 90
_CHUNK = 2**24  # bytes hashed at once
_SAMPLE = 64  # pictures that a quick check reads
_REMEDY = "remove that folder, and the next command makes it again"

Box = tuple[int, int, int, int]
"""Left, top, width and height of a part of a picture, in pixels."""


@dataclass(frozen=True)
class Encoded:
    """One picture as it is stored.

    Attributes:
        content: JPEG.
        size: Height and width, in pixels.
        sums: Sum of the pixels of each channel, and of their squares, int64, channels x 2.
    """

    content: bytes
    size: tuple[int, int]
    sums: NDArray[np.int64]


def encode(picture: Image.Image) -> Encoded:
    """Encodes a picture of mode `L` or `RGB`; sums are of the pixels before."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY)
    pixels = np.asarray(picture).reshape(picture.height, picture.width, -1)
    sums = channel_sums(pixels.transpose(2, 0, 1)[None])[0]
    return Encoded(file.getvalue(), (picture.height, picture.width), sums)


@dataclass(frozen=True, eq=False, repr=False)
class Pictures:
    """Pictures of an entry, decoded when they are asked for; by several threads at once, too.

    Indexed by an array of rows, it gives the middle squares at `side` x `side` pixels, uint8,
    n x channels x side x side, as an array of decoded images does.

    Attributes:
        folder: Folder of the entry.
        side: Pixels of the shorter side, at most.
        channels: 1 for grey, 3 for RGB.
        sizes: Height and width of each picture, uint16, n x 2.
    """

    folder: Path
    side: int
    channels: int
    sizes: NDArray[np.uint16]
    _offsets: NDArray[np.int64]
    _checks: NDArray[np.uint32]
    _file: BinaryIO
    _hash: str

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of all middle squares."""
        return len(self.sizes), self.channels, self.side, self.side

    @property
    def nbytes(self) -> int:
        """Bytes of all JPEGs."""
        return int(self._offsets[-1])

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.sizes)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The middle squares of some pictures."""
        found = np.empty((len(rows), self.side, self.side, self.channels), np.uint8)
        for place, row in zip(found, rows.tolist(), strict=True):
            place[:] = self.middle(row, self.side)
        return found.transpose(0, 3, 1, 2)

    def middle(self, row: int, size: int) -> NDArray[np.uint8]:
        """The middle of a picture whose shorter side is `side` pixels long.

        A picture that is smaller is enlarged (bicubic).

        Args:
            row: Which picture.
            size: Height and width of the result, at most `side`.

        Returns:
            uint8, size x size x channels.
        """
        height, width = (int(each) for each in self.sizes[row])
        shorter = min(height, width)
        picture = self._open(row)
        if shorter == self.side:  # at whole pixels, which are not resampled
            x, y = round((width - size) / 2), round((height - size) / 2)
            picture = picture.crop((x, y, x + size, y + size))
        else:
            cut = size * shorter / self.side
            left, top = (width - cut) / 2, (height - cut) / 2
            box = (left, top, left + cut, top + cut)
            picture = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
        return self._pixels(picture)

    def part(self, row: int, box: Box, size: int) -> NDArray[np.uint8]:
        """A part of a picture, for resizing to a size.

        Where the part is twice as large, or more, the decoder makes the picture smaller while it
        decodes, to no less than that size.

        Args:
            row: Which picture.
            box: Which part.
            size: Height and width that the part will get.

        Returns:
            uint8, height x width x channels.
        """
        left, top, width, height = box
        whole_height, whole_width = (int(each) for each in self.sizes[row])
        least = (whole_width * size // width, whole_height * size // height)
        picture = self._open(row, (max(least[0], 1), max(least[1], 1)))
        x, y = picture.width / whole_width, picture.height / whole_height  # 1 if not made smaller
        right, bottom = round((left + width) * x), round((top + height) * y)
        return self._pixels(picture.crop((round(left * x), round(top * y), right, bottom)))

    def verify(self) -> None:
        """Reads all pictures and compares their hash.

        Raises:
            DataError: If they differ from what was written.
        """
        try:
            self.check_all()
        except (OSError, ValueError) as error:
            raise DataError(
                f"the pictures in the cache {self.folder} are damaged: {error}; {_REMEDY}"
            ) from error

    def check_all(self) -> None:
        """Reads all pictures and compares their hash.

        Raises:
            OSError: If they cannot be read.
            ValueError: If they differ from what was written.
        """
        digest, at = hashlib.sha256(), 0
        while chunk := os.pread(self._file.fileno(), _CHUNK, at):
            digest.update(chunk)
            at += len(chunk)
        if digest.hexdigest() != self._hash:
            raise ValueError("the hash of all differs from the one recorded")

    def check_some(self) -> None:
        """Reads a few pictures at random and compares their checks.

        Raises:
            OSError: If one cannot be read.
            ValueError: If one differs from what was written.
        """
        for row in np.random.default_rng().integers(0, len(self), _SAMPLE).tolist():
            self._read(row)

    def _read(self, row: int) -> bytes:
        start, end = self._offsets[row : row + 2].tolist()
        content = os.pread(self._file.fileno(), end - start, start)
        if zlib.crc32(content) != self._checks[row]:
            raise ValueError(f"the content of picture {row} differs from what was written")
        return content

    def _open(self, row: int, least: tuple[int, int] | None = None) -> Image.Image:
        """Decodes a picture; no smaller than `least` (width, height), if that is given."""
        try:
            content = io.BytesIO(self._read(row))
            with Image.open(content, formats=("JPEG",)) as opened:
                size, mode = (opened.height, opened.width), opened.mode
                if size != tuple(self.sizes[row].tolist()) or mode != MODES[self.channels]:
                    raise ValueError(f"picture {row} has {size} pixels of mode {mode}")
                if least is not None:
                    opened.draft(None, least)
                opened.load()
                return opened
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoder raises errors of its own
            raise DataError(
                f"the pictures in the cache {self.folder} are damaged: {error}; {_REMEDY}"
            ) from error

    def _pixels(self, picture: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(picture, np.uint8).reshape(picture.height, picture.width, self.channels)
