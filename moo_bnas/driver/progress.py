"""Where a run stands, and how it is shown while it goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from moo_bnas.definition import Definition, stored_definition
from moo_bnas.evolution.scoring import front, hypervolume
from moo_bnas.networks.cost import flops_range
from moo_bnas.storage import TRAINING, Storage, Study, Trial, parent_of
from moo_bnas.units import duration


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        generation: The one that is being evaluated, from 1.
        generations: How many there will be.
        done: Finished search trials, failed ones included.
        total: Search trials that there will be, at most.
        failed: How many failed.
        references_left: Uniform and full-precision networks that are still to be trained.
        score_name: `best fitness` or `hypervolume`.
        score: Of what is finished; None where nothing is.
        workers: That were heard of within the last minute.
        seconds_left: By the pace so far; None before anything was finished.
        parent: How far the parent is, while candidates wait for it.
    """

    generation: int
    generations: int
    done: int
    total: int
    failed: int
    references_left: int
    score_name: str
    score: float | None
    workers: int
    seconds_left: float | None
    parent: str | None = None

    @property
    def stage(self) -> object:
        """A line is due whenever it changes."""
        return self.generation

    @property
    def steps(self) -> object:
        """A line is due now and then while it changes."""
        return self.done, self.parent

    def line(self) -> str:
        """All of it in one line."""
        if self.parent is not None:
            return f"{self.parent}, {self.workers} workers"
        parts = [
            f"generation {self.generation}/{self.generations}",
            f"{self.done}/{self.total} evaluated",
            f"{self.score_name} {'-' if self.score is None else f'{self.score:.4f}'}",
            f"{self.workers} workers",
        ]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.references_left and self.done == self.total:
            parts.append(f"{self.references_left} references left")
        elif self.seconds_left is not None and self.done < self.total:
            parts.append(f"{duration(self.seconds_left)} left")
        return ", ".join(parts)


@dataclass(frozen=True)
class Unfinished:
    """A final training that is not over.

    Attributes:
        title: Of its network.
        state: waiting or running.
        losses: Mean training loss of each epoch so far.
        seconds: That these took.
    """

    title: str
    state: str
    losses: tuple[float, ...]
    seconds: float


@dataclass(frozen=True)
class FinalProgress:
    """Where final trainings stand.

    Attributes:
        unfinished: Those that are not over.
        networks: How many there are.
        epochs: Of each.
        workers: That were heard of lately.
    """

    unfinished: tuple[Unfinished, ...]
    networks: int
    epochs: int
    workers: int

    @property
    def done(self) -> int:
        """Epochs."""
        left = sum(self.epochs - len(each.losses) for each in self.unfinished)
        return self.total - left

    @property
    def total(self) -> int:
        """Epochs of all."""
        return self.networks * self.epochs

    @property
    def stage(self) -> object:
        """A line is due whenever it changes."""
        return len(self.unfinished)

    @property
    def steps(self) -> object:
        """A line is due now and then while it changes."""
        return self.done

    def line(self) -> str:
        """All of it in one line."""
        over = self.networks - len(self.unfinished)
        parts = [f"{over}/{self.networks} networks trained"]
        for each in self.unfinished:
            if each.state == "running":
                loss = f", loss {each.losses[-1]:.3f}" if each.losses else ""
                parts.append(f"{each.title}: epoch {len(each.losses)}/{self.epochs}{loss}")
        if self.unfinished:
            parts.append(f"{self.workers} workers")
        timed = [each for each in self.unfinished if each.losses]
        if timed and len(timed) == len(self.unfinished):
            left = [
                each.seconds / len(each.losses) * (self.epochs - len(each.losses)) for each in timed
            ]
            parts.append(f"{duration(max(left))} left")
        return "; ".join(parts)


class Shown(Protocol):
    """What a `Display` shows."""

    @property
    def done(self) -> int:
        """Of `total`."""

    @property
    def total(self) -> int:
        """Of what is counted."""

    @property
    def stage(self) -> object:
        """A line is due whenever it changes."""

    @property
    def steps(self) -> object:
        """A line is due now and then while it changes."""

    def line(self) -> str:
        """All of it in one line."""


def score_of(
    definition: Definition, mode: str, trials: Sequence[Trial]
) -> tuple[str, float | None]:
    """The one figure that tells how good a search is: its name, and its value.

    Args:
        definition: Of the run.
        mode: `scalar`: the best fitness; `pareto`: the hypervolume (`scoring.hypervolume`).
        trials: Complete ones.
    """
    name = "best fitness" if mode == "scalar" else "hypervolume"
    if not trials:
        return name, None
    if mode == "scalar":
        return name, max(t.attributes["fitness"] for t in trials)
    cheapest, dearest = flops_range(definition.make_network(), definition.make_space())
    accuracies = [t.attributes["accuracy"] for t in trials]
    costs = [t.attributes["flops"] for t in trials]
    return name, hypervolume(accuracies, costs, cheapest, dearest)


def leaders(mode: str, trials: Sequence[Trial]) -> list[Trial]:
    """Those of complete trials that `score_of` depends on: the fittest one, or the front."""
    if mode == "scalar":
        return sorted(trials, key=lambda t: t.attributes["fitness"])[-1:]
    on = front([t.attributes["accuracy"] for t in trials], [t.attributes["flops"] for t in trials])
    return [trials[i] for i in on]


def parent_progress(storage: Storage, study: Study) -> str:
    """How far the training of a run's parent is, in words."""
    recipe = stored_definition(study.attributes["definition"]).parent
    parent = storage.studies.open(parent_of(study.name))
    if parent.attributes["finished"]:
        return "parent trained"
    epochs = (parent.attributes.get(TRAINING) or {}).get("progress", 0)
    return f"parent {epochs} of {recipe.epochs if recipe else 0} epochs"


class Display:
    """Shows progress: live in a terminal, else a plain line at every stage, and now and then."""

    _LINE_SECONDS = 30.0

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._last: Shown | None = None
        self._last_time = 0.0
        self._printed = ""

    def __enter__(self) -> Display:
        if self._console.is_terminal:
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
        """Takes the newest progress."""
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
        print(self._printed, file=sys.stderr, flush=True)
        self._last_time = time.monotonic()


def _bar(progress: Shown) -> Table:
    table = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=max(progress.total, 1), completed=progress.done, width=30)
    table.add_row(bar, progress.line())
    return table
