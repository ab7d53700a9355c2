"""Predicts the classes of images with the network in a file.

Images are prepared as the card of the file describes. A file runs with only the packages that its
format needs: a packed one runs without torch.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moo_bnas.data.pixels import SUFFIXES, read_image
from moo_bnas.errors import DataError, ModelFileError
from moo_bnas.extras import need
from moo_bnas.models.loading import module_of
from moo_bnas.models.model_file import MOST_BYTES, Card, Model, activations, read_model
from moo_bnas.output import one_line
from moo_bnas.reading import read_file

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Runner = Callable[[Floats], Floats]
"""From normalised images, n x channels x size x size, to logits, n x classes."""

_MOST_IMAGES = 64
_MOST_ACTIVATIONS = 2**30  # of all images that are run at once


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of a network for one image.

    Attributes:
        path: Path of the image; None if it was given as an array.
        classes: Names of all classes, in the order of the probabilities.
        probabilities: Probability of each class; they add up to 1.
    """

    path: Path | None
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]

    def top(self, n: int) -> list[tuple[str, float]]:
        """The n likeliest classes and their probabilities, likeliest first."""
        order = np.argsort(-self.probabilities, kind="stable")[:n]
        return [(self.classes[i], float(self.probabilities[i])) for i in order]


class Predictor:
    """A network that was read from its file.

    Trained and plain networks run with torch, ONNX ones (`*.onnx`) with onnxruntime (and onnx),
    packed ones with compiled kernels where numba is installed, and else with numpy only.

    Args:
        file: File that `moo-bnas train` or `moo-bnas export` wrote.

    Attributes:
        card: Card of the file.
        runtime: What runs the network, in words.
        batch: Number of images to read and run at once, which bounds the memory.

    Raises:
        ModelFileError: If the file is missing, damaged or of another kind, if its card describes
            no network or another one, or if a package that it needs is not installed.
    """

    def __init__(self, file: str | Path) -> None:
        path = Path(file)
        self.card, self._run, self.runtime = _open(path)
        self.batch = max(1, min(_MOST_IMAGES, _MOST_ACTIVATIONS // activations(self.card)))
        image = self.card.image
        self._mean = np.array(image.mean, np.float32)[:, None, None]
        self._std = np.array(image.std, np.float32)[:, None, None]

    def read(self, path: Path) -> Pixels:
        """Reads an image file as pixels, channels x stored size x stored size.

        The image is resized so that its shorter side is the stored size, and its centre is kept.

        Raises:
            DataError: If the file cannot be read.
        """
        return read_image(path, self.card.image.stored_size, self.card.image.channels)

    def probabilities(self, images: Pixels) -> NDArray[np.float64]:
        """Probabilities of the classes of images, n x classes.

        Args:
            images: Pixels, uint8, n x channels x h x w; h and w are at least the image size of the
                network, whose centre crop is used.

        Raises:
            DataError: If the images have another type or shape.
        """
        size, channels = self.card.image.size, self.card.image.channels
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != channels:
            raise _misfit(images, self.card)
        top, left = (images.shape[2] - size) // 2, (images.shape[3] - size) // 2
        if top < 0 or left < 0:
            raise _misfit(images, self.card)
        middle = images[:, :, top : top + size, left : left + size].astype(np.float32)
        with np.errstate(all="ignore"):  # weights may be damaged, or infinite
            logits = self._run((middle - self._mean) / self._std).astype(np.float64)
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            found: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return found

    def predict(
        self, images: Pixels, paths: Sequence[Path | None] | None = None
    ) -> list[Prediction]:
        """One prediction per image, in the order of the images.

        Args:
            images: Pixels, as for `probabilities`.
            paths: Path of each image; None if the images have no paths.

        Raises:
            DataError: If the images have another type or shape.
        """
        paths = [None] * len(images) if paths is None else paths
        return [
            Prediction(path, self.card.classes, row)
            for i in range(0, len(images), self.batch)
            for path, row in zip(
                paths[i : i + self.batch],
                self.probabilities(images[i : i + self.batch]),
                strict=True,
            )
        ]


def predict(
    file: str | Path, images: str | Path | Sequence[str | Path] | Pixels
) -> list[Prediction]:
    """Predicts the classes of images with the network in a file.

    Args:
        file: File that `moo-bnas train` or `moo-bnas export` wrote.
        images: An image file, a folder (all images below it, sorted), several of both, or an array
            of pixels: uint8, n x channels x h x w, where h and w are at least the image size of the
            network, whose centre crop is used. Image files of any size are resized.

    Returns:
        One prediction per image, in the order of the images. Files that cannot be read are left
        out, each with a warning, as `moo-bnas predict` leaves them out; `Prediction.path` tells
        which are there.

    Raises:
        ModelFileError: If the file cannot be used.
        DataError: If no image can be read, a folder has no images, or an array has another type or
            shape.
    """
    predictor = Predictor(file)
    if isinstance(images, np.ndarray):
        return predictor.predict(images)
    given = [images] if isinstance(images, str | Path) else images
    paths = find_images([Path(path) for path in given])
    broken: list[DataError] = []

    def warn(path: Path, error: DataError) -> None:
        broken.append(error)
        warnings.warn(one_line(f"left out: {error}"), stacklevel=4)

    found = list(predict_files(predictor, paths, warn))
    if paths and not found:
        more = f"; {len(broken) - 1} more cannot be read either" if len(broken) > 1 else ""
        raise DataError(f"{broken[0]}{more}")
    return found


def predict_files(
    predictor: Predictor, paths: Sequence[Path], broken: Callable[[Path, DataError], None]
) -> Iterator[Prediction]:
    """Predictions for those of these image files that can be read, in their order.

    Args:
        predictor: Network.
        paths: Image files.
        broken: Called for each file that cannot be read, which is left out.
    """
    for i in range(0, len(paths), predictor.batch):
        read = {}
        for path in paths[i : i + predictor.batch]:
            try:
                read[path] = predictor.read(path)
            except DataError as error:
                broken(path, error)
        if read:
            yield from predictor.predict(np.stack(list(read.values())), list(read))


def find_images(paths: Sequence[Path]) -> list[Path]:
    """The image files that are given, with each folder replaced by the images below it, sorted.

    In folders, hidden files and files without the suffix of an image are skipped, and links to
    folders are not followed.

    Raises:
        DataError: If a folder has no images or cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        if not os.path.isdir(path):  # Path.is_dir raises if a name is too long
            found.append(path)
            continue
        inside = sorted(_below(path))
        if not inside:
            raise DataError(
                f"the folder {path} has no images (*{', *'.join(sorted(SUFFIXES))}); give another "
                "folder, or image files"
            )
        found += inside
    return found


def _below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise DataError(
            f"cannot read {error.filename}: {error.strerror}; check that it is readable"
        ) from error

    for inside, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:
                yield Path(inside, name)


def _open(path: Path) -> tuple[Card, Runner, str]:
    if path.suffix == ".onnx":
        return *_onnx(path), "onnxruntime"
    model = read_model(path)
    match model.card.kind:
        case "packed":
            return model.card, *_packed(model, str(path))
        case _:
            return model.card, _with_torch(model, str(path)), "torch"


def _packed(model: Model, source: str) -> tuple[Runner, str]:
    try:
        from moo_bnas.models.fast.network import FastNetwork
    except (ImportError, RuntimeError) as error:  # RuntimeError: no folder for compiled code
        from moo_bnas.models.packed import reference

        missing = isinstance(error, ModuleNotFoundError)
        why = "" if missing else f", because numba does not start ({error})"
        remedy = "; pip install 'moo-bnas[fast]' makes it many times as fast" if missing else ""
        return reference(model, source), f"numpy only{why}{remedy}"
    network = FastNetwork(model, source)
    return network, f"numba kernels for {network.path}"


def _with_torch(model: Model, source: str) -> Runner:
    need("torch", source, "export it with --format packed where torch is installed")
    import torch

    network = module_of(model, source)

    def run(images: Floats) -> Floats:
        with torch.inference_mode():
            logits: Floats = network(torch.from_numpy(images)).numpy()
        return logits

    return run


def _onnx(path: Path) -> tuple[Card, Runner]:
    from moo_bnas.models.onnx_file import IMAGES, LOGITS, missing
    from moo_bnas.models.onnx_reading import read_card

    try:
        import onnxruntime
    except ImportError as error:
        raise missing("onnxruntime") from error
    try:
        content = read_file(path, MOST_BYTES)
    except OSError as error:
        raise ModelFileError(
            f"cannot read {path}: {error.strerror}; give the file that `moo-bnas export --format "
            "onnx` wrote"
        ) from error
    card = read_card(content, str(path))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(content, options)

    def run(images: Floats) -> Floats:
        logits: Floats = session.run([LOGITS], {IMAGES: images})[0]
        return logits

    return card, run


def _misfit(images: Pixels, card: Card) -> DataError:
    image = card.image
    return DataError(
        f"got images of type {images.dtype} and shape {list(images.shape)}, expected uint8 of "
        f"n x {image.channels} x {image.size} x {image.size} or larger; convert them, or give "
        "paths of image files"
    )
