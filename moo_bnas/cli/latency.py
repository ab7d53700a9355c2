"""`moo-bnas latency`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from moo_bnas.cli.named_network import NamedNetwork, network_options
from moo_bnas.cli.options import PathType, general_options
from moo_bnas.output import aligned, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moo_bnas.evolution.space import SearchSpace
    from moo_bnas.models.latency import Checked
    from moo_bnas.networks.latency import LatencyTable
    from moo_bnas.networks.network import Network


@click.command(short_help="Measure how long each layer takes on this machine, for --cost latency.")
@network_options
@click.option(
    "--out",
    type=PathType(),
    required=True,
    metavar="FILE",
    help="File to write: a latency table (JSON).",
)
@click.option(
    "--check",
    "count",
    type=click.IntRange(0, 1000),
    default=20,
    show_default=True,
    metavar="N",
    help="Random networks that are measured as a whole, beside what the table says of them.",
)
@general_options
def latency(named: NamedNetwork, out: Path, count: int) -> None:
    """Measure each layer of the networks of a search space, on one thread of this machine.

    Packed networks run with compiled kernels where numba is installed (pip install
    'moo-bnas[fast]'), and else with numpy; the table says which. A NETWORK has the paper's ratios.
    Run this while the machine has nothing else to do. For digits it takes about a minute.

    \b
    Examples:
      moo-bnas latency digits --out digits-latency.json
      moo-bnas run digits --cost latency --latency-table digits-latency.json
    """
    import numpy as np

    from moo_bnas.errors import DefinitionError
    from moo_bnas.evolution.space import SearchSpace
    from moo_bnas.models.latency import check, measure, runtime
    from moo_bnas.networks.latency_file import to_bytes
    from moo_bnas.output import write_whole
    from moo_bnas.report.files import make_folder

    definition = named.definition()
    if definition is None:
        network, binarizer = named.make(), "dorefa"
        space = SearchSpace(network.genes)
    else:
        network, binarizer = definition.make_network(), definition.network_options().binarizer
        space = definition.make_space()
    make_folder(out.parent)  # before anything is measured for nothing
    if out.exists() and not out.is_file():
        raise DefinitionError(
            f"got {out} as --out, which is a folder, a pipe or a device; expected a file to write"
        )
    run_by = runtime()
    show(f"{network.name} runs with {run_by.name}", err=True)
    table = measure(network, space, binarizer, run_by)
    content = to_bytes(table)
    try:
        write_whole(out, content)
    except OSError as error:
        raise DefinitionError(
            f"cannot write {out}: {error.strerror}; choose another file with --out"
        ) from error
    show(_summary(network, space, table))
    if count:
        genotypes = np.random.default_rng(0).integers(0, space.choices, (count, len(space.genes)))
        widths = space.widths(genotypes, network.base_widths).tolist()
        show(_checked(check(network, [tuple(w) for w in widths], table, binarizer, run_by)))
    show(f"written: {out}, {len(content):,} bytes")


def _summary(network: Network, space: SearchSpace, table: LatencyTable) -> str:
    from moo_bnas.results.naming import called

    cost = table.cost()
    lines = [("processor", table.processor), ("runtime", f"{table.runtime}, one thread")]
    for values in space.uniforms():
        widths = space.widths_of(space.encode(values), network.base_widths)
        lines.append((called(space, values, "binary", None), cost.amount(cost.of(network, widths))))
    twin = cost.of(network, network.base_widths, "full")
    lines.append(("full precision 1x", f"{cost.amount(twin)}, by the same runtime"))
    return aligned(lines)


def _checked(found: Sequence[Checked]) -> str:
    errors = sorted(abs(each.error) for each in found)
    middle, within = errors[len(errors) // 2], sum(error <= 0.1 for error in errors)
    return (
        f"{len(found)} random networks as a whole: the table is off by {100 * middle:.1f} % in the "
        f"median and by {100 * errors[-1]:.1f} % at most; {within} are within 10 %"
    )
