"""`moo-bnas train`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from moo_bnas.cli.driving import resumable
from moo_bnas.cli.finishing import final_options, given_definition, open_final, train_all
from moo_bnas.cli.options import general_options, parse_ratios

if TYPE_CHECKING:
    from moo_bnas.driver.finals import Chosen, Finals
    from moo_bnas.evolution.space import Genotype, SearchSpace


@click.command(short_help="Train a chosen network to the end, and score it on the test images.")
@final_options
@click.option("--trial", type=click.IntRange(0), metavar="N", help="That trial of the search.")
@click.option("--best", is_flag=True, help="The fittest network of the search, by Eq. 4.")
@click.option("--knee", is_flag=True, help="The knee of its front.")
@click.option(
    "--max-flops",
    type=click.FloatRange(0, min_open=True),
    metavar="X",
    help="Its most accurate network of at most X FLOPs.",
)
@click.option(
    "--ratios",
    metavar="R,R,...",
    help="Any network: one expansion ratio per gene; a single one goes to all.",
)
@click.option(
    "--precision",
    type=click.Choice(["binary", "full"]),
    default="binary",
    show_default=True,
    help="Of --ratios: the binary network, or its full-precision twin.",
)
@general_options
def train(**options: Any) -> None:
    """Train a network to the end: on all training and validation images, by [final].

    The network is one of a search, or given by its ratios; with a DEFINITION no search need have
    been run. Its test accuracy is computed once, at the end. The same command goes on after a kill
    at any moment. Workers of the run that are there already take part.

    \b
    Examples:
      moo-bnas train --knee
      moo-bnas train digits --ratios 0.5,3,2,1,1,3
    """
    ways = [k for k in ("trial", "best", "knee", "max_flops", "ratios") if _is_given(options[k])]
    if len(ways) != 1:
        got = " and ".join("--" + way.replace("_", "-") for way in ways) or "none"
        raise click.UsageError(
            f"got {got}, expected one of --trial, --best, --knee, --max-flops and --ratios"
        )
    if options["precision"] == "full" and ways != ["ratios"]:
        raise click.UsageError("got --precision full, which goes with --ratios only")
    with resumable():
        given = given_definition(options)
        if given is not None and options["ratios"] is not None:
            _genotype(given.make_space(), options["ratios"])  # or nothing is made
        finals = open_final(options, given, create=ways == ["ratios"])
        train_all(finals, [_chosen(finals, options)], options)


def _genotype(space: SearchSpace, ratios: str) -> Genotype:
    given = parse_ratios(ratios)
    return space.encode(given * len(space.genes) if len(given) == 1 else given)


def _is_given(value: Any) -> bool:
    return value is not None and value is not False


def _chosen(finals: Finals, options: dict[str, Any]) -> Chosen:
    from moo_bnas.driver.finals import choose

    if options["ratios"] is not None:
        return _genotype(finals.definition.make_space(), options["ratios"]), options["precision"]
    ways = {k: options[k] for k in ("trial", "best", "knee", "max_flops")}
    return choose(finals, **ways), "binary"
