"""What loggers are given of a search and of final training runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from moo_bnas.driver.finals import Chosen, Finals
from moo_bnas.driver.progress import FinalProgress
from moo_bnas.driver.run import Run
from moo_bnas.evaluation import Evaluation, Precision
from moo_bnas.evolution.space import Genotype
from moo_bnas.loggers import Loggers, Series
from moo_bnas.overrides import flat_keys_of
from moo_bnas.results.score import leaders, score_of
from moo_bnas.storage import Storage, Study, Trial

_IDENTITY = "logged_as"  # attribute of a run


class SearchLog:
    """Gives a search to loggers: a step for each trial, in the order of their numbers.

    A trial is given once all before it have ended, so that the best so far is the same whichever
    of them was trained first.

    Args:
        run: The run.
        loggers: Loggers that get its steps.
    """

    def __init__(self, run: Run, loggers: Loggers) -> None:
        self._run, self._loggers = run, loggers
        identity = _identity(run.storage, run.study)
        settings = {"mode": run.mode, "seed": run.seed, **flat_keys_of(run.definition)}
        self._series = Series(run.study.name, "search", identity, settings)
        self._ended: dict[int, Trial] = {}
        self._next = 0
        self._leaders: list[Trial] = []

    def learned(self, trials: Sequence[Trial]) -> None:
        """Gives what these trials came to; trials that have not ended are not given yet."""
        self._ended.update((t.number, t) for t in trials if t.state in ("complete", "fail"))
        while (trial := self._ended.pop(self._next, None)) is not None:
            if trial.state == "complete":
                self._loggers.log(self._series, trial.number, self._values(trial))
            self._next += 1

    def finish(self) -> None:
        """Gives the whole search, and that it has ended."""
        self.learned(self._run.storage.trials.read(self._run.study))
        self._loggers.finish(self._series, self._next, {})

    def _values(self, trial: Trial) -> dict[str, float]:
        definition, mode = self._run.definition, self._run.mode
        self._leaders = leaders(definition, mode, [*self._leaders, trial])
        name, score = score_of(definition, mode, self._leaders)
        costs = {key: trial.costs[key] for key in definition.costs() if key in trial.costs}
        found = {"accuracy": trial.result.accuracy, **costs, "fitness": trial.fitness}
        return found if score is None else {**found, name: score}


class FinalLog:
    """Gives final training runs to loggers: a step for each epoch, then the test accuracies.

    Args:
        finals: The final training runs.
        chosen: The networks.
        loggers: Loggers that get their steps.
    """

    def __init__(self, finals: Finals, chosen: Sequence[Chosen], loggers: Loggers) -> None:
        self._loggers = loggers
        identity = _identity(finals.storage, finals.run)
        recipe = finals.definition.final_recipe().model_dump(mode="json")
        common = {f"final.{key}": value for key, value in recipe.items()}
        self._series: dict[str, Series] = {}
        for each in chosen:
            title = finals.title(*each)
            settings = {**common, **_network(finals, *each)}
            self._series[title] = Series(finals.run.name, title, identity, settings)
        self._given: dict[str, int] = {}

    def progressed(self, progress: FinalProgress) -> None:
        """Gives the epochs that were not given yet."""
        for each in progress.unfinished:
            self._losses(each.title, each.losses)

    def ended(self, title: str, found: Evaluation) -> None:
        """Gives the last epochs of a network, and its accuracies on the test images."""
        self._losses(title, found.loss_per_epoch)
        tested = {"test/top1": found.accuracy, "test/top5": found.top5}
        known = {key: value for key, value in tested.items() if value is not None}
        self._loggers.finish(self._series[title], found.epochs, known)

    def _losses(self, title: str, losses: Sequence[float]) -> None:
        for epoch in range(self._given.get(title, 0), len(losses)):
            self._loggers.log(self._series[title], epoch + 1, {"train/loss": losses[epoch]})
        self._given[title] = len(losses)


def _network(finals: Finals, genotype: Genotype, precision: Precision) -> Mapping[str, Any]:
    """What a network is."""
    subject = finals.definition.subject()
    ratios = subject.space.decode(genotype)
    named = subject.space.named(genotype)
    return {"precision": precision, **named, **subject.costs_of(ratios, precision)}


def _identity(storage: Storage, run: Study) -> str:
    """Text that tells a run from another one of its name, such as one that was deleted."""
    known = storage.studies.open(run.name).attributes.get(_IDENTITY)
    if isinstance(known, str):
        return known
    made = uuid4().hex
    storage.studies.set_attributes(run, {_IDENTITY: made})
    return made
