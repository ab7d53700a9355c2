"""What commands share that are about a network by name, or about that of a definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from moo_bnas.cli.options import MOST, options_as

if TYPE_CHECKING:
    from moo_bnas.definition import Definition
    from moo_bnas.networks.network import Network


@dataclass(frozen=True)
class NamedNetwork:
    """Which network a command is about, as its options say; None: the network's own default.

    Attributes:
        name: Name of the network, or name or path of a definition.
        base_width: Channels of the first layer at ratio 1.
        image_size: Height and width of the images.
        channels: Channels of the images.
        classes: Number of classes.
        stem: First layers of a ResNet-18.
        downsampling: Precision of the shortcuts of a ResNet-18 that change the shape.
        shortcuts: Around what the shortcuts of a ResNet-18 are.
        activation_bits: Bits of each binarized activation.
    """

    name: str
    base_width: int | None
    image_size: int | None
    channels: int | None
    classes: int | None
    stem: str | None
    downsampling: str | None
    shortcuts: str | None
    activation_bits: int | None

    def definition(self, **others: object) -> Definition | None:
        """The definition that is named; None where it is a network.

        Args:
            others: Further options that a definition says itself, by name.

        Raises:
            UsageError: Where a definition is named and an option that it says itself is given.
        """
        from moo_bnas.shipped import shipped

        if self.name not in shipped() and not self.name.endswith(".toml"):
            return None
        from moo_bnas.definition import load_definition

        definition = load_definition(self.name)
        given = {**vars(self), **others}
        own = [f"--{k.replace('_', '-')}" for k, v in given.items() if k != "name" and v]
        if own:
            raise click.UsageError(
                f"got {', '.join(own)} and the definition {self.name}, which says that itself; "
                "leave them out"
            )
        return definition

    def make(self) -> Network:
        """The network that is named."""
        from moo_bnas.networks import make_network
        from moo_bnas.networks.bits import with_bits

        image = make_network(self.name).image
        if self.stem == "small":
            image = replace(image, size=32)
        sizes = {"size": self.image_size, "channels": self.channels, "classes": self.classes}
        image = replace(image, **{k: v for k, v in sizes.items() if v is not None})
        made = make_network(
            self.name,
            image,
            base_width=self.base_width,
            stem=self.stem,
            downsampling=self.downsampling,
            shortcuts=self.shortcuts,
        )
        bits = self.activation_bits
        return made if bits in (None, 1) else with_bits(made, bits)


def network_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of `NamedNetwork`, given as `named`."""
    decorated: Callable[..., Any] = options_as(
        "named",
        NamedNetwork,
        click.argument("name", metavar="NETWORK|DEFINITION"),
        click.option(
            "--base-width", type=click.IntRange(1, 65536), help="Channels of the first layer at 1x."
        ),
        click.option(
            "--image-size", type=click.IntRange(1, MOST), help="Height and width of the images."
        ),
        click.option("--channels", type=click.IntRange(1, MOST), help="Channels of the images."),
        click.option("--classes", type=click.IntRange(2, MOST), help="Number of classes."),
        click.option(
            "--stem",
            type=click.Choice(["imagenet", "small"]),
            help="First layers of a resnet18.  [default: imagenet]",
        ),
        click.option(
            "--downsampling",
            type=click.Choice(["binary", "real"]),
            help="Shortcuts of a resnet18 that change the shape.  [default: binary]",
        ),
        click.option(
            "--shortcuts",
            type=click.Choice(["block", "conv"]),
            help="What the shortcuts of a resnet18 are around.  [default: block]",
        ),
        click.option(
            "--activation-bits",
            type=click.IntRange(1, 4),
            help="Bits of each binarized activation.  [default: 1]",
        ),
    )(command)
    return decorated
