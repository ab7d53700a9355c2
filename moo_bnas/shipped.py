"""The definitions that come with moo-bnas, as files."""

from __future__ import annotations

from pathlib import Path

from moo_bnas.errors import DefinitionError

_PACKAGE = Path(__file__).parent


def shipped() -> dict[str, Path]:
    """The definitions that come with moo-bnas, by name."""
    # In a wheel they are inside the package, in a checkout beside it.
    folder = next(f for f in (_PACKAGE / "studies", _PACKAGE.parent / "studies") if f.is_dir())
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def shipped_text(name: str) -> str:
    """The file of a definition that comes with moo-bnas.

    Raises:
        DefinitionError: If there is none of this name.
    """
    if name not in shipped():
        raise DefinitionError(
            f"got the definition {name!r:.300}, expected one of {', '.join(shipped())}"
        )
    return shipped()[name].read_text(encoding="utf-8")
