"""What the data of a definition need of this machine, as commands print it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moo_bnas.units import duration, quantity

if TYPE_CHECKING:
    from moo_bnas.data import DataSet
    from moo_bnas.data.needs import Need, Needs


def needs_of(data: DataSet, data_root: Path, seed: int) -> Needs | None:
    """What the images need; None for data sets that are small, or of another package.

    Raises:
        DataError: If there are no images, or fewer than the definition says.
    """
    from moo_bnas.data import Folder, ImageNet

    return data.needed(data_root, seed) if isinstance(data, Folder | ImageNet) else None


def needs_rows(needs: Needs | None) -> list[tuple[str, str]]:
    """What a search needs, and what a final training run needs."""
    if needs is None:
        return []
    return [(purpose, _row(need)) for purpose, need in needs.of.items()]


def needs_warning(needs: Needs | None, data_root: Path) -> str | None:
    """A warning, where there is not room enough for both."""
    if needs is None or needs.fit:
        return None
    missing = sum(need.missing for need in needs.of.values())
    return (
        f"warning: search and final training need {_bytes(missing)} more in {data_root / 'cache'}, "
        f"and {_bytes(needs.free)} are free; free space there before `moo-bnas train`, give "
        'another --data-root, or, where images are stored as pixels, set data.stored_as = "jpeg"'
    )


def room_of(data: DataSet) -> str | None:
    """The room that a search and a final training run take, where that is known without images."""
    from moo_bnas.data import ImageNet

    if not isinstance(data, ImageNet):
        return None
    search, final = data.room
    return f"about {_bytes(search)} of disk for a search, and {_bytes(final)} for final training"


def _row(need: Need) -> str:
    room = f"{need.images:,} images, {_bytes(need.room)} in the cache"
    if not need.missing:
        return f"{room}, which are there"
    return f"{room}, about {duration(need.seconds)} to write"


def _bytes(size: int) -> str:
    return f"{quantity(size, 1)}B"
