"""The command line: one module per command, which imports what it needs when it runs."""

from __future__ import annotations

import io
import os
import sys
import traceback

import click

from moo_bnas import __version__
from moo_bnas.cli.baseline import baseline
from moo_bnas.cli.compare import compare
from moo_bnas.cli.cost import cost
from moo_bnas.cli.dashboard import dashboard
from moo_bnas.cli.data import data
from moo_bnas.cli.definitions import definitions
from moo_bnas.cli.delete import delete
from moo_bnas.cli.env import env
from moo_bnas.cli.export import export
from moo_bnas.cli.follow import follow
from moo_bnas.cli.groups import Workflow
from moo_bnas.cli.latency import latency
from moo_bnas.cli.new import new
from moo_bnas.cli.parent import parent
from moo_bnas.cli.predict import predict
from moo_bnas.cli.report import report
from moo_bnas.cli.run import run
from moo_bnas.cli.runs import runs
from moo_bnas.cli.status import status
from moo_bnas.cli.storage import storage
from moo_bnas.cli.train import train
from moo_bnas.cli.worker import worker
from moo_bnas.errors import DefinitionError, MooBnasError
from moo_bnas.output import one_line, show
from moo_bnas.passwords import hide_from_ps

EXIT_INTERRUPTED = 130
_LONGEST = 1000  # letters in a line of an error


@click.group(cls=Workflow, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="moo-bnas")
def cli() -> None:
    """Search the layer widths of binary neural networks.

    \b
    Example:
      moo-bnas run digits

    `moo-bnas COMMAND --help` shows the options of a command.
    """


for command in (
    *(definitions, new, data, cost, latency, run, worker, parent, status),
    *(report, runs, compare, dashboard, delete, storage),
    *(train, baseline, export, predict, env, follow),
):
    cli.add_command(command)


def main() -> None:
    """Runs the command line.

    It exits with 0, 1 (failed), 2 (wrong usage), 3 (bad data) or 130 (interrupted).
    """
    debug = "--debug" in sys.argv
    hide_from_ps()
    try:
        cli.main(standalone_mode=False, prog_name="moo-bnas")
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        show(_shortened(shown.getvalue().rstrip("\n")), err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The program that read our output has ended (`| head`): exit without an error of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MooBnasError as error:
        if debug:
            traceback.print_exc()
        # Only the faults of a definition are listed, one on each line.
        text = str(error) if isinstance(error, DefinitionError) else one_line(str(error))
        show(_shortened(f"moo-bnas: {text}"), err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        what = f"{type(error).__name__}: {one_line(str(error))}"
        show(
            f"moo-bnas: unexpected {what}; this is a fault of moo-bnas, run again with --debug and "
            "report what it prints",
            err=True,
        )
        sys.exit(1)


def _shortened(text: str) -> str:
    """An error in which no line is absurdly long: what is wrong and what to do are at its ends."""
    return "\n".join(
        line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
        for line in text.split("\n")
    )
