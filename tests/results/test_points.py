from __future__ import annotations

from pathlib import Path

import pytest

from moo_bnas.definition import Definition
from moo_bnas.driver.run import Run, open_run
from moo_bnas.errors import StorageError
from moo_bnas.evaluation import Precision
from moo_bnas.evolution.scoring import Mode
from moo_bnas.networks.cost import COSTS, LayerCost, macs, one_by_one
from moo_bnas.report.files import as_json, write
from moo_bnas.report.terminal import as_table
from moo_bnas.results.convergence import convergence
from moo_bnas.results.points import collect
from moo_bnas.storage import Candidate, Storage, Study, final_of, pareto_metrics
from tests.driving import search_driver
from tests.fakes import evaluation, fake_worker


def drive(run: Run) -> None:
    with fake_worker(run.storage.url, run.study.name):
        search_driver(run).drive()


def undominated(points: dict[int, tuple[float, float]]) -> set[int]:
    """The keys of the (accuracy, cost) that no other is better than in one and as good in both."""
    return {
        key
        for key, (accuracy, cost) in points.items()
        if not any(
            a >= accuracy and c <= cost and (a, c) != (accuracy, cost) for a, c in points.values()
        )
    }


def train_finally(run: Run, ratios: float, precision: Precision, accuracy: float) -> None:
    """Finishes one final training, as a worker would."""
    genotype = run.definition.make_space().uniform(ratios)
    storage, final = run.storage, final_study(run)
    chosen = Candidate(genotype, precision, {"flops": 8.0, "memory_bits": 9})
    storage.trials.submit(final, run.definition.make_space(), [chosen])
    claim = storage.claims.take([final], "w", {"binary": "b", "full": "f"})
    assert claim is not None
    found = evaluation(accuracy, top5=99.5, epochs=20, train_seconds=60, device="d")
    storage.claims.finish(claim, "w", found, {"accuracy": accuracy, "flops": 8.0, "fitness": 1.0})


def final_study(run: Run) -> Study:
    definition = {**run.study.attributes["definition"], "final": {"epochs": 20}}
    attributes = {**run.study.attributes, "definition": definition}
    return run.storage.studies.ensure(final_of(run.study.name), pareto_metrics("flops"), attributes)


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_a_report_is_read_from_the_storage_alone(
    storage_url: str, tmp_path: Path, tiny: Definition, mode: Mode
) -> None:
    run = open_run(Storage(storage_url, create=True), "s", tiny, mode, 0)
    with pytest.raises(StorageError, match="study 's' has no finished candidate yet"):
        collect(run.storage, "s")
    drive(run)
    report = collect(Storage(storage_url), "s")
    search = report.search
    assert [p.ratios for p in search] == sorted(p.ratios for p in search)
    measured = {p.trial: (p.accuracy, p.cost) for p in search}
    assert {p.trial for p in search if p.on_measured_front} == undominated(measured)
    estimated = {p.trial: (p.estimate or 0.0, p.cost) for p in search}
    assert {p.trial for p in search if p.on_front} == undominated(estimated)
    # The accuracies of the fake worker are linear in the genotype, and without noise.
    for p in report.points:
        if p.precision == "full":
            assert p.estimate is None is p.estimate_sd
        else:
            assert p.estimate == pytest.approx(p.accuracy, abs=0.5)
            assert 0 < (p.estimate_sd or 0) < 1
    assert [p.ratios[0] for p in report.references] == [0.25, 0.5, 1.0, 2.0, 1.0]
    assert report.references[-1].precision == "full"
    assert report.best is not None
    fittest = max(p.believed - 4 * p.cost / tiny.reference_cost() for p in search)
    assert report.best.believed - 4 * report.best.cost / tiny.reference_cost() == fittest
    assert report.knee in report.front
    uniform = next(p for p in report.references if p.ratios[0] == 1.0)
    assert uniform.cost == tiny.reference_cost()
    assert uniform.fitness == uniform.accuracy - 4
    assert [s.evaluations for s in report.convergence] == list(range(1, 19))
    assert report.convergence == convergence(tiny, mode, run.storage.trials.read(run.study))
    assert report.finals == ()
    made = {t.what: t for t in report.making.trainings}
    assert set(made) == {"search", "references"}
    # Uniform networks of the search are copied where they were references before, or the reverse.
    number = {what: t.trained + sum(t.copied.values()) for what, t in made.items()}
    assert number == {"search": 18, "references": 5}
    assert made["search"].devices == {"fake": made["search"].trained}
    assert made["search"].seconds == made["search"].trained / 2


def test_final_trainings_stand_apart_from_what_the_search_saw(
    tmp_path: Path, tiny: Definition
) -> None:
    run = open_run(Storage(f"sqlite:///{tmp_path}/a.db", create=True), "s", tiny, "pareto", 0)
    drive(run)
    before = collect(run.storage, "s")
    train_finally(run, 2.0, "binary", 91.5)
    train_finally(run, 1.0, "full", 97.5)
    report = collect(run.storage, "s")
    told = [(f.ratios[0], f.precision, f.accuracy, f.top5, f.epochs) for f in report.finals]
    assert told == [(1.0, "full", 97.5, 99.5, 20), (2.0, "binary", 91.5, 99.5, 20)]
    assert report.making.final_recipe == {"epochs": 20}
    assert {t.what: t.seconds for t in report.making.trainings}["final"] == 120
    assert as_json(report) == as_json(before)  # the contract of pareto.json knows the search alone
    assert "test" in as_table(report).splitlines()[0]


def test_what_was_trained_finally_is_reported_without_a_search(
    tmp_path: Path, tiny: Definition
) -> None:
    run = open_run(Storage(f"sqlite:///{tmp_path}/a.db", create=True), "s", tiny, "pareto", 0)
    final_study(run)
    with pytest.raises(StorageError, match="no reference and no final training either"):
        collect(run.storage, "s")
    train_finally(run, 1.0, "binary", 88.0)
    report = collect(run.storage, "s")
    assert (report.points, report.knee, report.best, report.convergence) == ((), None, None, ())
    assert [f.accuracy for f in report.finals] == [88.0]
    assert len(write(report, tmp_path / "out")) == 7
    assert "88.00 %" in as_table(report)


def test_a_cost_that_a_run_did_not_store_is_counted(
    tiny: Definition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run(Storage(f"sqlite:///{tmp_path}/storage.db", create=True), "s", tiny, "pareto", 0)
    drive(run)
    of_layers = one_by_one(lambda s: macs(s) // s.out_size**2)
    weights = LayerCost("parameters", "parameters", "", "", of_layers)
    monkeypatch.setitem(COSTS, "parameters", weights)
    points = collect(run.storage, "s").points
    found = {(p.ratios[0], p.precision): p for p in points if p.kind == "baseline"}
    # Uniform 1x on grey digits, widths 4 4 8 8 16 16: nine weights per pair of channels, one pixel.
    expected = 9 * (1 * 4 + 4 * 4 + 4 * 8 + 8 * 8 + 8 * 16 + 16 * 16) + 16 * 10
    assert found[1.0, "binary"].costs["parameters"] == expected
    assert found[1.0, "full"].costs["parameters"] == expected
    assert found[1.0, "binary"].costs["flops"] == tiny.reference_cost()
