"""`moo-bnas studies`."""

from __future__ import annotations

import click

from moo_bnas.cli.options import general_options
from moo_bnas.output import show


@click.command(short_help="List the definitions that come with moo-bnas.")
@general_options
def studies() -> None:
    """List the definitions that come with moo-bnas: name, network, data, what each needs.

    \b
    Example:
      moo-bnas studies
    """
    from moo_bnas.definition import load_definition, shipped

    for name in shipped():
        definition = load_definition(name)
        options, needs = definition.search, definition.data.needs.replace("DEFINITION", name)
        parent = "" if definition.parent is None else ", after a parent"
        show(
            f"{name}: {definition.network.name} on {definition.data.name}, "
            f"{options.population} x {options.generations} candidates of "
            f"{definition.recipe.epochs} epochs{parent}\n  {definition.description}\n"
            f"  needs {needs}"
        )
