"""Repeats of the networks that matter, from the driver's side."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from moo_bnas.definition import Definition, parse_definition
from moo_bnas.driver.confirmation import Confirmation, networks_to_confirm
from moo_bnas.driver.progress import Shown
from moo_bnas.driver.run import open_run
from moo_bnas.errors import DefinitionError, StorageError
from moo_bnas.evolution.space import Genotype
from moo_bnas.report.files import as_csv, as_json
from moo_bnas.results.points import Searched, collect
from moo_bnas.results.status import read_status
from moo_bnas.storage import Storage, Trial
from tests.driving import search_driver
from tests.fakes import accuracy_of, fake_worker
from tests.marks import slow
from tests.report.conftest import make_point


def no_more(_: Shown) -> None:
    pass


def confirm(
    storage: Storage,
    definition: Definition,
    networks: int = 2,
    seeds: int = 3,
    *,
    show: Callable[[Shown], None] = no_more,
    accuracy: Callable[[Genotype], float] = accuracy_of,
) -> None:
    """What `moo-bnas run --confirm` does."""
    run = open_run(storage, "s", definition, "pareto", 0)
    confirmation = Confirmation(run, networks, seeds)
    with fake_worker(storage.url, "s", accuracy):
        driver = search_driver(run, show)
        if not run.is_over:
            driver.drive()
        driver.confirm(confirmation)


def search(storage: Storage, definition: Definition) -> None:
    """What `moo-bnas run` does."""
    run = open_run(storage, "s", definition, "pareto", 0)
    with fake_worker(storage.url, "s"):
        search_driver(run).drive()


class Pausing:
    """Accuracies for a fake worker: after some of them it waits until `over` is set."""

    def __init__(self, after: int) -> None:
        self._left = after
        self.over = threading.Event()

    def __call__(self, genotype: Genotype) -> float:
        if self._left == 0:
            self.over.wait()
        self._left = max(self._left - 1, 0)
        return accuracy_of(genotype)


def repeats(storage: Storage) -> list[Trial]:
    return storage.trials.read(storage.studies.open("s.confirm"))


@pytest.fixture
def storage(storage_url: str) -> Storage:
    return Storage(storage_url, create=True)


def test_networks_and_uniform_ones_are_trained_again_with_as_many_seeds(
    storage: Storage, tiny: Definition
) -> None:
    confirm(storage, tiny)
    trials = repeats(storage)
    assert {t.state for t in trials} == {"complete"}
    found = Counter(t.genotype for t in trials)
    uniform = {tiny.make_space().uniform(r) for r in tiny.space.ratios}
    assert set(found.values()) == {3}
    assert (len(found), uniform <= set(found)) == (6, True)
    assert {t.repeat for t in trials} == {1, 2, 3}
    report = collect(storage, "s")
    searched = {p.ratios for p in report.search if p.on_front or p is report.best}
    decode = tiny.make_space().decode
    assert {decode(g) for g in set(found) - uniform} <= searched
    assert report.making.trainings[-1].what == "confirm"
    counts = {"complete": 18, "running": 0, "waiting": 0, "fail": 0}
    assert read_status(storage, "s").confirm == counts
    assert "confirm      18 complete" in read_status(storage, "s").as_text()


def test_scores_of_inherited_weights_are_not_repeated(tmp_path: Path, tiny: Definition) -> None:
    values = tiny.model_dump()
    values |= {"parent": dict(values["recipe"]), "recipe": {**values["recipe"], "epochs": 0}}
    storage = Storage(f"sqlite:///{tmp_path}/storage.db", create=True)
    run = open_run(storage, "s", parse_definition(values, "test"), "pareto", 0)
    with pytest.raises(DefinitionError, match=r"got --confirm where \[recipe\] epochs is 0"):
        Confirmation(run, 2, 3)
    assert storage.studies.find("s.confirm") is None


def test_the_report_has_each_repeat_and_their_mean_without_the_search(
    storage: Storage, tiny: Definition
) -> None:
    confirm(storage, tiny)
    points = json.loads(as_json(collect(storage, "s")))["points"]
    of_kind = Counter(p["kind"] for p in points)
    assert of_kind == {"search": 18, "baseline": 5, "confirm": 18}
    one = [p for p in points if p["ratios"] == [1.0] * 6 and p["precision"] == "binary"]
    (baseline,) = (p for p in one if p["kind"] == "baseline")
    # The fake worker adds the number of the repeat to the accuracy: 1, 2, 3.
    accuracy = accuracy_of((2,) * 6)
    assert baseline["accuracy"] == accuracy
    assert baseline["confirmed"]["mean"] == accuracy + 2
    assert baseline["confirmed"]["standard_error"] == pytest.approx(1 / 3**0.5)
    assert baseline["confirmed"]["runs"] == 3
    again = [p["accuracy"] for p in one if p["kind"] == "confirm"]
    assert again == [accuracy + 1, accuracy + 2, accuracy + 3]
    assert not any(p["on_front"] for p in points if p["kind"] == "confirm")
    assert as_csv(collect(storage, "s")).count(",confirm,") == 18


@pytest.mark.parametrize("stop_at", [1, *slow(0, 17)])
def test_repeats_stopped_anywhere_end_as_if_they_had_not_been(
    storage: Storage, tiny: Definition, tmp_path: Path, stop_at: int
) -> None:
    elsewhere = Storage(f"sqlite:///{tmp_path}/undisturbed.db", create=True)  # nothing is copied
    confirm(elsewhere, tiny)
    search(storage, tiny)
    pausing = Pausing(stop_at)

    def show(progress: Shown) -> None:
        if progress.done >= stop_at:
            pausing.over.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        confirm(storage, tiny, show=show, accuracy=pausing)
    assert not storage.studies.open("s.confirm").attributes["finished"]
    confirm(storage, tiny)
    assert as_json(collect(storage, "s")) == as_json(collect(elsewhere, "s"))


def test_a_finished_run_is_confirmed_and_more_may_be_added(
    storage: Storage, tiny: Definition
) -> None:
    confirm(storage, tiny, 1, 1)
    before = {(t.genotype, t.repeat): t for t in repeats(storage)}
    run = open_run(storage, "s", tiny, "pareto", 0)
    assert run.is_over
    assert Confirmation(run, 1, 1).is_over
    assert storage.studies.open("s.confirm").attributes["finished"]
    assert not Confirmation(run, 2, 1).is_over
    assert not storage.studies.open("s.confirm").attributes["finished"]
    confirm(storage, tiny, 2, 2)
    after = {(t.genotype, t.repeat): t for t in repeats(storage)}
    assert {key: after[key] for key in before} == before
    assert len(after) == 2 * (2 + 4)


def test_a_repeat_that_fails_is_left_out(storage: Storage, tiny: Definition) -> None:
    narrow = tiny.make_space().uniform(0.25)
    done = []

    def accuracy(genotype: Genotype) -> float:
        if genotype == narrow and genotype in done:
            raise ValueError("diverged")
        done.append(genotype)
        return accuracy_of(genotype)

    confirm(storage, tiny, accuracy=accuracy)
    assert {t.state for t in repeats(storage) if t.genotype == narrow} == {"fail"}
    report = collect(storage, "s")
    assert [report.confirmed_as(p) is None for p in report.references] == [
        *(True, False, False, False, True),
    ]
    run = open_run(storage, "s", tiny, "pareto", 0)
    assert Confirmation(run, 2, 3).is_over


def test_repeats_that_are_deleted_end_the_driver(storage: Storage, tiny: Definition) -> None:
    search(storage, tiny)
    pausing = Pausing(1)

    def show(_: Shown) -> None:
        while storage.studies.find("s.confirm"):  # Optuna gives up if a trial is claimed meanwhile
            optuna.delete_study(study_name="s.confirm", storage=storage.optuna)
        storage.trials.forget_deleted()  # as the driver of another study may do
        pausing.over.set()

    with pytest.raises(StorageError, match=r"study 's\.confirm' does not exist any more"):
        confirm(storage, tiny, show=show, accuracy=pausing)


def test_best_and_knee_come_first_then_offers_at_uniform_costs_then_the_rest_spread(
    tiny: Definition,
) -> None:
    """FLOPs of the uniform networks: 718.5 (0.25x), 1509 (0.5x), 3306 (1x), 7764 (2x)."""
    space = tiny.make_space()

    def point(trial: int, cost: float, *ratios: float) -> object:
        made = make_point(tiny, trial, 50.0 + trial, ratios, on_front=True)
        return replace(made, cost=cost)

    front = [
        point(0, 718.5, *(0.25,) * 6),
        point(1, 750.0, 0.25, 0.25, 0.25, 0.25, 0.25, 0.5),
        point(2, 800.0, 0.25, 0.25, 0.25, 0.25, 0.5, 0.5),
        point(3, 1400.0, 0.25, 0.25, 0.25, 0.5, 0.5, 0.5),
        point(4, 1600.0, 0.25, 0.25, 0.5, 0.5, 0.5, 0.5),
        point(5, 3000.0, 1, 1, 1, 1, 1, 0.5),
        point(6, 7700.0, 1, 2, 2, 2, 2, 2),
    ]
    found = Searched(points=tuple(front), best=front[4], knee=front[4])  # type: ignore[arg-type]
    uniform = [space.uniform(r) for r in tiny.space.ratios]

    def trials(count: int) -> list[int]:
        chosen = networks_to_confirm(tiny, found, uniform, count)
        ratios = [space.decode(g) for g in chosen]
        return [next(p.trial for p in front if p.ratios == r) for r in ratios]  # type: ignore[attr-defined]

    # Best and knee are trial 4; at 1x the front offers trial 5, then by the ratio of costs to 1x:
    # 0.5x (2.19) trial 3, 2x (2.35) trial 6, 0.25x itself, which is repeated anyway. Of what is
    # left, trial 1 is further from all of them (1400 / 750) than trial 2 (1400 / 800).
    assert trials(10) == [4, 5, 3, 6, 1, 2]
    assert trials(3) == [4, 5, 3]
