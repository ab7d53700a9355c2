"""Options that several commands share."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import click

from moo_bnas.output import one_line, show
from moo_bnas.passwords import STORAGE_VARIABLE, with_password

Function = TypeVar("Function", bound=Callable[..., Any])

LEVELS = ("debug", "info", "warning", "error")


MOST = 2**31 - 1
"""The greatest number that any option takes."""

LATENCIES = MappingProxyType({"ms": 1.0, "us": 1e-3, "s": 1e3})
"""Units of latencies, in milliseconds."""


class Numbers(click.FloatRange):
    """Finite numbers of a range; `click.FloatRange` takes what is not a number, too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number that a text stands for."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"got {value}, expected a finite number", param, ctx)
        return number


class Amounts(Numbers):
    """Positive amounts such as `40000`, `40k`, `1.5 M` or, with the unit, `40kbit`.

    Args:
        units: What one of each unit stands for; units may be left out.
    """

    _prefixes = MappingProxyType({"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9})

    def __init__(self, units: Mapping[str, float]) -> None:
        super().__init__(0, min_open=True)
        self._units = {"": 1.0, **units}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The amount that a text stands for."""
        # The longest first: in `5s` the s is the unit, not a plural.
        units = "|".join(map(re.escape, sorted(self._units, key=len, reverse=True)))
        found = re.fullmatch(rf"\s*(\S*?)\s*([kKMG]?)({units})s?\s*", str(value))
        try:
            number = float(found[1]) if found else math.nan
        except ValueError:
            number = math.nan
        if found is None or not math.isfinite(number):
            such = f"40000, 40k or 40k{next(u for u in self._units if u)}"
            self.fail(f"got {value!r:.100}, expected an amount such as {such}", param, ctx)
        return super().convert(
            number * self._prefixes[found[2]] * self._units[found[3]], param, ctx
        )


class PathType(click.Path):
    """A path, as `Path`; refuses texts that name none."""

    def __init__(self, *, folder: bool = False) -> None:
        super().__init__(path_type=Path, file_okay=not folder)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path that a text names."""
        if not str(value) or "\0" in str(value):
            self.fail(f"got {str(value)!r}, expected a path", param, ctx)
        return super().convert(value, param, ctx)


def options_as(name: str, record: type, *options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A decorator that adds options to a command, which gets their values as one record.

    Args:
        name: Parameter of the command that gets the record.
        record: Dataclass with a field for each of the options.
        options: Options and arguments, in the order in which --help shows them.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def decorated(**values: Any) -> Any:
            own = {field.name: values.pop(field.name) for field in fields(record)}
            return command(**{name: record(**own)}, **values)

        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


class _ToStandardError(logging.Handler):
    """Writes to the current standard error, which rich replaces while it shows something live."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        show(text if record.exc_info else one_line(text), err=True)


def _set_up_log(context: click.Context, parameter: click.Parameter, level: str) -> str:
    handler = _ToStandardError()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("moo_bnas").setLevel(level.upper())
    return level


def general_options(function: Function) -> Function:
    """Adds --log-level and --debug, which every command has."""
    function = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        help="Show a traceback with an error.",
    )(function)
    return click.option(
        "--log-level",
        type=click.Choice(LEVELS),
        default="info",
        show_default=True,
        callback=_set_up_log,
        expose_value=False,
        help="How much is logged, on standard error.",
    )(function)


def _find_password(context: click.Context, parameter: click.Parameter, url: str) -> str:
    found = with_password(url)
    if found is None:
        raise click.BadParameter(
            f"got {url}, whose password is hidden; set {STORAGE_VARIABLE} to the whole URL"
        )
    return found


storage_option = click.option(
    "--storage",
    "storage_url",
    envvar=STORAGE_VARIABLE,
    callback=_find_password,
    default="sqlite:///moo-bnas.db",
    show_default=True,
    show_envvar=True,
    metavar="URL",
    help="Database of the run, as an SQLAlchemy URL.",
)

wait_option = click.option(
    "--wait",
    is_flag=True,
    help="Wait for a database server that is down when this command starts, as for one that goes "
    "down later.",
)

study_option = click.option(
    "--study-name",
    metavar="NAME",
    help="Name of the run.  [default: the latest]",
)

device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda:N",
    callback=lambda context, parameter, value: check_device(value),
    help="Device to train on.",
)

heartbeat_option = click.option(
    "--heartbeat",
    type=Numbers(0.1, 600),
    default=10,  # storage.HEARTBEAT, which takes long to import
    show_default=True,
    metavar="SECONDS",
    help="Time between two signs of life; a process that misses six of them is replaced.",
)

data_root_option = click.option(
    "--data-root",
    type=PathType(folder=True),
    envvar="MOO_BNAS_DATA",
    # Unlike Path.expanduser, this leaves ~name as it is if there is no such user.
    callback=lambda context, parameter, path: Path(os.path.expanduser(path)),
    default="~/.cache/moo-bnas",
    show_default=True,
    show_envvar=True,
    metavar="FOLDER",
    help="Folder of data sets and decoded images.",
)

artifacts_option = click.option(
    "--artifacts",
    "artifacts_url",
    envvar="MOO_BNAS_ARTIFACTS",
    show_envvar=True,
    metavar="URL",
    help="Store of weights and checkpoints (of a parent, of final networks): a folder, "
    "s3://bucket or gs://bucket.  "
    "[default: the one that the run was begun with; for an SQLite file, a folder beside it]",
)

out_option = click.option(
    "--out",
    type=PathType(folder=True),
    metavar="FOLDER",
    help="Folder for the report.  [default: runs/<study>]",
)


def check_device(name: str) -> str:
    """The name of a device, if it has the form that --device accepts."""
    if re.fullmatch("auto|cpu|cuda(:[0-9]{1,2})?", name):
        return name
    raise click.BadParameter(f"got {name!r:.100}, expected auto, cpu or cuda:N")


def default_out(study_name: str) -> Path:
    """The default folder for what is written about a run.

    Raises:
        DefinitionError: If the name, which the storage may hold, is not that of a run.
    """
    from moo_bnas.storage.names import check_name

    return Path("runs") / check_name(study_name)


def parse_ratios(text: str) -> list[float]:
    """The numbers of a text in which commas separate them."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(
            f"got the ratios {text!r}, expected numbers joined by commas, such as 1,0.5,2,1,1,4"
        ) from error
