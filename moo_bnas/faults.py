"""The faults of a definition, as lines for people."""

from __future__ import annotations

from typing import Any

from moo_bnas.output import one_line


def fault_line(fault: Any) -> str:
    """One fault that pydantic found, as a line that names the key."""
    parts = fault["loc"]
    if parts[:1] == ("data",):  # then come tags of the union, which are no keys
        parts = ("data", *parts[3 if parts[1:2] == ("shipped",) else 2 :])
    where = ".".join(str(part) for part in parts) or "definition"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        message = "unknown key; remove it or correct its name"
    elif fault["type"] == "missing":
        message = "missing; add it"
    elif fault["type"] == "union_tag_not_found":
        message = "name is missing; add it"
    elif fault["type"] == "union_tag_invalid":
        context = fault["ctx"]
        message = f"got name {context['tag']!r}, expected one of {context['expected_tags']}"
    elif fault["type"] != "value_error":
        message += f", got {fault['input']!r:.200}"
    return one_line(f"  {where:.200}: {message}")
