"""Networks: layer specs (no torch), and in `module` and `binarizers` what torch makes of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from moo_bnas.errors import DefinitionError
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.network import Network
from moo_bnas.networks.resnet18 import resnet18
from moo_bnas.networks.vgg_small import vgg_small

NETWORKS: dict[str, Callable[..., Network]] = {"vgg_small": vgg_small, "resnet18": resnet18}


def make_network(name: str, image: ImageShape | None = None, **options: object) -> Network:
    """The network called `name`; whatever is None keeps the network's own default.

    Raises:
        DefinitionError: For an unknown name, or an option that the network does not have.
    """
    if name not in NETWORKS:
        raise DefinitionError(
            f"got network {name!r}, expected one of {', '.join(sorted(NETWORKS))}; choose one"
        )
    given = {k: v for k, v in {"image": image, **options}.items() if v is not None}
    known = inspect.signature(NETWORKS[name]).parameters
    for option in given:
        if option not in known:
            raise DefinitionError(
                f"network {name} got the option {option!r}, expected only "
                f"{', '.join(k for k in known if k != 'image')}; remove it"
            )
    return NETWORKS[name](**given)
