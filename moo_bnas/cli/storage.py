"""`moo-bnas storage`."""

from __future__ import annotations

import click

from moo_bnas.cli.driving import SERVER_FOLDER, announce_server, resumable, serve_host_option
from moo_bnas.cli.options import general_options, storage_option
from moo_bnas.output import show


@click.group(short_help="Upgrade a storage, or serve one.")
def storage() -> None:
    """Look after a storage: upgrade its tables, or serve a private one.

    \b
    Example:
      moo-bnas storage upgrade
    """


@storage.command()
@storage_option
@general_options
def upgrade(storage_url: str) -> None:
    """Bring the tables of an earlier version to this one, in place; nothing is lost.

    End drivers and workers first. Earlier versions cannot use the storage afterwards: copy it, if
    you may want to return to one.

    \b
    Example:
      moo-bnas storage upgrade --storage sqlite:///moo-bnas.db
    """
    from moo_bnas.passwords import hide_password
    from moo_bnas.storage import upgrade as bring_up_to_date

    added = bring_up_to_date(storage_url)
    for each in added:
        show(f"added: {each}")
    done = "is upgraded" if added else "was up to date"
    show(f"{hide_password(storage_url)} {done}")


@storage.command()
@serve_host_option
@general_options
def serve(serve_host: str | None) -> None:
    """Run the private PostgreSQL of `run --serve` until Ctrl-C: for status, report, dashboard.

    \b
    Example:
      moo-bnas storage serve
    """
    import signal

    from moo_bnas.driver import server

    with resumable(), server.serving(SERVER_FOLDER, serve_host or server.LOOPBACK) as url:
        announce_server(url)
        while True:
            signal.pause()
