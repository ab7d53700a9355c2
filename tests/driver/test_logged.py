"""What loggers get of searches and of final training runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from moo_bnas.definition import Definition
from moo_bnas.driver.logged import FinalLog, SearchLog
from moo_bnas.driver.progress import FinalProgress, Unfinished
from moo_bnas.driver.run import Run, open_run
from moo_bnas.evolution.scoring import Mode, hypervolume
from moo_bnas.evolution.space import Genotype
from moo_bnas.loggers import Loggers, Series
from moo_bnas.storage import Storage
from tests.conftest import TINY
from tests.driving import FINAL, finals_of, make_definition, narrow, search_driver
from tests.fakes import accuracy_of, evaluation, fake_worker


class Recorder:
    """A logger that keeps what it gets."""

    def __init__(self) -> None:
        self.series: dict[str, Series] = {}
        self.steps: dict[str, list[tuple[int, Mapping[str, float]]]] = {}
        self.ends: dict[str, tuple[int, Mapping[str, float]]] = {}

    def log(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        self.series[series.title] = series
        self.steps.setdefault(series.title, []).append((step, values))

    def finish(self, series: Series, step: int, values: Mapping[str, float]) -> None:
        self.ends[series.title] = step, values

    def close(self) -> None:
        """Nothing to do."""


def _fails_once(genotype: Genotype) -> float:
    if genotype == (0,) * 6:
        raise ValueError("diverged")
    return accuracy_of(genotype)


def _search(url: str, definition: Definition, mode: Mode) -> tuple[Run, Recorder]:
    run, recorder = open_run(Storage(url, create=True), "s", definition, mode, 0), Recorder()
    loggers = Loggers([recorder])
    log = SearchLog(run, loggers)
    with fake_worker(url, "s", _fails_once):
        search_driver(run, learned=log.learned).drive()
    log.finish()
    loggers.close()
    return run, recorder


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_a_search_is_logged_by_trial_in_order(tmp_path: Path, tiny: Definition, mode: Mode) -> None:
    run, recorder = _search(f"sqlite:///{tmp_path}/storage.db", tiny, mode)
    trials = run.storage.trials.read(run.study)
    complete = [t for t in trials if t.state == "complete"]
    assert len(complete) == len(trials) - 1 == 17
    steps = recorder.steps["search"]
    assert [step for step, _ in steps] == [t.number for t in complete]
    assert [v["accuracy"] for _, v in steps] == [t.result.accuracy for t in complete]
    assert [v["flops"] for _, v in steps] == [t.costs["flops"] for t in complete]
    for number, (_, values) in enumerate(steps, start=1):
        known = complete[:number]
        if mode == "scalar":
            assert values["best fitness"] == max(t.fitness for t in known)
        else:
            found = [t.result.accuracy for t in known], [t.costs["flops"] for t in known]
            expected = hypervolume(*found, *tiny.cost_range())
            assert values["hypervolume"] == pytest.approx(expected)
    assert recorder.ends == {"search": (18, {})}
    settings = recorder.series["search"].settings
    assert (settings["mode"], settings["seed"], settings["recipe.epochs"]) == (mode, 0, 1)


def test_a_search_that_is_over_is_logged_under_the_same_key(
    tmp_path: Path, tiny: Definition
) -> None:
    run, before = _search(f"sqlite:///{tmp_path}/storage.db", tiny, "pareto")
    recorder = Recorder()
    loggers = Loggers([recorder])
    SearchLog(run, loggers).finish()
    loggers.close()
    assert recorder.steps == before.steps
    assert recorder.series["search"].key == before.series["search"].key


def test_a_later_trial_waits_for_those_before_it(tmp_path: Path, tiny: Definition) -> None:
    run, _ = _search(f"sqlite:///{tmp_path}/storage.db", tiny, "pareto")
    first, second, *_ = [
        replace(t, number=i)
        for i, t in enumerate(
            t for t in run.storage.trials.read(run.study) if t.state == "complete"
        )
    ]
    recorder = Recorder()
    loggers = Loggers([recorder])
    log = SearchLog(run, loggers)
    log.learned([second, replace(first, state="running")])
    log.learned([first])
    loggers.close()
    assert [step for step, _ in recorder.steps["search"]] == [0, 1]


def test_final_training_runs_are_logged_by_epoch_once(tmp_path: Path) -> None:
    definition = make_definition(tmp_path, TINY + FINAL)
    finals = finals_of(f"sqlite:///{tmp_path}/storage.db", "one", definition)
    recorder = Recorder()
    loggers = Loggers([recorder])
    log = FinalLog(finals, [narrow(definition)], loggers)
    title = "uniform 0.25x"
    running = Unfinished(title, "running", (2.0, 1.0), 3.0)
    log.progressed(FinalProgress((running,), networks=1, epochs=3, workers=1))
    log.progressed(FinalProgress((running,), networks=1, epochs=3, workers=1))
    log.ended(title, evaluation(90.0, top5=99.0, epochs=3, loss_per_epoch=(2.0, 1.0, 0.5)))
    loggers.close()
    assert recorder.steps == {
        title: [(epoch, {"train/loss": loss}) for epoch, loss in ((1, 2.0), (2, 1.0), (3, 0.5))]
    }
    assert recorder.ends == {title: (3, {"test/top1": 90.0, "test/top5": 99.0})}
    settings = recorder.series[title].settings
    assert (settings["precision"], settings["conv1"], settings["final.epochs"]) == (
        *("binary", 0.25, 3),
    )
