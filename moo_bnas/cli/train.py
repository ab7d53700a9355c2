"""`moo-bnas train`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from moo_bnas.cli.driving import DriverOptions, resumable, serving
from moo_bnas.cli.finishing import FinalOptions, final_options, open_final, train_all
from moo_bnas.cli.logs import LogOptions, log_options
from moo_bnas.cli.options import LATENCIES, MOST, Amounts, general_options, parse_ratios

if TYPE_CHECKING:
    from moo_bnas.driver.finals import Finals
    from moo_bnas.evaluation import Precision
    from moo_bnas.evolution.space import Genotype, SearchSpace


@click.command(short_help="Train a chosen network to the end, and score it on the test images.")
@final_options
@log_options
@click.option(
    "--trial", type=click.IntRange(0, MOST), metavar="N", help="Number of a trial of the search."
)
@click.option("--best", is_flag=True, help="The fittest network of the search, by Eq. 4.")
@click.option("--knee", is_flag=True, help="The knee of the front of the search.")
@click.option(
    "--max-flops",
    type=Amounts({"FLOPs": 1}),
    metavar="X",
    help="The most accurate network of the search with at most X FLOPs, such as 12M.",
)
@click.option(
    "--max-latency",
    type=Amounts(LATENCIES),
    metavar="X",
    help="The same by latency, such as 0.5ms, of a run that has a latency table.",
)
@click.option(
    "--ratios",
    metavar="R,R,...",
    help="Any network: one expansion ratio per gene, and bits of activations where they are "
    "genes; a single ratio is used for all widths.",
)
@click.option(
    "--precision",
    type=click.Choice(["binary", "full"]),
    default="binary",
    show_default=True,
    help="Precision of the network given by --ratios.",
)
@general_options
def train(
    final: FinalOptions,
    driver: DriverOptions,
    logs: LogOptions,
    trial: int | None,
    best: bool,
    knee: bool,
    max_flops: float | None,
    max_latency: float | None,
    ratios: str | None,
    precision: Precision,
) -> None:
    """Train a network to the end: on all training and validation images, by [final].

    The network is one of a search, or given by its ratios; with a DEFINITION and ratios, no search
    is needed. Its test accuracy is computed once, at the end. After a kill at any moment, the same
    command resumes. Workers that have joined the run take part.

    \b
    Examples:
      moo-bnas train --knee
      moo-bnas train digits --ratios 0.5,3,2,1,1,3
    """
    ways = {
        "--trial": trial is not None,
        "--best": best,
        "--knee": knee,
        "--max-flops": max_flops is not None,
        "--max-latency": max_latency is not None,
        "--ratios": ratios is not None,
    }
    if sum(ways.values()) != 1:
        got = " and ".join(way for way, is_given in ways.items() if is_given) or "none"
        raise click.UsageError(f"got {got}, expected one of {', '.join(ways)}")
    if precision == "full" and ratios is None:
        raise click.UsageError("got --precision full, which goes with --ratios only")
    with resumable(), logs.opened() as loggers, serving(driver) as served:
        given = final.definition()
        if given is not None and ratios is not None:
            _encode(given.make_space(), ratios)  # refuses them before anything is made
        finals = open_final(final, served, given, create=ratios is not None)
        if ratios is not None:
            genotype = _encode(finals.definition.make_space(), ratios)
        else:
            genotype = _searched(finals, trial, best, max_flops, max_latency)
        train_all(finals, [(genotype, precision)], final, served, loggers)


def _encode(space: SearchSpace, ratios: str) -> Genotype:
    given = parse_ratios(ratios)
    return space.encode(space.filled(given))


def _searched(
    finals: Finals,
    trial: int | None,
    best: bool,
    max_flops: float | None,
    max_latency: float | None,
) -> Genotype:
    """The network of the search that the options name; without any of them, the knee."""
    from moo_bnas.driver.choosing import Choice
    from moo_bnas.networks.cost import FLOPS
    from moo_bnas.networks.latency import LATENCY

    choice = Choice(finals.storage, finals.run)
    if trial is not None:
        return choice.trial(trial)
    if max_flops is not None:
        return choice.within(FLOPS.name, max_flops)
    if max_latency is not None:
        return choice.within(LATENCY, max_latency)
    return choice.best() if best else choice.knee()
