"""The module of a network of another package, with trained weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moo_bnas.errors import DefinitionError, ModelFileError
from moo_bnas.models.model_file import Layer, Model
from moo_bnas.networks import OF_ALL_NETWORKS, make_network, source_of
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.network import Network
from moo_bnas.output import one_line

if TYPE_CHECKING:
    from torch import nn


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
    weighted = [s for s in layers if s.kind in ("conv", "linear")]
    listed = sum(s.kernel**2 * s.in_channels * s.out_channels for s in weighted)
    if make is None or tuple(map(Layer.of, layers)) != card.layers or listed > weights:
        raise ModelFileError(
            f"{source} holds another network {card.network:.100} than its package makes by now; "
            "install the version of that package that trained it"
        )
    return filled(lambda: make(layers, card.binarizer), model, source)


def _network(model: Model) -> Network:
    """The network that a card names, with the options of the definition that it was made by."""
    card = model.card
    options = dict(card.made["definition"]["network"])
    name = options.pop("name")  # of the entry point; the network may call itself something else
    for key in OF_ALL_NETWORKS:
        options.pop(key, None)
    if not source_of(name):
        raise DefinitionError("it is a network of moo-bnas itself")
    shape = ImageShape(card.image.size, card.image.channels, len(card.classes))
    return make_network(name, shape, **options)


def filled(make: Callable[[], Any], model: Model, source: str) -> nn.Module:
    """A torch module with the tensors of a model, in evaluation mode.

    Args:
        make: Function that makes the module.
        model: Model whose arrays are its tensors.
        source: Name of its file, shown in errors.

    Raises:
        ModelFileError: If the module cannot be made, or has other tensors.
    """
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
