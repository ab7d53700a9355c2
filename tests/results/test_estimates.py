from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from moo_bnas.definition import Definition
from moo_bnas.driver.run import open_run
from moo_bnas.evolution.estimates import ENOUGH
from moo_bnas.evolution.space import Genotype
from moo_bnas.results.estimates import believed, measured_elsewhere
from moo_bnas.results.points import searched
from moo_bnas.results.status import read_status
from moo_bnas.storage import Storage, Trial
from tests.driving import search_driver
from tests.fakes import accuracy_of, evaluation, fake_worker


def trial(number: int, genotype: Genotype, accuracy: float, fingerprint: str = "f") -> Trial:
    found = replace(evaluation(accuracy), fingerprint=fingerprint)
    return Trial(
        number, "complete", genotype, "binary", {"flops": 1.0, "memory_bits": 1}, evaluation=found
    )


def noisy_trials(number: int, noise: float, fingerprint: str = "f") -> list[Trial]:
    """Random genotypes with 4 choices for each of 6 genes, and noise around `accuracy_of`."""
    chance = random.Random(0)
    drawn: set[Genotype] = set()
    while len(drawn) < number:
        drawn.add(tuple(chance.randrange(4) for _ in range(6)))
    noises = random.Random(fingerprint)
    return [
        trial(i, g, accuracy_of(g) + noises.gauss(0, noise), fingerprint)
        for i, g in enumerate(sorted(drawn))
    ]


def test_estimates_are_nearer_to_the_truth_than_single_training_runs(tiny: Definition) -> None:
    trials = noisy_trials(100, noise=1.0)
    found = believed(tiny, trials)
    off = [found[t.genotype].accuracy - accuracy_of(t.genotype) for t in trials]
    rms = (sum(e**2 for e in off) / len(off)) ** 0.5
    assert rms < 0.7  # of single runs: 1
    deviations = [found[t.genotype].deviation for t in trials]
    within = sum(abs(e) < 2 * d for e, d in zip(off, deviations, strict=True))
    assert within >= 85  # of 100; 95 are expected of a normal distribution


def test_further_seeds_count_as_measurements_and_copies_do_not(tiny: Definition) -> None:
    trials = noisy_trials(40, noise=1.0)
    once = believed(tiny, trials)
    copies = [replace(t, number=1000 + t.number) for t in trials]
    assert believed(tiny, [*trials, *copies]) == once
    repeats = [replace(t, repeat=1) for t in noisy_trials(40, 1.0, "another seed")]
    repeats = [replace(t, evaluation=replace(t.result, fingerprint="f")) for t in repeats]
    repeated = believed(tiny, [*trials, *repeats])
    assert sum(e.deviation for e in repeated.values()) < sum(e.deviation for e in once.values())


def test_of_few_networks_nothing_is_estimated(tiny: Definition) -> None:
    trials = noisy_trials(ENOUGH, noise=1.0)
    assert len(believed(tiny, trials)) == ENOUGH
    repeated = [*trials[1:], replace(trials[1], evaluation=trials[0].evaluation)]
    assert believed(tiny, repeated) == {}
    full = replace(trials[0], precision="full")
    assert believed(tiny, [full, *trials[1:]]) == {}
    found = searched(tiny, trials[1:], {})
    assert [p.estimate for p in found.points] == [None] * (ENOUGH - 1)
    assert [p.on_front for p in found.points] == [p.on_measured_front for p in found.points]
    assert found.best == max(found.points, key=lambda p: p.fitness)


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_status_shows_the_estimated_score_beside_the_measured_one(
    tmp_path: Path, tiny: Definition, mode: str
) -> None:
    run = open_run(Storage(f"sqlite:///{tmp_path}/a.db", create=True), "s", tiny, mode, 0)  # type: ignore[arg-type]
    before = read_status(run.storage, "s")
    assert before.as_document()["best_estimate"] is None
    assert "none yet" in before.as_text()
    with fake_worker(run.storage.url, "s"):
        search_driver(run).drive()
    after = read_status(run.storage, "s")
    assert after.best is not None
    assert after.best_estimate == pytest.approx(after.best, rel=0.02)
    assert f"{after.best_estimate:.4f} estimated, {after.best:.4f} measured" in after.as_text()
    assert len(measured_elsewhere(run.storage, "s")) == 5  # references: 4 binary, 1 full
