"""Makes torch modules of the files of trained and exported networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moo_bnas.errors import ModelFileError
from moo_bnas.extras import need
from moo_bnas.models.model_file import Model, read_model
from moo_bnas.models.own_module import filled, own_module

if TYPE_CHECKING:
    from torch import nn


def load_model(file: str | Path) -> nn.Module:
    """The network in a file, as a torch module in evaluation mode, on the CPU.

    It maps images, float32, n x channels x size x size, to logits, n x classes. The images are
    pixels in 0..255, less the mean and divided by the deviation of the file's card:
    `Predictor(file).card.image` has them.

    Args:
        file: What `moo-bnas train` wrote, also of a network of one's own, whose package must be
            installed; or what `moo-bnas export --format torch` made of it.

    Raises:
        ModelFileError: If the file is missing, damaged or of another kind, or if the package of its
            network is not installed or makes other networks by now.
        MissingPackageError: If torch is not installed.
    """
    need("torch", "a torch module")
    path = Path(file)
    model = read_model(path)
    if model.card.kind == "packed":
        raise ModelFileError(
            f"{path} is packed, and no torch module; expected the file that `moo-bnas train` "
            "wrote, or one of `moo-bnas export --format torch`; run it with moo_bnas.Predictor"
        )
    return module_of(model, str(path))


def module_of(model: Model, source: str) -> nn.Module:
    """The torch module of a trained or plain network, in evaluation mode.

    Args:
        model: Model to make it of.
        source: Name of its file, shown in errors.

    Raises:
        ModelFileError: As `load_model`.
    """
    if model.card.kind == "plain":
        return _plain(model, source)
    if model.card.own_module:
        return own_module(model, source)
    from moo_bnas.models.folding import check_trained
    from moo_bnas.networks.module import build

    check_trained(model, source)
    specs = [layer.spec() for layer in model.card.layers]
    return filled(lambda: build(specs, model.card.binarizer), model, source)


def _plain(model: Model, source: str) -> nn.Module:
    from moo_bnas.models.arrays import PREFIX, check_arrays, run_shapes
    from moo_bnas.models.encoding import encodings_of
    from moo_bnas.models.plain import PlainNetwork

    shapes = run_shapes(model.card, encodings_of(model.card, source)[1])
    shapes = {f"{PREFIX}{name}": shape for name, shape in shapes.items()}
    check_arrays(model.arrays, shapes, source)
    card = model.card.model_dump(mode="json")
    return filled(lambda: PlainNetwork(card), model, source)
