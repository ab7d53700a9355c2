"""Which images there are: files in folders of classes."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from pathlib import Path

from moo_bnas.data.pixels import SUFFIXES
from moo_bnas.errors import DataError

log = logging.getLogger(__name__)

_USUAL = (".jpg", ".png")  # suffixes that errors name

Files = dict[str, int]
"""Class index of each image, by its path relative to the folder of the tree."""


def folders_in(folder: Path) -> tuple[str, ...]:
    """Names of the folders in a folder, sorted; none where there is no such folder."""
    try:
        entries = [e for e in folder.iterdir() if e.is_dir() and not e.name.startswith(".")]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise unreadable(error) from error
    return tuple(sorted(entry.name for entry in entries))


def list_images(folder: Path, part: str, classes: tuple[str, ...]) -> Files:
    """The images of a split, those in folders inside a class included."""
    found: Files = {}
    others: list[str] = []
    # Strings and `os.walk`, as `Path` objects are slow for the 1.3 million files of ImageNet.
    start = len(os.path.join(folder, ""))
    for label, name in enumerate(classes):
        count, ignored = len(found), len(others)
        for inside, folders, files in os.walk(folder / part / name, onerror=_refuse):
            # In place and sorted: `os.walk` then skips hidden folders, and keeps one order.
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            links = [f for f in folders if os.path.islink(os.path.join(inside, f))]
            if links:
                raise DataError(
                    f"{os.path.join(inside, links[0])} is a link to a folder, expected none "
                    "inside a class, where links may form loops; put the folder itself there"
                )
            beginning = os.path.join(inside, "")
            for file in sorted(files):
                if file.startswith("."):
                    continue
                path = beginning + file
                if file[file.rfind(".") :].lower() in SUFFIXES:
                    found[path[start:]] = label
                else:
                    others.append(path)
        if len(found) == count:
            raise DataError(
                f"the class {folder / part / name} has no images, and "
                f"{len(others) - ignored} other files; add some (named *{', *'.join(_USUAL)}, "
                "...), or remove that folder from every split"
            )
    if others:
        log.warning("ignored %d files that are not images, such as %s", len(others), others[0])
    return found


def _refuse(error: OSError) -> None:
    raise unreadable(error) from error


def unreadable(error: OSError) -> DataError:
    """What to raise for a file that cannot be read."""
    return DataError(
        f"cannot read {error.filename}: {error.strerror}; check that it exists and is readable"
    )


def nothing(folder: Path, remedy: str) -> DataError:
    """What to raise where there are no images."""
    return DataError(f"looked for images in {folder}/<class>/ and found none; {remedy}")


def some(names: Collection[str]) -> str:
    """The first three names, and the number of the others."""
    listed = sorted(names)
    more = f" and {len(listed) - 3} others" if len(listed) > 3 else ""
    return (", ".join(repr(name) for name in listed[:3]) + more) if listed else "none"
