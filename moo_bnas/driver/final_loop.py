"""The driver of final training runs: submits chosen networks and waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from moo_bnas.driver.finals import Chosen, Finals
from moo_bnas.driver.local_workers import LocalWorkers
from moo_bnas.driver.progress import FinalProgress, Unfinished
from moo_bnas.driver.upkeep import Upkeep, pause
from moo_bnas.errors import FinalTrainingError
from moo_bnas.storage import Trial, training_of


class FinalDriver:
    """Has networks trained to the end.

    Args:
        finals: Final training runs, opened.
        workers: Local workers, which the caller starts and stops.
        show: Function that is called with the progress whenever it may have changed.
        renew_lease: Function that `driver_lease` gives for the study of final training runs.
    """

    def __init__(
        self,
        finals: Finals,
        workers: LocalWorkers,
        show: Callable[[FinalProgress], None],
        renew_lease: Callable[[], None],
    ) -> None:
        self._finals = finals
        self._upkeep = Upkeep(finals.storage, finals.study, finals.run, workers, renew_lease)
        self._show = show

    def train(self, chosen: Sequence[Chosen]) -> list[Trial]:
        """Has networks trained that are not trained yet, and waits for them.

        Returns:
            Their finished trials, in order.

        Raises:
            FinalTrainingError: Where a final training run failed.
        """
        finals, storage = self._finals, self._finals.storage
        finals.submit(chosen)
        storage.studies.set_attributes(finals.study, {"finished": False})
        began = time.monotonic()
        while any(t.state in ("waiting", "running") for t in finals.trials(chosen)):
            if self._upkeep.is_due:
                self._upkeep.look()
                self._show(progress_of(finals, chosen, self._upkeep.alive))
            pause(began)
        storage.studies.set_attributes(finals.study, {"finished": True})
        found = _finished(finals, chosen)
        self._show(progress_of(finals, chosen, self._upkeep.alive))
        return found


def _finished(finals: Finals, chosen: Sequence[Chosen]) -> list[Trial]:
    """The finished trials of these networks, in order.

    Raises:
        FinalTrainingError: Where a final training run failed.
    """
    trials = finals.trials(chosen)
    for trial in trials:
        if trial.state == "fail":
            title = finals.title(trial.genotype, trial.precision)
            raise FinalTrainingError(
                f"the final training of {title} failed: {trial.failure}; fix "
                "its cause and give --restart"
            )
    return trials


def progress_of(finals: Finals, chosen: Sequence[Chosen], alive: int) -> FinalProgress:
    """How far the final training runs of these networks are."""
    stored = finals.storage.studies.open(finals.study.name).attributes
    trials = finals.trials(chosen)
    unfinished: list[Unfinished] = []
    for trial in trials:
        if trial.state in ("waiting", "running"):
            known = (stored.get(training_of(trial.number)) or {}).get("progress") or {}
            unfinished.append(
                Unfinished(
                    finals.title(trial.genotype, trial.precision),
                    trial.state,
                    tuple(known.get("losses", ())),
                    known.get("seconds", 0.0),
                )
            )
    epochs = finals.definition.final_recipe().epochs
    return FinalProgress(tuple(unfinished), len(trials), epochs, alive)
