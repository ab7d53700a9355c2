"""What networks are called in tables, figures and folders."""

from __future__ import annotations

from collections.abc import Sequence

from moo_bnas.evaluation import Precision
from moo_bnas.evolution.space import SearchSpace


def called(
    space: SearchSpace, values: Sequence[float], precision: Precision, trial: int | None
) -> str:
    """What a network is called: `full precision 1x`, `uniform 2x`, `trial 53`, or by its ratios.

    Args:
        space: Space of the network.
        values: Value of each of its genes.
        precision: `binary` or `full`.
        trial: Number of its trial in the search; None if the search has none.
    """
    uniform, listing = space.is_uniform(values), " ".join(f"{v:g}" for v in values)
    if precision == "full":
        size = f" {values[0]:g}x" if uniform else f", ratios {listing}"
        return f"full precision{size}"
    if uniform:
        return f"uniform {sized(space, values)}"
    return f"ratios {listing}" if trial is None else f"trial {trial}"


def sized(space: SearchSpace, values: Sequence[float]) -> str:
    """Ratio of a uniform network, `2x`; in a space of bits with these, `2x, 1 bit`."""
    (ratio, *_), bits = space.split(values)
    return f"{ratio:g}x" + (f", {bits[0]} bit{'s' * (bits[0] > 1)}" if bits else "")
