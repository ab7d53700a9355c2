"""Reads command lines of `moo-bnas` without running them."""

from __future__ import annotations

import shlex

import click

from moo_bnas.cli import cli


def parsed(line: str) -> click.Context:
    """A command line, without the `moo-bnas` before it, as `moo-bnas` reads it.

    Raises:
        click.UsageError: For a wrong option or argument.
    """
    name, *arguments = shlex.split(line, comments=True)
    return cli.commands[name].make_context(name, arguments)
