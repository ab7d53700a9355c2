"""Small trees of images for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def image(seed: int, size: int | tuple[int, int] = 4) -> Image.Image:
    """An RGB image of noise, another for each seed."""
    width, height = (size, size) if isinstance(size, int) else size
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(noise)


def plant(
    folder: Path, classes: str = "ab", images: int = 10, size: int | tuple[int, int] = 4
) -> None:
    """Makes `folder/<class>/<number>.png`; each image is another one."""
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(images):
            seed = sum(map(ord, f"{folder.name}/{name}")) * 1000 + i
            image(seed, size).save(folder / name / f"{i:03}.png")
