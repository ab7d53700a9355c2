from __future__ import annotations

import io
import os
import re
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import EpsImagePlugin, Image

from moo_bnas.data import pixels
from moo_bnas.data.pixels import read_image
from moo_bnas.errors import DataError
from tests.data.trees import image


def _read(tmp_path: Path, made: Image.Image, channels: int = 3, **how: Any) -> NDArray[np.uint8]:
    path = tmp_path / "image.png"
    made.save(path, **how)
    return read_image(path, 2, channels)


def _grey(rows: list[list[int]], dtype: type = np.uint8) -> Image.Image:
    return Image.fromarray(np.array(rows, dtype))


def test_an_image_of_the_size_wanted_keeps_its_pixels(tmp_path: Path) -> None:
    made = image(0, 2)
    assert np.array_equal(_read(tmp_path, made), np.asarray(made).transpose(2, 0, 1))


def test_grey_becomes_rgb_and_rgb_grey(tmp_path: Path) -> None:
    assert _read(tmp_path, _grey([[0, 1], [2, 255]])).tolist() == [[[0, 1], [2, 255]]] * 3
    # 0.299 R + 0.587 G + 0.114 B
    colours = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    assert _read(tmp_path, Image.fromarray(colours), 1).tolist() == [[[76, 150], [29, 255]]]


def test_16_bits_are_scaled_to_8_not_cut(tmp_path: Path) -> None:
    deep = _grey([[0, 257], [128, 65535]], np.uint16)
    assert _read(tmp_path, deep, 1).tolist() == [[[0, 1], [0, 255]]]
    assert _read(tmp_path, deep, 3).tolist() == [[[0, 1], [0, 255]]] * 3


def test_what_is_transparent_is_laid_over_black(tmp_path: Path) -> None:
    seen = np.array([[[200, 100, 50, 255], [200, 100, 50, 0]]] * 2, np.uint8)
    assert _read(tmp_path, Image.fromarray(seen))[:, 0].T.tolist() == [[200, 100, 50], [0, 0, 0]]
    grey = Image.fromarray(np.array([[[9, 255], [9, 0]]] * 2, np.uint8), "LA")
    assert _read(tmp_path, grey, 1).tolist() == [[[9, 0], [9, 0]]]


def test_palettes_are_looked_up(tmp_path: Path) -> None:
    made = _grey([[0, 1], [1, 0]])
    made.putpalette([10, 20, 30, 40, 50, 60])
    expected = [[[10, 40], [40, 10]], [[20, 50], [50, 20]], [[30, 60], [60, 30]]]
    assert _read(tmp_path, made).tolist() == expected
    assert _read(tmp_path, made, transparency=0)[:, 0].T.tolist() == [[0, 0, 0], [40, 50, 60]]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = tmp_path / "print.tif"
    Image.new("CMYK", (2, 2), (255, 0, 0, 0)).save(path)
    assert read_image(path, 2, 3)[:, 0, 0].tolist() == [0, 255, 255]


def test_images_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    assert _read(tmp_path, _grey([[1, 2], [3, 4]]), 1, exif=exif).tolist() == [[[4, 3], [2, 1]]]


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    frames = [Image.new("L", (2, 2), v) for v in (10, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert read_image(path, 2, 1).tolist() == [[[10, 10], [10, 10]]]


@pytest.mark.parametrize("turned", [False, True])
def test_the_centre_of_an_oblong_image_is_kept(tmp_path: Path, turned: bool) -> None:
    rows = np.repeat([[10, 10, 20, 20, 30, 30, 40, 40]], 4, axis=0)  # 4 high, 8 wide
    found = _read(tmp_path, _grey((rows.T if turned else rows).tolist()), 1)[0]
    # of the middle 4x4 each pixel covers 2x2; bicubic overshoots by a little
    along = found[:, 0] if turned else found[0]
    assert along.tolist() == pytest.approx([20, 30], abs=1)


def test_shrinking_averages_instead_of_picking(tmp_path: Path) -> None:
    stripes = (np.indices((64, 64)).sum(axis=0) % 2 * 255).tolist()
    assert _read(tmp_path, _grey(stripes), 1).ravel().tolist() == pytest.approx([128] * 4, abs=2)


def test_a_far_larger_jpeg_is_read_about_as_well(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    gradient = np.tile(np.linspace(0, 255, 800).round().astype(np.uint8), (600, 1))
    Image.fromarray(gradient).save(path, quality=95)
    found = read_image(path, 20, 1).astype(int)
    # the middle 600 of 800 columns in 20 steps of 30: their means
    expected = [(100 + 30 * i + 14.5) / 799 * 255 for i in range(20)]
    assert found[0, 10].tolist() == pytest.approx(expected, abs=2)


def _jpeg() -> bytes:
    file = io.BytesIO()
    image(0, 64).save(file, "jpeg")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged, or none of JPEG, PNG"),
        (b"no image", "damaged, or none of JPEG, PNG"),
        (_jpeg()[:-100], "truncated"),
        (_jpeg()[:30], ""),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"broken.jpg: .*{reason}.*; replace or remove that file"):
        read_image(path, 2, 3)


def test_kinds_of_pixels_without_a_range_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "heights.tif"
    Image.fromarray(np.zeros((2, 2), np.float32)).save(path)
    with pytest.raises(DataError, match=r"heights.tif: pixels of mode F \(32 bits\), expected 8"):
        read_image(path, 2, 1)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no image .*gone.png"):
        read_image(tmp_path / "gone.png", 2, 1)


def test_postscript_is_not_run_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ran = tmp_path / "cat.png", []
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: ran.append(path))
    with pytest.raises(DataError, match="cat.png: it is damaged, or none of JPEG, PNG"):
        read_image(path, 2, 3)
    assert ran == []


@pytest.mark.parametrize("size", [(10**4, 10**4 + 1), (2**31 - 1, 2**31 - 1)])
def test_an_image_of_absurd_size_is_refused_in_one_line(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "bomb.png"
    header = struct.pack(">4sIIBBBBB", b"IHDR", *size, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = struct.pack(">I4s", 0, b"IDAT") + b"\0" * 4
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + data)
    code = "import sys; from pathlib import Path; from moo_bnas.data.pixels import read_image\n"
    code += "try: read_image(Path(sys.argv[1]), 2, 3)\nexcept Exception as error: print(error)"
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"cannot read the image .*bomb.png: .* pixels.*; .*\n", done.stdout)
    assert done.stderr == ""  # pytest would not show what a user sees: the filter of warnings


@pytest.mark.timeout(20)
def test_a_pipe_or_a_device_is_no_image(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(DataError, match="it is a pipe or a device, expected a file"):
            read_image(path, 2, 3)


def test_a_header_that_claims_4_gb_gets_no_memory(tmp_path: Path) -> None:
    whole = io.BytesIO()
    image(0, 24).save(whole, "png")
    content = whole.getvalue()
    place = content.index(b"IDAT")
    path = tmp_path / "claims.png"
    path.write_bytes(content[: place - 4] + b"\xff\xff\xff\xf0" + content[place:])
    with _memory(2**30):
        read_image(path, 2, 3)  # all of its pixels are there


def test_a_small_file_that_claims_a_hundred_million_pixels_takes_no_gigabyte(
    tmp_path: Path,
) -> None:
    """Found by the fuzz: Pillow gives it all of its memory, so nothing may hold it three times."""
    whole = io.BytesIO()
    image(0, 24).save(whole, "tiff")
    length = struct.pack("<HHII", 257, 4, 1, 24)
    assert whole.getvalue().count(length) == 1
    claimed = struct.pack("<HHII", 257, 4, 1, 10**8 // 24)
    path = tmp_path / "claims.tiff"
    path.write_bytes(whole.getvalue().replace(length, claimed))
    with _memory(2**30):
        assert read_image(path, 2, 3).shape == (3, 2, 2)


@pytest.mark.parametrize("size", [(90, 7), (7, 90), (1, 200)])
def test_what_is_transparent_is_laid_over_black_part_by_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(pixels, "_AT_ONCE", 64)
    made = image(0, size).convert("RGBA")
    made.putalpha(image(1, size).convert("L"))
    made.save(tmp_path / "whole.png")
    black = Image.new("RGBA", size, (0, 0, 0, 255))
    Image.alpha_composite(black, made).convert("RGB").save(tmp_path / "laid.png")
    assert read_image(tmp_path / "whole.png", 5, 3).tolist() == (
        read_image(tmp_path / "laid.png", 5, 3).tolist()
    )


@contextmanager
def _memory(more: int) -> Iterator[None]:
    """Lets this process take so many bytes more than it has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
