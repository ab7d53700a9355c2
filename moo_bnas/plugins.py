"""What installed packages offer to moo-bnas by name: networks, data sets and evaluators.

Each kind has an entry point group. An entry point is a function that takes options of its own, the
keys of a section of a definition, and returns what the kind asks for. Only installed packages are
imported; nothing that a storage holds is.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from moo_bnas.errors import DefinitionError

Factory = Callable[..., Any]


@dataclass(frozen=True)
class Plugins:
    """One kind of what packages offer.

    Attributes:
        group: Entry point group.
        kind: What one of them is called in errors, such as `network`.
        section: Section of a definition that names it and has its options.
    """

    group: str
    kind: str
    section: str

    def factory(self, name: str, shipped: Collection[str] = ()) -> Factory:
        """The function that a package offers under a name.

        Args:
            name: Name of the entry point.
            shipped: Names that moo-bnas itself offers, shown in the error.

        Raises:
            DefinitionError: If no installed package offers it, or if the package is faulty.
        """
        found = self._entry_point(name)
        if found is None:
            names = sorted({*shipped, *self.names()})
            raise DefinitionError(
                f"got {self.kind} {name!r:.100}, expected one of {', '.join(names) or 'none'}; "
                "choose one, or install the package that provides it"
            )
        try:
            loaded: Factory = found.load()
        except Exception as error:
            raise self.fault(name, error) from error
        return loaded

    def names(self) -> list[str]:
        """Names of all that installed packages offer, in alphabetical order."""
        return sorted(entry_points(group=self.group).names)

    def check_options(
        self, name: str, factory: Factory, options: Mapping[str, object], but: str = ""
    ) -> None:
        """Refuses options that a function does not take.

        Args:
            name: Name of the entry point.
            factory: Function that would be called with the options.
            options: Options by name.
            but: Parameter of the function that is no option.

        Raises:
            DefinitionError: Naming the first one that is unknown.
        """
        known = inspect.signature(factory).parameters
        for option in options:
            if option not in known:
                others = ", ".join(k for k in known if k != but)
                raise DefinitionError(
                    f"{self.kind} {name} got the option {option!r:.100}, expected "
                    f"{f'only {others}' if others else 'none'}; remove it"
                )

    def make(self, name: str, expected: type, options: Mapping[str, object]) -> Any:
        """What the function of an entry point returns.

        Args:
            name: Name of the entry point.
            expected: Class of what it is to return.
            options: Options by name.

        Raises:
            DefinitionError: If there is no such entry point, it does not have such an option, or
                its package is faulty.
        """
        factory = self.factory(name)
        self.check_options(name, factory, options)
        try:
            made = factory(**options)
            if not isinstance(made, expected):
                raise TypeError(
                    f"its function returned {type(made).__name__}, expected {expected.__name__}"
                )
        except DefinitionError:
            raise
        except Exception as error:
            raise self.fault(name, error) from error
        return made

    def identity(self, name: str) -> dict[str, str]:
        """What identifies the code of an entry point: its distribution, version and source.

        The source is a hash of the file that holds the function: it tells apart what was changed
        without another version.
        """
        found = self._entry_point(name)
        of = None if found is None else found.dist
        return {
            "distribution": "" if of is None else of.name,
            "version": "" if of is None else of.version,
            "source": hash_of_source(self.factory(name)),
        }

    def fault(self, name: str, error: Exception) -> DefinitionError:
        """The error about an entry point whose package has raised one."""
        found = self._entry_point(name)
        package = "its package" if found is None else found.value.partition(":")[0]
        return DefinitionError(
            f"{self.kind} {name} cannot be used: {package} raised {type(error).__name__}: {error}; "
            f"fix that package, or the options in [{self.section}]"
        )

    def _entry_point(self, name: str) -> EntryPoint | None:
        installed = entry_points(group=self.group)
        return installed[name] if name in installed.names else None


def hash_of_source(factory: Factory) -> str:
    """A hash of the file that contains a function; empty if there is none."""
    path = inspect.getsourcefile(factory)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""
