"""Files of latency tables."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from moo_bnas.errors import DefinitionError
from moo_bnas.networks.latency import LatencyTable
from moo_bnas.reading import read_file

MOST_BYTES = 50_000
"""Size of a table: it is stored with the definition, for which MySQL has room for 65,535 bytes."""


def to_bytes(table: LatencyTable) -> bytes:
    """The content of the file of a table.

    Raises:
        DefinitionError: If it is larger than `read_table` takes.
    """
    content = table.content().encode() + b"\n"
    check_size(len(content))
    return content


def check_size(size: int) -> None:
    """Refuses a table of more bytes than `read_table` takes.

    Raises:
        DefinitionError: If it has more.
    """
    if size > MOST_BYTES:
        raise DefinitionError(
            f"the latency table would have {size:,} bytes or more, expected at most "
            f"{MOST_BYTES:,}, since it is stored with every run; give the space fewer ratios"
        )


def read_table(path: Path) -> LatencyTable:
    """Reads a latency table.

    Raises:
        DefinitionError: If it cannot be read, is too large, or is no latency table of this version.
    """
    try:
        content = read_file(path, MOST_BYTES)
    except OSError as error:
        raise DefinitionError(
            f"cannot read the latency table {path}: {error.strerror}; give the file that "
            "`moo-bnas latency` wrote"
        ) from error
    remedy = "give the file that `moo-bnas latency` wrote, or measure again"
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DefinitionError(
            f"{path} is no latency table, or it is incomplete or damaged ({error!s:.100}); {remedy}"
        ) from error
    if not isinstance(values, dict) or values.get("kind") != "latency table":
        raise DefinitionError(f"{path} is no latency table; {remedy}")
    if values.get("version") != 1:
        raise DefinitionError(
            f"{path} is a latency table of version {values.get('version')!r:.20}, and this "
            "moo-bnas reads version 1; measure again with moo-bnas latency"
        )
    try:
        return LatencyTable.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))[:100]
        raise DefinitionError(
            f"{path} is a damaged latency table ({where}: {fault['msg']}); {remedy}"
        ) from error
