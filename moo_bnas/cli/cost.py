"""`moo-bnas cost`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from moo_bnas.cli.named_network import NamedNetwork, network_options
from moo_bnas.cli.options import general_options, parse_ratios
from moo_bnas.output import aligned, show
from moo_bnas.units import count

if TYPE_CHECKING:
    from moo_bnas.definition import Definition
    from moo_bnas.evaluation import Precision
    from moo_bnas.evolution.space import SearchSpace
    from moo_bnas.networks.network import Network


@click.command(short_help="FLOPs and memory of a network, or of a definition's search space.")
@network_options
@click.option(
    "--ratios",
    metavar="R,R,...",
    help="One expansion ratio per gene, and bits of activations where they are genes; a single "
    "ratio is used for all widths.  [default: 1 of a NETWORK; of a DEFINITION, an overview of its "
    "space]",
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
    named: NamedNetwork,
    ratios: str | None,
    precision: Precision,
    published: bool,
    as_json: bool,
) -> None:
    """Show FLOPs, memory, speedup and widths of a network, layer by layer.

    With a DEFINITION: of the cheapest, the uniform and the most expensive network of its search
    space, and of the full-precision one; with --ratios too, of that network layer by layer.

    FLOPs are multiply-accumulates; those of binary layers count 1/64. Speedup is against the
    full-precision network at 1x.

    \b
    Examples:
      moo-bnas cost vgg_small --ratios 0.5,1,1,2,1,0.25
      moo-bnas cost digits
    """
    from moo_bnas.evolution.space import SearchSpace

    definition = named.definition(published=published)
    if definition is not None:
        if ratios is None:
            _show_space(definition, as_json)
        else:
            network, space = definition.make_network(), definition.make_space()
            _show_network(network, space, parse_ratios(ratios), precision, as_json, {})
        return
    network = named.make()
    space, chosen = SearchSpace(network.genes), parse_ratios("1" if ratios is None else ratios)
    others = _published(named) if published else {}
    _show_network(network, space, chosen, precision, as_json, others)


def _show_space(definition: Definition, as_json: bool) -> None:
    """The ends of the space of a definition, and its references."""
    from moo_bnas.results.naming import called

    subject, space, costs = definition.subject(), definition.make_space(), definition.costs()
    if definition.network is None:
        _show_own_space(definition, as_json)
        return
    network = definition.make_network()
    uniform: list[tuple[str, tuple[float, ...], Precision]] = [
        (called(space, values, "binary", None), values, "binary") for values in space.uniforms()
    ]
    # Costs grow with every width and with bits, so the ends of the space are uniform.
    uniform[0] = (f"{uniform[0][0]} (cheapest)", *uniform[0][1:])
    uniform[-1] = (f"{uniform[-1][0]} (most expensive)", *uniform[-1][1:])
    rows: list[dict[str, Any]] = []
    one = space.of_ratio(1.0)
    twin = subject.costs_of(one, "full")[definition.cost.name]
    for title, values, precision in (*uniform, ("full precision 1x", one, "full")):
        found = subject.costs_of(values, precision)
        widths, bits = list(subject.widths_of(values)), subject.bits_of(values)
        rows.append(
            {"network": title, "precision": precision, "ratio": values[0], "widths": widths}
            | ({"bits": list(bits)} if bits and precision == "binary" else {})
            | found
            | {"speedup": twin / found[definition.cost.name]}
        )
    if as_json:
        document = {"definition": definition.name, "network": network.name, "size": space.size}
        show(json.dumps({**document, "rows": rows}))
        return
    image = network.image
    show(
        f"{definition.name}: {network.name}, {image.size}x{image.size}x{image.channels}, "
        f"{image.classes} classes, {_genes(space)}: {count(space.size, 'network')}\n"
    )
    titles = [c.title for c in costs.values()]
    lines = [("network", *titles, "speedup", "widths")]
    lines += [
        (
            row["network"],
            *(c.amount(row[n]) for n, c in costs.items()),
            f"{row['speedup']:.1f}x",
            " ".join(map(str, row["widths"])),
        )
        for row in rows
    ]
    show(aligned(lines))


def _genes(space: SearchSpace) -> str:
    """The genes of a space of a network, in words."""
    own = len(space.genes) - space.bit_genes
    widths = f"{count(own, 'gene')} of {count(len(space.ratios), 'ratio')}"
    bits = f" and {space.bit_genes} of {' or '.join(map(str, space.bits))} bits"
    return widths + (bits if space.bits else "")


def _show_own_space(definition: Definition, as_json: bool) -> None:
    """The cheapest and the most expensive candidate of a space that is not that of a network."""
    subject, space, costs = definition.subject(), definition.make_space(), definition.costs()
    rows: list[dict[str, Any]] = []
    for title, at in (("cheapest", 0), ("most expensive", -1)):
        values = [values[at] for values in space.values]
        rows.append({"candidate": title, "values": values} | subject.costs_of(values))
    if as_json:
        show(json.dumps({"definition": definition.name, "size": space.size, "rows": rows}))
        return
    title = f"{definition.name}: {definition.title}, {count(len(space.genes), 'gene')}"
    show(f"{title}: {count(space.size, 'candidate')}\n")
    lines = [("candidate", *(c.title for c in costs.values()), " ".join(space.genes))]
    lines += [
        (
            row["candidate"],
            *(c.amount(row[n]) for n, c in costs.items()),
            " ".join(f"{value:g}" for value in row["values"]),
        )
        for row in rows
    ]
    show(aligned(lines))


def _published(named: NamedNetwork) -> dict[str, float]:
    """FLOPs of the published networks, by name."""
    from moo_bnas.networks.published import PUBLISHED

    if named.name != "resnet18":
        raise click.BadParameter(
            f"got --published with {named.name}, expected resnet18, whose shape the published "
            "networks have; leave --published out"
        )
    return {
        each.name: each.flops(
            lambda precision, around: replace(
                named, downsampling=precision, shortcuts=around
            ).make()
        )
        for each in PUBLISHED
    }


def _show_network(
    network: Network,
    space: SearchSpace,
    given: list[float],
    precision: Precision,
    as_json: bool,
    published: dict[str, float],
) -> None:
    """One network, layer by layer, and FLOPs of published ones."""
    from moo_bnas.networks.cost import COSTS, FLOPS

    image = network.image
    genotype = space.encode(space.filled(given))
    widths = space.widths_of(genotype, network.base_widths)
    if 0 in widths:
        raise click.BadParameter(
            f"got a base width that leaves {network.genes[widths.index(0)]} without channels; "
            "raise --base-width"
        )
    specs = network.layers(widths, precision)
    own = len(widths) - network.bit_genes
    widths, bits = widths[:own], widths[own:]
    per_layer = {name: c.of_layers(specs) for name, c in COSTS.items()}
    layers: list[dict[str, Any]] = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "precision": layer.precision,
            "in_channels": int(layer.in_channels),
            "out_channels": int(layer.out_channels),
            "out_size": layer.out_size,
            **({"bits": int(layer.bits)} if layer.bits != 1 else {}),
            **{name: found[i] for name, found in per_layer.items()},
        }
        for i, layer in enumerate(specs)
    ]
    totals = {name: c.total(specs) for name, c in COSTS.items()}
    twin = FLOPS.of(network, network.base_widths, "full")
    document: dict[str, Any] = {
        "network": network.name,
        "ratios": list(space.decode(genotype)),
        "widths": list(widths),
        **({"bits": list(bits)} if bits else {}),
        **totals,
        "speedup": twin / totals[FLOPS.name],
        "layers": layers,
    }
    others: list[dict[str, Any]] = [
        {"name": n, "flops": flops, "speedup": twin / flops} for n, flops in published.items()
    ]
    if others:
        document["published"] = others
    if as_json:
        show(json.dumps(document))
        return
    summary = {
        "ratios": " ".join(f"{r:g}" for r in space.decode(genotype)),
        "widths": " ".join(map(str, widths)),
        **({"bits": " ".join(map(str, bits))} if bits else {}),
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
        f"{'layer':<16} {'kind':<14} {'precision':<9} {'in':>5} {'out':>5} {'size':>5}"
        + "".join(f" {c.title:>12}" for c in COSTS.values())
    )
    for entry in layers:
        if any(entry[name] for name in COSTS):
            show(
                f"{entry['name']:<16} {entry['kind']:<14} {entry['precision']:<9}"
                f" {entry['in_channels']:>5} {entry['out_channels']:>5} {entry['out_size']:>5}"
                + "".join(f" {c.amount(entry[name]):>12}" for name, c in COSTS.items())
            )
    if others:
        show("\npublished networks at 1x")
    for each in others:
        show(f"{each['name']:<16} {FLOPS.amount(each['flops']):>10} {each['speedup']:>7.1f}x")
