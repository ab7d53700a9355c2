"""A worker that trains nothing, for tests of what stands around the training."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from moo_bnas.definition import Definition, stored_definition
from moo_bnas.scoring import fitness
from moo_bnas.space import Genotype
from moo_bnas.storage import Claim, Storage, baselines_of


def accuracy_of(genotype: Genotype) -> float:
    """Grows with the widths, by another amount for each gene."""
    return 50.0 + sum(i * g for i, g in enumerate(genotype, start=1)) / 2


@contextmanager
def fake_worker(
    url: str, study_name: str, evaluate: Callable[[Claim], float | None] | None = None
) -> Iterator[None]:
    """Serves a study from a thread; `evaluate` gives an accuracy, or None to fail the trial."""
    over = threading.Event()

    def serve() -> None:
        storage = Storage(url)
        names = (study_name, baselines_of(study_name))
        studies = [storage.studies.open(n) for n in names]
        definition = stored_definition(studies[0].attributes["definition"])
        worker = f"fake-{uuid.uuid4().hex}"
        storage.workers.join(studies[0], worker, "elsewhere", 1, "fake", 60.0)
        prints = {p: definition.fingerprint(p, "fake") for p in ("binary", "full")}
        while not over.is_set():
            claim = storage.claims.take(studies, worker, prints)
            if claim is None:
                over.wait(0.01)
                continue
            accuracy = (evaluate or _default)(claim)
            if accuracy is None:
                storage.claims.fail(claim, "RuntimeError: told to")
                continue
            _finish(storage, claim, definition, accuracy)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _default(claim: Claim) -> float:
    return accuracy_of(claim.genotype)


def _finish(storage: Storage, claim: Claim, definition: Definition, accuracy: float) -> None:
    (trial,) = [
        t
        for t in storage.trials.read(claim.study, [claim.genotype])
        if t.precision == claim.precision
    ]
    cost = trial.attributes["flops"]
    score = fitness(accuracy, cost, definition.reference_flops(), definition.search.trade_off)
    found = {"accuracy": accuracy, "fitness": score, "train_seconds": 0.5, "worker": "fake"}
    scores = {"accuracy": accuracy, "flops": cost, "fitness": score}
    storage.claims.finish(claim, "fake", claim.known or found, scores)
