"""What networks are called in tables, figures and folders."""

from __future__ import annotations

from collections.abc import Sequence

from moo_bnas.evaluation import Precision


def called(ratios: Sequence[float], precision: Precision, trial: int | None) -> str:
    """What a network is called: `full precision 1x`, `uniform 2x`, `trial 53`, or by its ratios.

    Args:
        ratios: Expansion ratios, one per gene.
        precision: `binary` or `full`.
        trial: Number of its trial in the search; None if the search has none.
    """
    uniform, listing = len(set(ratios)) == 1, " ".join(f"{r:g}" for r in ratios)
    if precision == "full":
        size = f" {ratios[0]:g}x" if uniform else f", ratios {listing}"
        return f"full precision{size}"
    if uniform:
        return f"uniform {ratios[0]:g}x"
    return f"ratios {listing}" if trial is None else f"trial {trial}"
