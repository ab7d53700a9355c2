"""How far a search, its repeats or its final training runs are, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from moo_bnas.units import count, duration


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        generation: Number of the generation that is being evaluated, from 1.
        generations: Number of generations in all.
        done: Number of finished search trials, failed ones included.
        total: Greatest number of search trials that there will be.
        failed: Number of failed search trials.
        references_left: Uniform and full-precision networks that are still to be trained.
        score_name: Name of the score: `best fitness` or `hypervolume`.
        score: Score of what is finished; None where nothing is.
        workers: Number of workers that gave a sign of life lately.
        seconds_left: Time left at the pace since the first result; None until a few are in.
        parent: How far the parent is, while candidates wait for it; else None.
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
        """A value that changes when a line should be printed."""
        return self.generation

    @property
    def steps(self) -> object:
        """A value that changes when a line should be printed if the last one is long ago."""
        return self.done, self.parent

    def line(self) -> str:
        """The progress as one line of text."""
        if self.parent is not None:
            return f"{self.parent}, {count(self.workers, 'worker')}"
        parts = [
            f"generation {self.generation}/{self.generations}",
            f"{self.done}/{self.total} evaluated",
            f"{self.score_name} {'-' if self.score is None else f'{self.score:.4f}'}",
            count(self.workers, "worker"),
        ]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.references_left and self.done == self.total:
            parts.append(f"{count(self.references_left, 'reference')} left")
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
        return f"{self.done}/{count(self.total, 'repeat')} trained, {count(self.workers, 'worker')}"


@dataclass(frozen=True)
class Unfinished:
    """A final training run that is not over.

    Attributes:
        title: What its network is called.
        state: State of its trial: waiting or running.
        losses: Mean training loss of each epoch so far.
        seconds: Time that these epochs took.
    """

    title: str
    state: str
    losses: tuple[float, ...]
    seconds: float


@dataclass(frozen=True)
class FinalProgress:
    """How far final training runs are.

    Attributes:
        unfinished: Training runs that are not over.
        networks: Number of networks in all.
        epochs: Epochs per network.
        workers: Number of workers that gave a sign of life lately.
    """

    unfinished: tuple[Unfinished, ...]
    networks: int
    epochs: int
    workers: int

    @property
    def done(self) -> int:
        """Epochs that are finished, of all networks."""
        left = sum(self.epochs - len(each.losses) for each in self.unfinished)
        return self.total - left

    @property
    def total(self) -> int:
        """Epochs in all, of all networks."""
        return self.networks * self.epochs

    @property
    def stage(self) -> object:
        """A value that changes when a line should be printed."""
        return len(self.unfinished)

    @property
    def steps(self) -> object:
        """A value that changes when a line should be printed if the last one is long ago."""
        return self.done

    def line(self) -> str:
        """The progress as one line of text."""
        over = self.networks - len(self.unfinished)
        parts = [f"{over}/{count(self.networks, 'network')} trained"]
        for each in self.unfinished:
            if each.state == "running":
                loss = f", loss {each.losses[-1]:.3f}" if each.losses else ""
                parts.append(f"{each.title}: epoch {len(each.losses)}/{self.epochs}{loss}")
        if self.unfinished:
            parts.append(count(self.workers, "worker"))
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
        """How much of `total` is done."""

    @property
    def total(self) -> int:
        """How much there is to do."""

    @property
    def stage(self) -> object:
        """A value that changes when a line should be printed."""

    @property
    def steps(self) -> object:
        """A value that changes when a line should be printed if the last one is long ago."""

    def line(self) -> str:
        """The progress as one line of text."""
