"""How far a search, its repeats or its final training runs are, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
class ConfirmProgress:
    """Where the repeats of a run stand.

    Attributes:
        done: Repeats that are finished, failed ones included.
        total: Repeats that there will be.
        workers: Workers that sent a heartbeat lately.
    """

    done: int
    total: int
    workers: int

    @property
    def stage(self) -> object:
        """A line is due whenever it changes."""
        return self.done == self.total

    @property
    def steps(self) -> object:
        """A line is due now and then while it changes."""
        return self.done

    def line(self) -> str:
        """All of it in one line."""
        return f"{self.done}/{self.total} repeats trained, {self.workers} workers"


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
