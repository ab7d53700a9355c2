"""`moo-bnas report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from moo_bnas.cli.choosing import choose_run
from moo_bnas.cli.options import default_out, general_options, out_option, storage_option
from moo_bnas.output import listing, show

if TYPE_CHECKING:
    from moo_bnas.report.style import Figure
    from moo_bnas.results.points import Report

_LONGEST = 200  # letters of a folder's name


@click.command(short_help="Write the report of a run, finished or not.")
@storage_option
@click.option(
    "--study-name",
    "study_names",
    metavar="NAME",
    multiple=True,
    help="Name of the run; repeatable, for one page of several runs.  [default: the latest]",
)
@out_option
@click.option(
    "--images",
    type=click.Choice(["svg", "png", "pdf"]),
    help="Also write each figure as an image; needs pip install 'moo-bnas[images]', and Chrome or "
    "Chromium.",
)
@general_options
def report(
    storage_url: str,
    study_names: tuple[str, ...],
    out: Path | None,
    images: Literal["svg", "png", "pdf"] | None,
) -> None:
    """Write the report of a run, finished or not: report.html, tables and points.

    It needs only the storage, and can be run anywhere, at any time. Beside report.html it writes
    table.md, table.csv and table.tex, and pareto.html, pareto.csv and pareto.json. Of several runs
    it writes report.html, with their fronts over each other and where they differ.

    \b
    Examples:
      moo-bnas report --study-name digits-pareto-s0 --out front
      moo-bnas report --study-name digits-pareto-s0 --study-name digits-scalar-s0
    """
    from moo_bnas.report.images import write_images
    from moo_bnas.results.points import collect
    from moo_bnas.storage import Storage

    storage = Storage(storage_url)
    names = list(dict.fromkeys(choose_run(storage, name) for name in study_names or (None,)))
    collected = [collect(storage, name) for name in names]
    folder = out or _default_out(names)
    figures = _write(collected, folder)
    if images:
        show(listing("images", write_images(figures, folder, images)))


def _write(reports: list[Report], folder: Path) -> list[Figure]:
    """Writes the report of one run or of several, and prints what it wrote; returns its figures."""
    from moo_bnas.report.figures import figures
    from moo_bnas.report.files import write, write_together
    from moo_bnas.report.terminal import as_table
    from moo_bnas.report.together import fronts_figure

    if len(reports) > 1:
        show(listing("written", write_together(reports, folder)))
        return [fronts_figure(reports)]
    paths = write(reports[0], folder)
    show(as_table(reports[0]))
    show("\n" + listing("written", paths))
    return figures(reports[0])


def _default_out(names: list[str]) -> Path:
    one = default_out(names[0])
    joined = "+".join(names)
    return one.with_name(joined if len(joined) <= _LONGEST else f"{names[0]}+{len(names) - 1}")
