"""Networks: their layer specs, made without torch, and in `module` the torch modules of specs."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import PRECISIONS
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.network import Network
from moo_bnas.networks.resnet18 import resnet18
from moo_bnas.networks.vgg_small import vgg_small

ENTRY_POINTS = "moo_bnas.networks"
"""Entry point group in which installed packages offer their own networks.

Each entry point is a function like `vgg_small`: it takes `image` (an `ImageShape`, with a default)
and options of its own, and returns a `Network`.
"""

_SHIPPED: dict[str, Callable[..., Network]] = {"vgg_small": vgg_small, "resnet18": resnet18}


def make_network(name: str, image: ImageShape | None = None, **options: object) -> Network:
    """Makes the network called `name`; an argument that is None keeps the network's own default.

    Raises:
        DefinitionError: If the name is unknown, the network does not have an option, or the package
            that provides the network is faulty.
    """
    factory = _factory(name)
    given = {k: v for k, v in {"image": image, **options}.items() if v is not None}
    known = inspect.signature(factory).parameters
    for option in given:
        if option not in known:
            raise DefinitionError(
                f"network {name} got the option {option!r}, expected only "
                f"{', '.join(k for k in known if k != 'image')}; remove it"
            )
    if name in _SHIPPED:
        return factory(**given)
    return _checked(name, lambda: factory(**given))


def source_of(name: str) -> str:
    """Identifies the version of a network's code; empty for the networks of moo-bnas.

    For the network of another package it is a hash of the file that contains its function.
    """
    if name in _SHIPPED:
        return ""
    path = inspect.getsourcefile(_factory(name))
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""


def _factory(name: str) -> Callable[..., Network]:
    if name in _SHIPPED:
        return _SHIPPED[name]
    installed = entry_points(group=ENTRY_POINTS)
    if name not in installed.names:
        raise DefinitionError(
            f"got network {name!r}, expected one of "
            f"{', '.join(sorted({*_SHIPPED, *installed.names}))}; choose one, or install the "
            "package that provides it"
        )
    try:
        factory: Callable[..., Network] = installed[name].load()
    except Exception as error:
        raise _fault_of(name, error) from error
    return factory


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
        raise _fault_of(name, error) from error
    return network


def _fault_of(name: str, error: Exception) -> DefinitionError:
    package = entry_points(group=ENTRY_POINTS)[name].value.partition(":")[0]
    return DefinitionError(
        f"network {name} cannot be used: {package} raised {type(error).__name__}: {error}; fix "
        "that package, or the options in [network]"
    )
