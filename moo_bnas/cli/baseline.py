"""`moo-bnas baseline`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from moo_bnas.cli.driving import resumable
from moo_bnas.cli.finishing import final_options, given_definition, open_final, train_all
from moo_bnas.cli.options import general_options, parse_ratios

if TYPE_CHECKING:
    from moo_bnas.finals import Chosen


@click.command(short_help="Train the full-precision twin and uniform networks to the end.")
@final_options
@click.option(
    "--ratios",
    default="1,2,3,4",
    show_default=True,
    metavar="R,R,...",
    help="Of the uniform binary networks.",
)
@general_options
def baseline(**options: Any) -> None:
    """Train what a searched network is compared with, alike: by [final], scored on test.

    That is the full-precision network at 1x, and uniform binary ones. They are trained by the same
    workers as `moo-bnas train` trains searched ones, and stand in the same table of the report.

    \b
    Example:
      moo-bnas baseline --ratios 1,4
    """
    ratios = parse_ratios(options["ratios"])
    with resumable():
        finals = open_final(options, given_definition(options))
        space = finals.definition.make_space()
        chosen: list[Chosen] = [(space.uniform(1.0), "full")]
        chosen += [(space.uniform(ratio), "binary") for ratio in ratios]
        train_all(finals, chosen, options)
