"""The seal of a file: a hash of every byte of it, in a field of its metadata beside the card.

It is a guard against damage, not a signature. The files of version 0.1 have none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from moo_bnas.errors import ModelFileError

CARD = "moo_bnas"
"""Key of the card in the metadata of a file."""

SEAL = "sha256"
"""Key of the seal."""

UNSEALED = hashlib.sha256(b"not sealed yet").hexdigest()
"""Value of the seal while the hash is computed: any text of its length that occurs nowhere else."""


def seal(content: bytes) -> bytes:
    """Seals a file in whose metadata the seal is `UNSEALED`.

    Raises:
        ModelFileError: If that text is at another place, too.
    """
    if content.count(UNSEALED.encode()) != 1:
        raise ModelFileError(
            f"cannot seal a file that holds the text {UNSEALED}; remove it from the card"
        )
    return content.replace(UNSEALED.encode(), hashlib.sha256(content).hexdigest().encode())


def card_in(content: bytes, metadata: Mapping[str, str], source: str) -> str:
    """The card of a file, after the seal was checked.

    Args:
        content: Content of the file.
        metadata: Metadata of the file.
        source: Name of the file, shown in errors.

    Raises:
        ModelFileError: If there is no card, or if the file is damaged.
    """
    if CARD not in metadata:
        raise ModelFileError(
            f"{source} was not made by moo-bnas: it has no card; give a file that `moo-bnas train` "
            "or `moo-bnas export` wrote"
        )
    # Any other key may be the damaged key of a seal.
    is_old = metadata.keys() == {CARD}
    if not is_old and not _is_whole(content, metadata.get(SEAL, "")):
        raise ModelFileError(
            f"{source} is damaged: it is not what was written; make it again, or fetch a complete "
            "copy"
        )
    return metadata[CARD]


def _is_whole(content: bytes, value: str) -> bool:
    value_bytes = value.encode()
    if len(value_bytes) != len(UNSEALED) or content.count(value_bytes) != 1:
        return False
    unsealed = content.replace(value_bytes, UNSEALED.encode())
    return hashlib.sha256(unsealed).hexdigest() == value
