"""From an image file to pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from moo_bnas.errors import DataError

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm")
)
READER_VERSION = 1
"""Raised whenever a change here changes the pixels that come out."""

_MODES = {1: "L", 3: "RGB"}


def read_image(path: Path, size: int, channels: int) -> NDArray[np.uint8]:
    """Reads an image file.

    It is turned upright as its EXIF says, laid over black where it is transparent, and made grey or
    RGB; grey of 16 bits is scaled to 8. Of an animation it is the first frame. An image of another
    size is scaled (bicubic, antialiased) until its shorter side fits, and its centre is kept.
    Colour profiles are not applied.

    Args:
        path: Of the file.
        size: Height and width wanted.
        channels: 1 or 3.

    Returns:
        uint8, shape channels x size x size.

    Raises:
        DataError: Naming the file, where it cannot be read or has pixels of another kind (32-bit
            integers or floats).
    """
    try:
        with Image.open(path) as opened:
            opened.draft(None, (size, size))  # a JPEG far larger is decoded at a fraction
            image = _convert(ImageOps.exif_transpose(opened), _MODES[channels])
        if image.size != (size, size):
            side = min(image.size)
            left, top = (image.width - side) / 2, (image.height - side) / 2
            image = image.resize(
                (size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
            )
        return np.asarray(image, np.uint8).reshape(size, size, channels).transpose(2, 0, 1)
    except MemoryError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"there is no image {path}; mend its name") from error
    except Exception as error:  # each format of Pillow has errors of its own
        raise DataError(
            f"cannot read the image {path}: {error}; mend or remove that file"
        ) from error


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} (32 bits), expected 8 or 16 bits a channel")
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((grey + 128) // 257).astype(np.uint8))  # 65535 becomes 255
    elif image.has_transparency_data:
        upper = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", upper.size, (0, 0, 0, 255)), upper)
    return image.convert(mode)
