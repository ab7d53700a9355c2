"""How far a run is, read from the storage alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from moo_bnas.definition import stored_definition
from moo_bnas.processes import is_gone
from moo_bnas.progress import score_of
from moo_bnas.storage import Storage, WorkerRow


@dataclass(frozen=True)
class Status:
    """See `moo-bnas status`; `best` is the fitness or the hypervolume, by mode."""

    study: str
    mode: str
    finished: bool
    counts: dict[str, int]
    generation: int
    generations: int
    evaluations: int
    total: int
    score_name: str
    best: float | None
    workers: list[WorkerRow]
    seconds_left: float | None
    failures: dict[str, int]

    def as_document(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "study": self.study,
            "mode": self.mode,
            "finished": self.finished,
            "counts": self.counts,
            "generation": self.generation,
            "generations": self.generations,
            "evaluations": self.evaluations,
            "total": self.total,
            "best": self.best,
            "workers": len(self.workers),
            "seconds_left": self.seconds_left,
            "failures": self.failures,
        }


def read_status(storage: Storage, study_name: str) -> Status:
    """Reads it."""
    study = storage.studies.open(study_name)
    definition = stored_definition(study.attributes["definition"])
    trials = storage.trials.read(study)
    complete = [t for t in trials if t.state == "complete"]
    failures = Counter(t.attributes["fail_reason"] for t in trials if t.state == "fail")
    finished = study.attributes["finished"]
    recent = [
        w
        for w in storage.workers.read(study)
        if w.is_recent and not finished and not is_gone(w.host, w.pid)
    ]
    total = definition.search.population * definition.search.generations
    score_name, best = score_of(definition, study.attributes["mode"], complete)
    seconds = [t.attributes["train_seconds"] for t in complete]
    left = None
    if seconds and recent:
        undone = max(total - len(complete) - sum(failures.values()), 0)
        left = sum(seconds) / len(seconds) * undone / len(recent)
    return Status(
        study=study_name,
        mode=study.attributes["mode"],
        finished=finished,
        counts=storage.trials.counts(study),
        generation=max((t.attributes["generation"] for t in trials), default=0),
        generations=definition.search.generations,
        evaluations=len(complete) + sum(failures.values()),
        total=total,
        score_name=score_name,
        best=best,
        workers=recent,
        seconds_left=left,
        failures=dict(failures.most_common()),
    )
