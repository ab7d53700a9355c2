"""Reads command lines of `moo-bnas` without running them."""

from __future__ import annotations

import shlex

import click

from moo_bnas.cli import cli


def commands() -> dict[str, click.Command]:
    """Every command by its name, such as `run` or `storage upgrade`."""
    found: dict[str, click.Command] = {}
    for name, command in cli.commands.items():
        inside = command.commands if isinstance(command, click.Group) else None
        found |= {f"{name} {n}": c for n, c in inside.items()} if inside else {name: command}
    return found


def parsed(line: str) -> click.Context:
    """A command line, without the `moo-bnas` before it, as `moo-bnas` reads it.

    Raises:
        click.UsageError: For a wrong option or argument.
    """
    name, *arguments = shlex.split(line, comments=True)
    if isinstance(cli.commands.get(name), click.Group) and arguments:
        name, arguments = f"{name} {arguments[0]}", arguments[1:]
    command = commands().get(name) or cli.commands[name]
    return command.make_context(name, arguments)
