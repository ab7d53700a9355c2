"""Shows progress: live in a terminal, else as plain lines."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from moo_bnas.driver.progress import Shown
from moo_bnas.output import one_line, show


class Display:
    """Shows progress: live in a terminal, else plain lines at new stages and now and then."""

    _LINE_SECONDS = 30.0

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._last: Shown | None = None
        self._last_time = 0.0
        self._printed = ""

    def __enter__(self) -> Display:
        # FORCE_COLOR, which notebooks set, makes rich take any file for a terminal.
        if self._console.is_terminal and self._console.file.isatty():
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        if self._last is not None and self._last.line() != self._printed:
            self._print(self._last)

    def show(self, progress: Shown) -> None:
        """Shows the newest progress, if it is worth it."""
        if self._live is not None:
            self._live.update(_bar(progress))
        elif self._worth_a_line(progress):
            self._print(progress)
        self._last = progress

    def _worth_a_line(self, progress: Shown) -> bool:
        if self._last is None or progress.stage != self._last.stage:
            return True
        return (
            progress.steps != self._last.steps
            and time.monotonic() - self._last_time > self._LINE_SECONDS
        )

    def _print(self, progress: Shown) -> None:
        self._printed = progress.line()
        show(one_line(self._printed), err=True)
        self._last_time = time.monotonic()


def _bar(progress: Shown) -> Table:
    table = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=max(progress.total, 1), completed=progress.done, width=30)
    table.add_row(bar, one_line(progress.line()))
    return table
