"""`moo-bnas follow`: what `moo-bnas worker --processes` starts; not for people."""

from __future__ import annotations

import os
import threading

import click

from moo_bnas.cli.options import general_options


@click.command(hidden=True)
@general_options
def follow() -> None:
    """Train with the worker that starts this, as it says on standard input."""
    message = _read_line()

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)  # it has ended, or ends this; nothing that is trained here is kept here

    threading.Thread(target=watch, daemon=True).start()

    from moo_bnas.training.followers import follow as train

    train(message)


def _read_line() -> str:
    line = b""
    while (byte := os.read(0, 1)) not in (b"", b"\n"):  # sys.stdin would read on, and hold a lock
        line += byte
    return line.decode()
