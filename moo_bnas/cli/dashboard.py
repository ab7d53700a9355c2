"""`moo-bnas dashboard`."""

from __future__ import annotations

import signal
import socketserver
from collections.abc import Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import click

from moo_bnas.cli.options import artifacts_option, general_options, storage_option
from moo_bnas.errors import ArtifactsError, DashboardError, DefinitionError
from moo_bnas.extras import not_installed
from moo_bnas.output import show

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from moo_bnas.storage.artifacts import Artifacts


_NO_HOST = b"421 Misdirected Request"


def _only_for(host: str, app: WSGIApplication) -> WSGIApplication:
    """Answers only what is asked under the name or address that the server was started with.

    A page of another site can make its own name point here (DNS rebinding): its scripts could then
    delete studies. Their requests carry that name.
    """

    def checked(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        named = environ.get("HTTP_HOST", "")
        asked = named if named.endswith("]") else named.rpartition(":")[0] or named
        if _is_address(asked) or asked in (host, "localhost"):
            return app(environ, start)
        start(_NO_HOST.decode(), [("Content-Type", "text/plain")])
        return [_NO_HOST]

    return checked


def _is_address(asked: str) -> bool:
    try:
        ip_address(asked.strip("[]"))
    except ValueError:
        return False
    return True


class _ThreadedServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Logs no requests."""


def _artifacts(url: str | None, storage_url: str) -> Artifacts | None:
    """The artifact store that is given, else the default one of the storage, if that is there."""
    from moo_bnas.storage.artifacts import Artifacts, default_url

    if url is not None:
        return Artifacts(url)
    try:
        return Artifacts(default_url(storage_url))
    except (ArtifactsError, DefinitionError):
        return None


@click.command(short_help="Look at the runs of a storage with optuna-dashboard.")
@storage_option
@artifacts_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; with 0.0.0.0 other machines can reach it, by its address.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0: any free one.",
)
@general_options
def dashboard(storage_url: str, artifacts_url: str | None, host: str, port: int) -> None:
    """Show all runs of a storage in the browser, with optuna-dashboard, until Ctrl-C.

    Beside Optuna's plots, a run has its front and its table there, and the study NAME.final the
    trained networks as files, where the artifact store is the default one or given.

    It has no login: whoever reaches its address can read, change and delete the studies and the
    files.

    \b
    Example:
      moo-bnas dashboard --storage sqlite:///moo-bnas.db
    """
    from moo_bnas.storage import Storage

    storage = Storage(storage_url)
    artifacts = _artifacts(artifacts_url, storage.url)
    try:
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise DashboardError(f"the dashboard needs {not_installed('optuna-dashboard')}") from error
    try:
        server = make_server(
            host,
            port,
            _only_for(host, wsgi(storage.optuna, artifacts and artifacts.optuna)),
            server_class=_ThreadedServer,
            handler_class=_QuietHandler,
        )
    except OSError as error:
        raise DashboardError(
            f"cannot listen on {host} port {port}: {error.strerror}; give another --port or --host"
        ) from error
    show(f"{storage.shown_url}: http://{host}:{server.server_port}/dashboard", err=True)
    show(
        "it has no login: whoever reaches this address can change and delete studies; Ctrl-C ends "
        "it",
        err=True,
    )
    # A shell that starts it in the background makes it ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with server:
        server.serve_forever()
