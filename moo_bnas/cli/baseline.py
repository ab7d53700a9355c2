"""`moo-bnas baseline`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from moo_bnas.cli.driving import DriverOptions, resumable, serving
from moo_bnas.cli.finishing import FinalOptions, final_options, open_final, train_all
from moo_bnas.cli.logs import LogOptions, log_options
from moo_bnas.cli.options import general_options, parse_ratios

if TYPE_CHECKING:
    from moo_bnas.driver.finals import Chosen
    from moo_bnas.evolution.space import SearchSpace


@click.command(short_help="Train the full-precision twin and uniform networks to the end.")
@final_options
@log_options
@click.option(
    "--ratios",
    metavar="R,R,...",
    help="Ratios of the uniform binary networks.  [default: those of the definition from 1 on]",
)
@general_options
def baseline(
    final: FinalOptions, driver: DriverOptions, logs: LogOptions, ratios: str | None
) -> None:
    """Train the networks that searched ones are compared with, in the same way.

    They are the full-precision network at 1x (if 1 is among the ratios of the definition) and
    uniform binary networks, of each number of bits that activations may have. As with `moo-bnas
    train`, workers of the run train them by [final] and score them on the test images, and they are
    rows of the same table of the report.

    \b
    Example:
      moo-bnas baseline --ratios 1,4
    """
    given = None if ratios is None else parse_ratios(ratios)
    with resumable(), logs.opened() as loggers, serving(driver) as served:
        definition = final.definition()
        if definition is not None:
            _chosen(definition.make_space(), given)  # refuses them before anything is made
        finals = open_final(final, served, definition)
        train_all(finals, _chosen(finals.definition.make_space(), given), final, served, loggers)


def _chosen(space: SearchSpace, given: list[float] | None) -> list[Chosen]:
    ratios = [r for r in space.ratios if r >= 1] if given is None else given
    if not ratios:
        raise click.UsageError("the definition has no ratio from 1 on; give --ratios")
    chosen: list[Chosen] = [(space.uniform(1.0), "full")] if 1.0 in space.ratios else []
    return chosen + [
        (space.uniform(ratio, bits), "binary")
        for ratio in dict.fromkeys(ratios)
        for bits in space.bits or (None,)
    ]
