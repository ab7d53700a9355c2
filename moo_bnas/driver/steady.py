"""The steady schedule: every finished evaluation makes room for a new candidate.

Each trial is stored with the results that the search learned right before it proposed the trial's
network, so that a resumed driver tells the search the same results in the same order. What finished
since the last proposal is told afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from moo_bnas.driver.candidates import binary_candidates
from moo_bnas.driver.run import Run
from moo_bnas.evolution.algorithm import Search
from moo_bnas.evolution.space import Genotype
from moo_bnas.storage import Trial


class Steady:
    """The proposals of a run, one by one.

    Args:
        run: Run that is driven.
        search: Search of the run, which was asked nothing so far.
        trials: Trials that the search proposed so far, by number.

    Attributes:
        running: Networks that were proposed and whose results the search does not know yet.
        submitted: Number of trials that the search proposed.
    """

    def __init__(self, run: Run, search: Search, trials: Sequence[Trial]) -> None:
        self._run = run
        self._search = search
        self._learned: list[int] = []  # numbers of trials, since the last proposal
        self.submitted = len(trials)
        self.running: set[Genotype] = set()
        self._replay(trials)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Takes in trials that have ended, one by one."""
        for trial in trials:
            found = trial.evaluation
            self._search.tell({trial.genotype: None if found is None else found.accuracy})
            self._learned.append(trial.number)
            self.running.discard(trial.genotype)

    def propose(self) -> int:
        """Submits as many candidates as there is room for.

        Returns:
            How many more there was room for: more than none once the space is exhausted.
        """
        options, run = self._run.definition.search, self._run
        room = min(options.population - len(self.running), options.candidates - self.submitted)
        if room <= 0:
            return 0
        asked = self._search.ask(room, _sorted(self.running))
        if asked:
            candidates = [
                replace(
                    candidate,
                    generation=(self.submitted + i) // options.population + 1,
                    told=tuple(self._learned) if i == 0 else (),
                )
                for i, candidate in enumerate(binary_candidates(run.definition, asked, None))
            ]
            run.storage.trials.submit(run.study, run.definition.make_space(), candidates)
            self._learned = []
            self.submitted += len(asked)
            self.running |= set(asked)
        return room - len(asked)

    def _replay(self, trials: Sequence[Trial]) -> None:
        numbered = {trial.number: trial for trial in trials}
        for trial in trials:
            self.tell([numbered[n] for n in trial.told if n in numbered])
            self._search.adopt([trial.genotype])
            self.running.add(trial.genotype)
        self._learned = []


def _sorted(genotypes: Collection[Genotype]) -> list[Genotype]:
    # In an order of their own: a set of a resumed driver may have another one.
    return sorted(genotypes)
