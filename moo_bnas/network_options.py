"""The section of a definition that says which network is searched, and how it is binarized."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from moo_bnas.evaluation import PRECISIONS, Precision
from moo_bnas.networks import make_network, source_of
from moo_bnas.networks.binarizers import BINARIZERS, Binarizer, check_binarizer
from moo_bnas.networks.fitting import check_levels
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.network import Network
from moo_bnas.section import Section


class NetworkOptions(Section):
    """Which network; what is left out keeps the network's own default.

    Networks have further options, which they check themselves: `networks.vgg_small`,
    `networks.resnet18`, and those that other packages bring (see `moo_bnas.networks`).

    Attributes:
        name: Name of the network.
        binarizer: Name of the binarizer, one of `networks.binarizers`.
        binarizer_constants: Constants of the binarizer by name; those left out are the paper's.
        base_width: Channels of the first layer at ratio 1.
        stem: First layers of a ResNet-18.
        downsampling: Precision of the shortcuts of a ResNet-18 that change the shape.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    binarizer: Annotated[str, AfterValidator(check_binarizer)] = "dorefa"
    binarizer_constants: dict[str, float] = Field(default_factory=dict)
    base_width: Annotated[int, Field(ge=1, le=2**16)] | None = None
    stem: Literal["imagenet", "small"] | None = None
    downsampling: Literal["binary", "real"] | None = None

    def make(self, image: ImageShape) -> Network:
        """The network for such images.

        Raises:
            DefinitionError: If there is none, or if all activations of a binarizer would be equal.
        """
        others = {"name", "binarizer", "binarizer_constants"}
        given = self.model_dump(exclude=others, exclude_none=True)
        network = make_network(self.name, image, **given)
        if network.module is None:  # another package's module may do more than its specs say
            check_levels(network.layers(network.base_widths, "binary"), self._binarizer())
        return network

    def identity(self) -> dict[str, Any]:
        """What a fingerprint takes of it, with all constants of the binarizer, if it has any."""
        values = super().identity()
        values["binarizer_constants"] = self._binarizer().values or None
        return {key: value for key, value in values.items() if value is not None}

    def identity_of(self, network: Network, precision: Precision) -> dict[str, Any]:
        """What a fingerprint takes of it together with the layers of its network."""
        layers = network.layers(network.base_widths, precision)
        return {
            **self.identity(),
            "base_widths": network.base_widths,
            "layers": [asdict(spec) for spec in layers],
            "source": source_of(self.name),
            "precision": precision,
        }

    def code_of(self, network: Network) -> str:
        """A hash of the layers of the uniform 1x network, and of its source in another package."""
        layers = [network.layers(network.base_widths, precision) for precision in PRECISIONS]
        specs = [[asdict(spec) for spec in each] for each in layers]
        made = json.dumps([source_of(self.name), specs], sort_keys=True)
        return hashlib.sha256(made.encode()).hexdigest()

    @model_validator(mode="after")
    def _constants_are_of_the_binarizer(self) -> NetworkOptions:
        self._binarizer()
        return self

    def _binarizer(self) -> Binarizer:
        return BINARIZERS[self.binarizer].having(self.binarizer_constants)
