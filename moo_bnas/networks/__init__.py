"""Networks: their layer specs, made without torch, and in `module` the torch modules of specs."""

from __future__ import annotations

from collections.abc import Callable

from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import PRECISIONS
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.network import Network
from moo_bnas.networks.resnet18 import resnet18
from moo_bnas.networks.vgg_small import vgg_small
from moo_bnas.plugins import Plugins, hash_of_source

OWN = Plugins("moo_bnas.networks", "network", "network")
"""Networks that installed packages offer.

Each entry point is a function like `vgg_small`: it takes `image` (an `ImageShape`, with a default)
and options of its own, and returns a `Network`.
"""

OF_ALL_NETWORKS = ("binarizer", "binarizer_constants", "activation_bits", "bases")
"""Options of a definition's network that are the binarizer's, and are not passed to the network."""

_SHIPPED: dict[str, Callable[..., Network]] = {"vgg_small": vgg_small, "resnet18": resnet18}


def make_network(name: str, image: ImageShape | None = None, **options: object) -> Network:
    """Makes the network called `name`; an argument that is None keeps the network's own default.

    Raises:
        DefinitionError: If the name is unknown, the network does not have an option, or the package
            that provides the network is faulty.
    """
    factory = _factory(name)
    given = {k: v for k, v in {"image": image, **options}.items() if v is not None}
    OWN.check_options(name, factory, given, but="image")
    if name in _SHIPPED:
        return factory(**given)
    return _checked(name, lambda: factory(**given))


def source_of(name: str) -> str:
    """Identifies the version of a network's code; empty for the networks of moo-bnas.

    For the network of another package it is a hash of the file that contains its function.
    """
    return "" if name in _SHIPPED else hash_of_source(_factory(name))


def _factory(name: str) -> Callable[..., Network]:
    return _SHIPPED.get(name) or OWN.factory(name, _SHIPPED)


def _checked(name: str, make: Callable[[], Network]) -> Network:
    """Makes a network of another package, and its specs once, so that its faults show here."""
    try:
        network = make()
        if not isinstance(network, Network):
            raise TypeError(f"its function returned {type(network).__name__}, expected a Network")
        if len(network.genes) != len(network.base_widths):
            raise ValueError(
                f"it has {len(network.genes)} genes and {len(network.base_widths)} base widths, "
                "expected one of each"
            )
        for precision in PRECISIONS:
            network.layers(network.base_widths, precision)
    except DefinitionError:
        raise
    except Exception as error:
        raise OWN.fault(name, error) from error
    return network
