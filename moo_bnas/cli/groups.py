"""The help of the program, in the order of work."""

from __future__ import annotations

import click

WORKFLOW = {
    "Begin": ("definitions", "new", "data", "cost", "latency"),
    "Search": ("run", "worker", "parent", "status"),
    "Look at runs": ("report", "runs", "compare", "dashboard", "delete", "storage"),
    "From a front to a network": ("train", "baseline", "export", "predict"),
    "Help": ("env",),
}
"""Titles and commands, in the order of the help; only hidden commands are left out."""

ALIASES = {"studies": "definitions"}
"""Former names of commands, which keep working."""


class Workflow(click.Group):
    """A group whose help lists its commands by `WORKFLOW`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, or of a former name."""
        return super().get_command(ctx, ALIASES.get(cmd_name, cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands below the titles of the workflow."""
        wide = max(map(len, self.commands))
        room = formatter.width - wide - 6
        for title, names in WORKFLOW.items():
            with formatter.section(title):
                formatter.write_dl(
                    [
                        (name.ljust(wide), self.commands[name].get_short_help_str(room))
                        for name in names
                    ]
                )
