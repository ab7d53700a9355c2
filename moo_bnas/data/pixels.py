"""Decodes image files: into pixels of a fixed size, or into pictures that keep their shape."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from moo_bnas.errors import DataError
from moo_bnas.reading import read_file

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm")
)
READER_VERSION = 1
"""Increased whenever a change here changes the decoded pixels."""

# Pillow knows many more, and runs Ghostscript for some of them, whatever the file is called.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_MOST_PIXELS = 10**8  # 0.8 GB while it is converted; larger cameras make JPEG, read at a half
_AT_ONCE = 2**22  # pixels that are laid over black at a time
_MOST_BYTES = 2**29

# `read_image` counts the pixels itself, and Pillow's warning would be two more lines for each file.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

MODES = {1: "L", 3: "RGB"}
"""Pillow's modes of images, by their number of channels."""
MOST_SIDE = 2**14
"""Pixels of a side of a picture, at most."""


def read_image(path: Path, size: int, channels: int) -> NDArray[np.uint8]:
    """Reads an image file.

    The image is rotated as its EXIF data says, blended onto black where it is transparent, and
    converted to grey or RGB; 16-bit grey is scaled to 8 bits. The first frame of an animation is
    read. An image of another size is scaled (bicubic, antialiased) until its shorter side fits,
    and its centre is kept. Colour profiles are not applied.

    Args:
        path: Image file.
        size: Height and width of the result.
        channels: 1 for grey, 3 for RGB.

    Returns:
        Pixels, uint8, channels x size x size.

    Raises:
        DataError: If the file cannot be read, is of another format than `SUFFIXES` name, has more
            than 10**8 pixels, or its pixels are 32-bit integers or floats; the message names it.
    """
    with _naming(path):
        image = _decoded(path, size, channels)
        if image.size != (size, size):
            side = min(image.size)  # crop and resize in one pass, so pixels are resampled once
            left, top = (image.width - side) / 2, (image.height - side) / 2
            image = image.resize(
                (size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
            )
        return np.asarray(image, np.uint8).reshape(size, size, channels).transpose(2, 0, 1)


def read_picture(path: Path, side: int, channels: int) -> Image.Image:
    """Reads an image file whole, with its aspect; otherwise as `read_image` does.

    Args:
        path: Image file.
        side: Pixels of the shorter side of the result, at most: a larger image is made smaller.
        channels: 1 for grey, 3 for RGB.

    Returns:
        Picture of mode `L` or `RGB`; its longer side is at most `MOST_SIDE`.

    Raises:
        DataError: As by `read_image`, or if the image is far longer than it is wide.
    """
    with _naming(path):
        image = _decoded(path, side, channels)
        if (shorter := min(image.size)) > side:
            width, height = (max(round(each * side / shorter), side) for each in image.size)
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        if max(image.size) > MOST_SIDE:
            raise ValueError(
                f"it has {image.width} x {image.height} pixels once its shorter side is {side}, "
                f"expected at most {MOST_SIDE:,} on a side"
            )
        return image


def _decoded(path: Path, size: int, channels: int) -> Image.Image:
    """An image of a file, of any size; a JPEG may be smaller than it was, but not than `size`."""
    # Whole, because Pillow asks a file for as many bytes as its header says, up to 4 GB.
    content = io.BytesIO(read_file(path, _MOST_BYTES))
    with Image.open(content, formats=_FORMATS) as opened:
        # A JPEG more than twice as large is decoded at 1/2, 1/4 or 1/8, which is far faster.
        opened.draft(None, (size, size))
        if opened.width * opened.height > _MOST_PIXELS:
            raise ValueError(
                f"it has {opened.width} x {opened.height} pixels, expected at most {_MOST_PIXELS:,}"
            )
        ImageOps.exif_transpose(opened, in_place=True)
        return _convert(opened, MODES[channels])


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors name the file."""
    try:
        yield
    except MemoryError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"there is no image {path}; check the path") from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"cannot read the image {path}: it is damaged, or none of {', '.join(_FORMATS)}; "
            "replace or remove that file"
        ) from error
    except Exception as error:  # each of Pillow's decoders raises errors of its own
        raise DataError(
            f"cannot read the image {path}: {error}; replace or remove that file"
        ) from error


def _convert(image: Image.Image, mode: str) -> Image.Image:
    """The image in a mode. It holds one further image in memory at most: a file may claim a lot."""
    if image.mode in ("I", "F"):
        raise ValueError(
            f"pixels of mode {image.mode} (32 bits), expected 8 or 16 bits per channel"
        )
    if image.mode.startswith("I;16"):
        # Pillow would cut these off at 255. Dividing by 257, rounded, turns 65535 into 255; 32 bits
        # keep the sum from wrapping around.
        grey = np.asarray(image).astype(np.uint32)
        grey += 128
        grey //= 257
        image = Image.fromarray(grey.astype(np.uint8))
    elif image.has_transparency_data:
        return _over_black(image, mode)
    return image if image.mode == mode else image.convert(mode)


def _over_black(image: Image.Image, mode: str) -> Image.Image:
    """A transparent image: the colour under transparent pixels is arbitrary and must not show."""
    whole = Image.new(mode, image.size)
    for box in _parts(*image.size):
        upper = image.crop(box).convert("RGBA")
        black = Image.new("RGBA", upper.size, (0, 0, 0, 255))
        whole.paste(Image.alpha_composite(black, upper).convert(mode), box)
    return whole


def _parts(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """Boxes that cover an image, side by side along its longer side."""
    step = max(_AT_ONCE // min(width, height), 1)
    for start in range(0, max(width, height), step):
        end = start + step
        if width > height:
            yield start, 0, min(end, width), height
        else:
            yield 0, start, width, min(end, height)
