"""Makes torch modules of the files of trained and exported networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moo_bnas.errors import DefinitionError, ModelFileError
from moo_bnas.extras import need
from moo_bnas.models.model_file import Layer, Model, read_model
from moo_bnas.networks import make_network, source_of
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.network import Network
from moo_bnas.output import one_line

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
    return _filled(lambda: build(specs, model.card.binarizer), model, source)


def own_module(model: Model, source: str) -> nn.Module:
    """The module of a network whose package is installed, with the trained weights.

    The package is chosen by the name of its entry point, and must make the very layers that the
    card lists: a file can have nothing made that its tensors do not fill.

    Args:
        model: Trained network.
        source: Name of its file, shown in errors.

    Raises:
        ModelFileError: If that package is not installed, or makes other networks by now.
    """
    card = model.card
    try:
        network = _network(model)
        layers = network.layers(card.widths, card.precision)
    except Exception as error:  # of another package's code, which got what the file says
        raise ModelFileError(
            f"{source} holds the network {card.network:.100} of another package, which cannot be "
            f"made here ({one_line(str(error)):.300}); install the version of its package that "
            "trained it"
        ) from error
    make, weights = network.module, sum(array.size for array in model.arrays.values())
    filled = [s for s in layers if s.kind in ("conv", "linear")]
    listed = sum(s.kernel**2 * s.in_channels * s.out_channels for s in filled)
    if make is None or tuple(map(Layer.of, layers)) != card.layers or listed > weights:
        raise ModelFileError(
            f"{source} holds another network {card.network:.100} than its package makes by now; "
            "install the version of that package that trained it"
        )
    return _filled(lambda: make(layers, card.binarizer), model, source)


def _network(model: Model) -> Network:
    """The network that a card names, with the options of the definition that it was made by."""
    card = model.card
    options = dict(card.made["definition"]["network"])
    name = options.pop("name")  # of the entry point; the network may call itself something else
    for key in ("binarizer", "binarizer_constants"):  # of all networks
        options.pop(key, None)
    if not source_of(name):
        raise DefinitionError("it is a network of moo-bnas itself")
    shape = ImageShape(card.image.size, card.image.channels, len(card.classes))
    return make_network(name, shape, **options)


def _plain(model: Model, source: str) -> nn.Module:
    from moo_bnas.models.arrays import PREFIX, check_arrays, run_shapes
    from moo_bnas.models.encoding import encoding_of
    from moo_bnas.models.plain import PlainNetwork

    shapes = run_shapes(model.card, encoding_of(model.card, source))
    shapes = {f"{PREFIX}{name}": shape for name, shape in shapes.items()}
    check_arrays(model.arrays, shapes, source)
    card = model.card.model_dump(mode="json")
    return _filled(lambda: PlainNetwork(card), model, source)


def _filled(make: Callable[[], Any], model: Model, source: str) -> nn.Module:
    import torch

    try:
        network: nn.Module = make()
        network.load_state_dict({name: torch.tensor(a) for name, a in model.arrays.items()})
    except (KeyError, RuntimeError) as error:  # a layer may be called like a method of torch's
        raise ModelFileError(
            f"{source} has a card that torch makes no network of: {error}; make it again, or "
            "fetch a copy from where you trust it"
        ) from error
    return network.eval()
