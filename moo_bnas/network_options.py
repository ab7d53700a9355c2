"""The section of a definition that says which network is searched, and how it is binarized."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from moo_bnas.errors import DefinitionError
from moo_bnas.evaluation import PRECISIONS, Precision
from moo_bnas.networks import OF_ALL_NETWORKS, make_network, source_of
from moo_bnas.networks.bases import MOST_BASES, with_needs_of
from moo_bnas.networks.binarizers import BINARIZERS, Binarizer, check_binarizer
from moo_bnas.networks.bits import MOST_BITS, with_bit_genes, with_bits
from moo_bnas.networks.fitting import check_levels
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.network import Network
from moo_bnas.section import ADDED, Section

Bases = Annotated[int, Field(ge=1, le=MOST_BASES)]


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
        activation_bits: Bits of each binarized activation.
        bases: Of binarizer abc: how many bases the weights of each binary conv have, and its
            activations.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    binarizer: Annotated[str, AfterValidator(check_binarizer)] = "dorefa"
    binarizer_constants: dict[str, float] = Field(default_factory=dict)
    base_width: Annotated[int, Field(ge=1, le=2**16)] | None = None
    stem: Literal["imagenet", "small"] | None = None
    downsampling: Literal["binary", "real"] | None = None
    activation_bits: Annotated[int, Field(ge=1, le=MOST_BITS), ADDED] = 1
    bases: Annotated[tuple[Bases, Bases], Field(strict=False), ADDED] = (1, 1)

    def make(self, image: ImageShape, bits: Sequence[int] = (), *, shared: bool = False) -> Network:
        """The network for such images.

        Args:
            image: Shape of the images.
            bits: Bits that each binarizer chooses from, in ascending order, by genes of their own;
                none: all have `activation_bits`.
            shared: Whether there is only one such gene.

        Raises:
            DefinitionError: If there is none, if it has no such activations, or if all activations
                of a binarizer would be equal.
        """
        others = {"name", *OF_ALL_NETWORKS}
        made = make_network(self.name, image, **self.model_dump(exclude=others, exclude_none=True))
        if made.module is None:  # another package's module may do more than its specs say
            check_levels(made.layers(made.base_widths, "binary"), self._binarizer())
        made = with_needs_of(made, self._binarizer())
        if bits:
            if self.activation_bits != 1:
                raise DefinitionError(
                    "got activation_bits in [network] and in [space]; leave one of them out"
                )
            self._binarizer().of_bits(bits[-1])
            return with_bit_genes(made, shared=shared)
        return made if self.activation_bits == 1 else with_bits(made, self.activation_bits)

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
            "layers": [spec.described() for spec in layers],
            "source": source_of(self.name),
            "precision": precision,
        }

    def code_of(self, network: Network) -> str:
        """A hash of the layers of the uniform 1x network, and of its source in another package."""
        layers = [network.layers(network.base_widths, precision) for precision in PRECISIONS]
        specs = [[spec.described() for spec in each] for each in layers]
        made = json.dumps([source_of(self.name), specs], sort_keys=True)
        return hashlib.sha256(made.encode()).hexdigest()

    @model_validator(mode="after")
    def _options_are_of_the_binarizer(self) -> NetworkOptions:
        self._binarizer().of_bits(self.activation_bits)
        return self

    def _binarizer(self) -> Binarizer:
        binarizer = BINARIZERS[self.binarizer].having(self.binarizer_constants)
        return binarizer.of_bases(self.bases)
