"""Data sets. Each module has a `SHAPE` that costs no loading, and `load`; none imports torch."""

from __future__ import annotations

from moo_bnas.data import digits
from moo_bnas.data.image_data import ImageData, Split

DATA_SETS = {"digits": digits}

__all__ = ["DATA_SETS", "ImageData", "Split"]
