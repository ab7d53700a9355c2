"""`moo-bnas cost`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from moo_bnas.cli.options import MOST, general_options, parse_ratios
from moo_bnas.output import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from moo_bnas.evaluation import Precision
    from moo_bnas.networks.network import Network


@click.command(short_help="FLOPs, memory and widths of a network, without training it.")
@click.argument("network_name", metavar="NETWORK")
@click.option(
    "--ratios",
    default="1",
    show_default=True,
    metavar="R,R,...",
    help="One expansion ratio per gene; a single one is used for all genes.",
)
@click.option(
    "--base-width", type=click.IntRange(1, 65536), help="Channels of the first layer at 1x."
)
@click.option("--image-size", type=click.IntRange(1, MOST), help="Height and width of the images.")
@click.option("--channels", type=click.IntRange(1, MOST), help="Channels of the images.")
@click.option("--classes", type=click.IntRange(2, MOST), help="Number of classes.")
@click.option(
    "--stem",
    type=click.Choice(["imagenet", "small"]),
    help="First layers of a resnet18.  [default: imagenet]",
)
@click.option(
    "--downsampling",
    type=click.Choice(["binary", "real"]),
    help="Shortcuts of a resnet18 that change the shape.  [default: binary]",
)
@click.option(
    "--precision",
    type=click.Choice(["binary", "full"]),
    default="binary",
    show_default=True,
    help="The binary network, or its full-precision twin.",
)
@click.option(
    "--published",
    is_flag=True,
    help="Add the published networks in the shape of a resnet18 that the paper compares with.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@general_options
def cost(
    network_name: str,
    ratios: str,
    base_width: int | None,
    image_size: int | None,
    channels: int | None,
    classes: int | None,
    stem: str | None,
    downsampling: str | None,
    precision: Precision,
    published: bool,
    as_json: bool,
) -> None:
    """Show FLOPs, memory, speedup and widths of NETWORK (vgg_small or resnet18), layer by layer.

    FLOPs are multiply-accumulates; those of binary layers count 1/64. Speedup is against the
    full-precision network at 1x.

    \b
    Example:
      moo-bnas cost vgg_small --ratios 0.5,1,1,2,1,0.25
    """
    from dataclasses import replace

    from moo_bnas.evolution.space import SearchSpace
    from moo_bnas.networks import make_network
    from moo_bnas.networks.cost import COSTS, FLOPS

    image = make_network(network_name).image
    sizes = {"size": image_size, "channels": channels, "classes": classes}
    if stem == "small":
        image = replace(image, size=32)
    image = replace(image, **{k: v for k, v in sizes.items() if v is not None})

    def make(downsampling: str | None) -> Network:
        return make_network(
            network_name, image, base_width=base_width, stem=stem, downsampling=downsampling
        )

    network = make(downsampling)
    space = SearchSpace(network.genes)
    given = parse_ratios(ratios)
    genotype = space.encode(given * len(network.genes) if len(given) == 1 else given)
    widths = space.widths_of(genotype, network.base_widths)
    if 0 in widths:
        raise click.BadParameter(
            f"got a base width that leaves {network.genes[widths.index(0)]} without channels; "
            "raise --base-width"
        )
    specs = network.layers(widths, precision)
    layers: list[dict[str, Any]] = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "precision": layer.precision,
            "in_channels": int(layer.in_channels),
            "out_channels": int(layer.out_channels),
            "out_size": layer.out_size,
            **{name: c.total([layer]) for name, c in COSTS.items()},
        }
        for layer in specs
    ]
    totals = {name: c.total(specs) for name, c in COSTS.items()}
    twin = FLOPS.of(network, network.base_widths, "full")
    document = {
        "network": network.name,
        "ratios": list(space.decode(genotype)),
        "widths": list(widths),
        **totals,
        "speedup": twin / totals[FLOPS.name],
        "layers": layers,
    }
    if published:
        document["published"] = _published(network_name, make, twin)
    if as_json:
        show(json.dumps(document))
        return
    summary = {
        "ratios": " ".join(f"{r:g}" for r in space.decode(genotype)),
        "widths": " ".join(map(str, widths)),
        **{c.title: c.amount(totals[name]) for name, c in COSTS.items()},
        "speedup": f"{document['speedup']:.1f}x",
    }
    show(
        f"{network.name}, {precision} precision, {image.size}x{image.size}x{image.channels}, "
        f"{image.classes} classes"
    )
    wide = max(len(title) for title in summary)
    show("".join(f"{title:<{wide}}  {text}\n" for title, text in summary.items()))
    show(
        f"{'layer':<16} {'kind':<12} {'precision':<9} {'in':>5} {'out':>5} {'size':>5}"
        + "".join(f" {c.title:>12}" for c in COSTS.values())
    )
    for entry in layers:
        if any(entry[name] for name in COSTS):
            show(
                f"{entry['name']:<16} {entry['kind']:<12} {entry['precision']:<9}"
                f" {entry['in_channels']:>5} {entry['out_channels']:>5} {entry['out_size']:>5}"
                + "".join(f" {c.amount(entry[name]):>12}" for name, c in COSTS.items())
            )
    if published:
        show("\npublished networks at 1x")
    for each in document.get("published", ()):
        show(f"{each['name']:<16} {FLOPS.amount(each['flops']):>10} {each['speedup']:>7.1f}x")


def _published(
    network_name: str, make: Callable[[str | None], Network], twin: float
) -> list[dict[str, Any]]:
    """The entries of the published networks; `twin` is the FLOPs of the full-precision one."""
    from moo_bnas.networks.published import PUBLISHED

    if network_name != "resnet18":
        raise click.BadParameter(
            f"got --published with {network_name}, expected resnet18, whose shape the published "
            "networks have; leave --published out"
        )
    flops = {each.name: each.flops(make) for each in PUBLISHED}
    return [{"name": name, "flops": n, "speedup": twin / n} for name, n in flops.items()]
