"""Classes of images, from the file of a network; images are prepared as the file says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moo_bnas.data.pixels import SUFFIXES, read_image
from moo_bnas.errors import DataError, ModelFileError
from moo_bnas.models.model_file import KEY, Card, Model, parse_card, read_model

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Runner = Callable[[Floats], Floats]
"""From normalised images, n x channels x size x size, to logits, n x classes."""

BATCH = 64
"""Images that are read and run at once."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of one image.

    Attributes:
        path: Of the image; None where it was an array.
        classes: All, in the order of the probabilities.
        probabilities: One a class, summing to 1.
    """

    path: Path | None
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]

    def top(self, n: int) -> list[tuple[str, float]]:
        """The n likeliest classes and their probabilities, likeliest first."""
        order = np.argsort(-self.probabilities, kind="stable")[:n]
        return [(self.classes[i], float(self.probabilities[i])) for i in order]


class Predictor:
    """A network, read from its file once.

    A trained or plain network runs with torch, an ONNX one (`*.onnx`) with onnxruntime, a packed
    one with numpy alone.

    Args:
        file: That `moo-bnas train` or `moo-bnas export` wrote.

    Attributes:
        card: Of the file.

    Raises:
        ModelFileError: Where it is missing, damaged or none of these, or where onnxruntime is
            needed and not installed.
    """

    def __init__(self, file: str | Path) -> None:
        path = Path(file)
        self.card, self._run = _open(path)
        image = self.card.image
        self._mean = np.array(image.mean, np.float32)[:, None, None]
        self._std = np.array(image.std, np.float32)[:, None, None]

    def read(self, path: Path) -> Pixels:
        """An image file as pixels: channels x stored size x stored size.

        An image of any size is resized until its shorter side fits, and its centre is kept.

        Raises:
            DataError: Naming the file, where it cannot be read.
        """
        return read_image(path, self.card.image.stored_size, self.card.image.channels)

    def probabilities(self, images: Pixels) -> NDArray[np.float64]:
        """Probabilities, n x classes, of uint8 images.

        Args:
            images: n x channels x h x w; h and w are the network's image size or greater, then
                the centre is taken.

        Raises:
            DataError: Where they are of another type or shape.
        """
        size, channels = self.card.image.size, self.card.image.channels
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != channels:
            raise _misfit(images, self.card)
        top, left = (images.shape[2] - size) // 2, (images.shape[3] - size) // 2
        if top < 0 or left < 0:
            raise _misfit(images, self.card)
        middle = images[:, :, top : top + size, left : left + size].astype(np.float32)
        logits = self._run((middle - self._mean) / self._std).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        found: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return found

    def predict(
        self, images: Pixels, paths: Sequence[Path | None] | None = None
    ) -> list[Prediction]:
        """One prediction an image.

        Args:
            images: As `probabilities` takes them.
            paths: Of each; None: they have none.

        Raises:
            DataError: As `probabilities`.
        """
        paths = [None] * len(images) if paths is None else paths
        return [
            Prediction(path, self.card.classes, row)
            for i in range(0, len(images), BATCH)
            for path, row in zip(
                paths[i : i + BATCH], self.probabilities(images[i : i + BATCH]), strict=True
            )
        ]


def predict(
    file: str | Path, images: str | Path | Sequence[str | Path] | Pixels
) -> list[Prediction]:
    """What the network in a file says of images.

    Args:
        file: That `moo-bnas train` or `moo-bnas export` wrote.
        images: An image file, a folder (all images below it, sorted), several of both, or an
            array: uint8, n x channels x h x w, h and w being the network's image size or greater,
            of which the centre is taken. Files of any size are resized.

    Returns:
        One prediction an image, in their order.

    Raises:
        ModelFileError: Where the file cannot be used.
        DataError: Where an image cannot be read, a folder has none, or an array is of another kind.
    """
    predictor = Predictor(file)
    if isinstance(images, np.ndarray):
        return predictor.predict(images)
    given = [images] if isinstance(images, str | Path) else images
    paths = find_images([Path(path) for path in given])
    found: list[Prediction] = []
    for i in range(0, len(paths), BATCH):
        some = paths[i : i + BATCH]
        found += predictor.predict(np.stack([predictor.read(path) for path in some]), some)
    return found


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Image files: those given, and for each folder those below it, sorted.

    In folders, hidden files and those whose suffix is no image's are passed over, and links to
    folders are not followed.

    Raises:
        DataError: Naming a folder that has none or cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        if not os.path.isdir(path):  # Path.is_dir raises where a name is too long
            found.append(path)
            continue
        inside = sorted(_below(path))
        if not inside:
            raise DataError(
                f"the folder {path} has no images (*{', *'.join(sorted(SUFFIXES))}); give another, "
                "or the image files themselves"
            )
        found += inside
    return found


def _below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise DataError(f"cannot read {error.filename}: {error.strerror}; mend that") from error

    for inside, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:
                yield Path(inside, name)


def _open(path: Path) -> tuple[Card, Runner]:
    if path.suffix == ".onnx":
        return _onnx(path)
    model = read_model(path)
    match model.card.kind:
        case "packed":
            from moo_bnas.models.popcount import PopcountNetwork

            return model.card, PopcountNetwork(model, str(path))
        case "plain":
            return model.card, _plain(model, str(path))
        case _:
            return model.card, _trained(model, str(path))


def _trained(model: Model, source: str) -> Runner:
    from moo_bnas.models.folding import check_trained
    from moo_bnas.networks.module import build

    check_trained(model, source)
    network = build([layer.spec() for layer in model.card.layers], model.card.binarizer)
    return _with_torch(network, model)


def _plain(model: Model, source: str) -> Runner:
    from moo_bnas.models.arrays import PREFIX, check_arrays, run_shapes
    from moo_bnas.models.encoding import encoding_of
    from moo_bnas.models.plain import PlainNetwork

    shapes = run_shapes(model.card, encoding_of(model.card, source))
    shapes = {f"{PREFIX}{name}": shape for name, shape in shapes.items()}
    check_arrays(model.arrays, shapes, source)
    return _with_torch(PlainNetwork(model.card.model_dump(mode="json")), model)


def _with_torch(network: Any, model: Model) -> Runner:
    import torch

    network.load_state_dict({name: torch.tensor(a) for name, a in model.arrays.items()})
    network.eval()

    def run(images: Floats) -> Floats:
        with torch.inference_mode():
            logits: Floats = network(torch.from_numpy(images)).numpy()
        return logits

    return run


def _onnx(path: Path) -> tuple[Card, Runner]:
    from moo_bnas.models.onnx_file import IMAGES, LOGITS, missing

    try:
        import onnxruntime
    except ImportError as error:
        raise missing("onnxruntime") from error
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"cannot read {path}: {error.strerror}; give the file that `moo-bnas export --format "
            "onnx` wrote"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(content, options)
    except Exception as error:  # onnxruntime's have no common base
        raise ModelFileError(
            f"{path} is no ONNX file, or cut short or damaged ({error}); make it again, or fetch a "
            "whole copy"
        ) from error
    card = parse_card(session.get_modelmeta().custom_metadata_map.get(KEY), str(path))

    def run(images: Floats) -> Floats:
        logits: Floats = session.run([LOGITS], {IMAGES: images})[0]
        return logits

    return card, run


def _misfit(images: Pixels, card: Card) -> DataError:
    image = card.image
    return DataError(
        f"got images of type {images.dtype} and shape {list(images.shape)}, expected uint8 of "
        f"n x {image.channels} x {image.size} x {image.size} or larger; convert them, or give the "
        "paths of image files"
    )
