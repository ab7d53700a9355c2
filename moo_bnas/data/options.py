"""Types of options that several data sets share."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator

from moo_bnas.data.image_data import Amount
from moo_bnas.section import ADDED


def _check_amount(amount: Amount) -> Amount:
    if amount >= 1 if isinstance(amount, int) else 0 < amount < 1:
        return amount
    raise ValueError(
        f"got {amount!r}, expected how many images of each class (1 or more), or a share of them "
        "(such as 0.1)"
    )


def _check_path(path: str) -> str:
    parsed = PurePosixPath(path)
    if not path or "\0" in path or parsed.is_absolute() or ".." in parsed.parts or path[0] == "~":
        raise ValueError(
            f"got {path!r}, expected a path below --data-root, which may differ between machines"
        )
    return path


StoredAs = Literal["pixels", "jpeg"]
StoredAsOption = Annotated[StoredAs, ADDED]
AmountOption = Annotated[Amount, AfterValidator(_check_amount)]
PathOption = Annotated[str, AfterValidator(_check_path)]
