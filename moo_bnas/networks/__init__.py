"""Networks: layer specs (no torch), and in `module` and `binarizers` what torch makes of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import entry_points

from moo_bnas.errors import DefinitionError
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.network import Network
from moo_bnas.networks.resnet18 import resnet18
from moo_bnas.networks.vgg_small import vgg_small

ENTRY_POINTS = "moo_bnas.networks"
"""The group under which installed packages offer networks of their own.

Each entry point is a function as `vgg_small`: from `image` (an `ImageShape`, with a default) and
options of its own to a `Network`.
"""

_SHIPPED: dict[str, Callable[..., Network]] = {"vgg_small": vgg_small, "resnet18": resnet18}


def make_network(name: str, image: ImageShape | None = None, **options: object) -> Network:
    """The network called `name`; whatever is None keeps the network's own default.

    Raises:
        DefinitionError: For an unknown name, or an option that the network does not have.
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
    return factory(**given)


def _factory(name: str) -> Callable[..., Network]:
    if name in _SHIPPED:
        return _SHIPPED[name]
    installed = entry_points(group=ENTRY_POINTS)
    if name not in installed.names:
        raise DefinitionError(
            f"got network {name!r}, expected one of "
            f"{', '.join(sorted({*_SHIPPED, *installed.names}))}; choose one, or install the "
            "package that brings it"
        )
    factory: Callable[..., Network] = installed[name].load()
    return factory
