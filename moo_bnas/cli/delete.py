"""`moo-bnas delete`."""

from __future__ import annotations

import click

from moo_bnas.cli.options import artifacts_option, general_options, storage_option
from moo_bnas.output import one_line, show
from moo_bnas.units import count


@click.command(short_help="Delete a run with all that belongs to it.")
@click.argument("name", metavar="NAME")
@storage_option
@artifacts_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--keep-artifacts",
    is_flag=True,
    help="Leave weights and checkpoints in the artifact store as they are.",
)
@general_options
def delete(
    name: str, storage_url: str, artifacts_url: str | None, yes: bool, keep_artifacts: bool
) -> None:
    """Delete the run NAME: its study, its siblings, its weights and checkpoints.

    Weights that another run shares stay. A run that somebody drives is not deleted. What was
    written below runs/ stays, too: it is yours.

    \b
    Example:
      moo-bnas delete digits-pareto-s0
    """
    from moo_bnas.cli.driving import notify
    from moo_bnas.driver.deletion import delete_run, find_doomed
    from moo_bnas.storage import Storage

    storage = Storage(storage_url)
    doomed = find_doomed(storage, name, artifacts_url, keep_artifacts=keep_artifacts)
    doomed.wait_until_free(notify)
    what = f"{count(doomed.trials, 'trial')} of {', '.join(s.name for s in doomed.studies[::-1])}"
    if not yes:
        try:
            click.confirm(one_line(f"delete {what} in {storage.shown_url}?"), abort=True, err=True)
        except click.Abort:  # also where there is nobody to ask
            show("", err=True)
            notify("not deleted; --yes deletes without asking")
            raise
    removed = delete_run(doomed, notify)
    files = (
        f", and {count(removed, 'file')} of {doomed.artifacts.shown}" if doomed.artifacts else ""
    )
    show(f"deleted: {what}{files}")
