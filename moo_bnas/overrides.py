"""Definitions with some keys replaced, as options of a command say."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from moo_bnas.definition import Definition, parse_definition
from moo_bnas.errors import DefinitionError
from moo_bnas.networks.latency import LatencyTable


def override(definition: Definition, **search: Any) -> Definition:
    """The definition with those options of [search] replaced that are not None."""
    values = definition.model_dump()
    values["search"].update({k: v for k, v in search.items() if v is not None})
    return parse_definition(values, source="options")


def with_latency(definition: Definition, table: LatencyTable) -> Definition:
    """The definition with another latency table.

    Raises:
        DefinitionError: Where a layer of its networks is missing in the table.
    """
    return parse_definition(
        {**definition.model_dump(), "latency": table.model_dump()}, source="latency table"
    )


def with_keys(definition: Definition, settings: Sequence[str]) -> Definition:
    """The definition with any of its keys replaced.

    Args:
        definition: Definition to begin with.
        settings: `SECTION.KEY=VALUE` each, such as `recipe.epochs=3`, with a value as in TOML; what
            is no TOML is a text.

    Raises:
        DefinitionError: Where a key is unknown or a value does not fit it; the message names all
            faults at once.
    """
    values = definition.model_dump()
    for each in settings:
        _set(values, each)
    return parse_definition(values, source="options")


def keys_of(definition: Definition) -> dict[str, Any]:
    """All keys of a definition for people to read; of a latency table only which one it is."""
    values = definition.model_dump(mode="json")
    if definition.latency is None:
        del values["latency"]
    else:
        values["latency"] = definition.latency.named()
    return values


def flat_keys_of(definition: Definition) -> dict[str, Any]:
    """All keys but name and description, those of sections as `section.key`; see `keys_of`."""
    found: dict[str, Any] = {}
    for section, options in keys_of(definition).items():
        if isinstance(options, dict):
            found |= {f"{section}.{key}": value for key, value in options.items()}
        elif section not in ("name", "description"):
            found[section] = options
    return found


def _set(values: dict[str, Any], text: str) -> None:
    key, found, value = text.partition("=")
    section, dot, name = key.strip().partition(".")
    if not (found and dot and section and name):
        raise DefinitionError(
            f"got --set {text!r:.300}, expected SECTION.KEY=VALUE, such as recipe.epochs=3"
        )
    options = values.get(section)
    if options is None:
        options = values[section] = {}
    if not isinstance(options, dict):
        raise DefinitionError(
            f"got --set {text!r:.300}, but {section} has no keys; expected one of "
            f"{', '.join(k for k, v in values.items() if isinstance(v, dict))}, as in "
            "recipe.epochs=3"
        )
    options[name] = _value(value.strip())


def _value(text: str) -> Any:
    try:
        read = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # ValueError: also what tomllib raises
        return text
    return read["value"] if len(read) == 1 else text
