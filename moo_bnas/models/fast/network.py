"""Runs a packed network with compiled kernels; needs numba (`pip install 'moo-bnas[fast]'`)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from moo_bnas.errors import DataError
from moo_bnas.models.fast.kernels import run
from moo_bnas.models.fast.lowering import Constants, Program
from moo_bnas.models.fast.plan import plan
from moo_bnas.models.fast.processor import PATH
from moo_bnas.models.model_file import Model

Floats = NDArray[np.float32]


class FastNetwork:
    """A packed network, run with kernels for this processor. One call at a time.

    Its bits are those of the reference, `popcount`, given equal sums of the full-precision first
    conv, which is computed in float32; so logits may differ in the last digits.

    Args:
        model: Packed network.
        source: Name of its file, shown in errors.
        threads: Number of threads among which the images of a call are divided.

    Attributes:
        card: Card of the file.
        path: Name of the kernels, for example `AVX2`.

    Raises:
        ModelFileError: If it is not a packed network, its tensors are not those of its card, or
            the shapes of its layers do not fit together.
    """

    def __init__(self, model: Model, source: str, threads: int = 1) -> None:
        self.card, self.path = model.card, PATH.name
        constants = Constants(plan(model, source))
        self._programs = [Program(constants) for _ in range(threads)]

    def __call__(self, images: Floats) -> Floats:
        """Logits, n x classes, of normalised images, n x channels x size x size.

        Raises:
            DataError: If the images have another type or shape.
        """
        image = self.card.image
        if images.dtype != np.float32 or images.shape[1:] != (
            image.channels,
            image.size,
            image.size,
        ):
            raise DataError(
                f"got images of type {images.dtype} and shape {list(images.shape)}, expected "
                f"normalised ones: float32 of n x {image.channels} x {image.size} x {image.size}"
            )
        images = np.ascontiguousarray(images)
        logits = np.empty((len(images), len(self.card.classes)), np.float32)
        parts = [
            part
            for part in zip(
                self._programs,
                np.array_split(images, len(self._programs)),
                np.array_split(logits, len(self._programs)),
                strict=True,
            )
            if len(part[1])
        ]
        if len(parts) == 1:
            _run(*parts[0])
        elif parts:
            with ThreadPoolExecutor(len(parts)) as pool:
                list(pool.map(lambda part: _run(*part), parts))
        return logits


def _run(program: Program, images: Floats, logits: Floats) -> None:
    run(program.steps, images, program.out, logits, program.scratch)
