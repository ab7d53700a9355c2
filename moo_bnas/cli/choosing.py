"""Which run a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moo_bnas.output import show

if TYPE_CHECKING:
    from moo_bnas.storage import Storage


def choose_run(storage: Storage, name: str | None) -> str:
    """The run that --study-name names; without it the latest, which is said where there are others.

    Raises:
        StorageError: Where there is no run, or the name is that of a sibling.
        DefinitionError: Where the name is one that no run of moo-bnas has.
    """
    chosen = storage.studies.choose(name)
    if name is None and (count := len(storage.studies.names())) > 1:
        show(
            f"run {chosen}, the latest of {count} in {storage.shown_url}; --study-name names "
            "another, and `moo-bnas runs` lists them",
            err=True,
        )
    return chosen
