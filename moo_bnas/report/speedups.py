"""What speedups are: counted by FLOPs, or measured by a latency table."""

from __future__ import annotations

from moo_bnas.networks.cost import FLOPS
from moo_bnas.networks.latency import LATENCY
from moo_bnas.results.points import Report


def measures_beside(report: Report) -> bool:
    """Whether a table shows measured speedups beside counted ones."""
    return report.definition.latency is not None and report.cost.name != LATENCY


def speeding(report: Report) -> str:
    """What the speedups in the table are."""
    counted = (
        f"Speedup: counted, not measured: {FLOPS.title} of full precision 1x over {FLOPS.title}."
    )
    if report.definition.latency is None:
        return counted
    measured = (
        f"latency of full precision 1x over latency, both by one runtime "
        f"({report.definition.costs()[LATENCY].note})."
    )
    if report.cost.name == LATENCY:
        return f"Speedup: {measured}"
    return f"{counted} Measured speedup: {measured}"
