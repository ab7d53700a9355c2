"""`moo-bnas definitions`, which `moo-bnas definitions` is the former name of."""

from __future__ import annotations

import click

from moo_bnas.cli.needs import room_of
from moo_bnas.cli.options import general_options
from moo_bnas.output import show
from moo_bnas.units import count


@click.command(short_help="List the definitions that come with moo-bnas, or show one.")
@click.option("--show", "shown", metavar="NAME", help="Print the file of one definition.")
@general_options
def definitions(shown: str | None) -> None:
    """List the definitions that come with moo-bnas: name, network, data, what each needs.

    A definition is a file that says what to search, on what data, and how.

    \b
    Examples:
      moo-bnas definitions
      moo-bnas definitions --show digits
    """
    from moo_bnas.definition import load_definition
    from moo_bnas.shipped import shipped, shipped_text

    if shown is not None:
        show(shipped_text(shown).rstrip("\n"))
        return
    for name in shipped():
        definition = load_definition(name)
        options = definition.search
        needs = definition.images().needs.replace("DEFINITION", name)
        parent = "" if definition.parent is None else ", after a parent"
        room = room_of(definition.images())
        epochs = count(definition.training().epochs, "epoch")
        show(
            f"{name}: {definition.title}, "
            f"{options.population} x {options.generations} candidates of "
            f"{epochs}{parent}\n  {definition.description}\n"
            f"  needs {needs}" + ("" if room is None else f"; {room}")
        )
