from __future__ import annotations

from pathlib import Path

import pytest

from moo_bnas.definition import Definition
from moo_bnas.driver.choosing import Choice
from moo_bnas.driver.run import open_run
from moo_bnas.errors import StorageError
from moo_bnas.results.points import collect
from moo_bnas.storage import Storage
from tests.driving import search_driver
from tests.fakes import accuracy_of, fake_worker


def test_a_network_is_chosen_from_the_search(tiny: Definition, tmp_path: Path) -> None:
    run = open_run(Storage(f"sqlite:///{tmp_path}/storage.db", create=True), "s", tiny, "pareto", 0)
    with pytest.raises(
        StorageError, match="no finished candidate to choose from; begin or resume it with"
    ):
        Choice(run.storage, run.study).trial(0)
    with fake_worker(run.storage.url, "s"):
        search_driver(run).drive()
    choice = Choice(run.storage, run.study)
    trials = run.storage.trials.read(run.study)
    assert {t.result.accuracy for t in trials} == {accuracy_of(t.genotype) for t in trials}
    assert choice.trial(7) == trials[7].genotype
    report = collect(run.storage, "s")
    space = tiny.make_space()
    assert report.best is not None
    assert report.knee is not None
    assert choice.best() == space.encode(report.best.ratios)
    assert choice.knee() == space.encode(report.knee.ratios)
    limit = sorted(t.costs["flops"] for t in trials)[9]
    within = [p for p in report.search if p.cost <= limit]
    assert len(within) == 10
    most = max(within, key=lambda p: p.estimate or 0.0)
    assert choice.within("flops", limit) == space.encode(most.ratios)
    with pytest.raises(StorageError, match=r"got trial 99, but 's' has only 18 \(from 0\)"):
        choice.trial(99)
    with pytest.raises(StorageError, match="has at most 1 FLOPs; the cheapest has"):
        choice.within("flops", 1)
