"""`moo-bnas status`."""

from __future__ import annotations

import json

import click

from moo_bnas.cli.options import general_options, storage_option, study_option


@click.command(short_help="How far a run is.")
@storage_option
@study_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@general_options
def status(storage_url: str, study_name: str | None, as_json: bool) -> None:
    """How far a run is: candidates by state, generation, best score, workers, time left.

    \b
    Example:
      moo-bnas status --study-name digits-pareto-s0 --json
    """
    from moo_bnas.status import read_status
    from moo_bnas.storage import Storage
    from moo_bnas.units import duration

    storage = Storage(storage_url)
    found = read_status(storage, study_name or storage.studies.only())
    if as_json:
        click.echo(json.dumps(found.as_document()))
        return
    counts = ", ".join(f"{n} {state}" for state, n in found.counts.items())
    click.echo(
        f"{found.study} ({found.mode}): {'finished' if found.finished else 'not finished'}\n"
        f"generation   {found.generation} of {found.generations}\n"
        f"evaluations  {found.evaluations} of {found.total}: {counts}\n"
        f"{found.score_name:<12} {'none yet' if found.best is None else f'{found.best:.4f}'}\n"
        f"workers      {len(found.workers)} heard of within the last minute"
    )
    for w in found.workers:
        click.echo(f"  {w.worker} on {w.device}: {w.evaluations} evaluations")
    if found.seconds_left:
        click.echo(f"time left    about {duration(found.seconds_left)}")
    for reason, times in found.failures.items():
        click.echo(f"failed {times}x: {reason}")
