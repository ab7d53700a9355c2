from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import optuna
import pytest

import moo_bnas.driver.run
from moo_bnas.definition import Definition, parse_definition
from moo_bnas.driver import search_loop, upkeep
from moo_bnas.driver.local_workers import LocalWorkers
from moo_bnas.driver.progress import Progress
from moo_bnas.driver.run import open_run
from moo_bnas.errors import DefinitionError, StorageError
from moo_bnas.evolution.algorithm import Search
from moo_bnas.evolution.scoring import Mode
from moo_bnas.evolution.space import Genotype
from moo_bnas.overrides import override
from moo_bnas.report.files import as_json
from moo_bnas.results.points import collect
from moo_bnas.results.status import read_status
from moo_bnas.storage import Storage
from tests.driving import search_driver
from tests.fakes import accuracy_of, fake_worker
from tests.marks import slow


class Run:
    """Drives studies with a fake worker, in one storage."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.storage = Storage(url, create=True)
        self.shown: list[Progress] = []

    def drive(
        self,
        definition: Definition,
        *,
        name: str = "s",
        mode: Mode = "pareto",
        seed: int = 0,
        stop_at: int | None = None,
        accuracy: Callable[[Genotype], float] = accuracy_of,
    ) -> str:
        """The run's pareto.json; with `stop_at`, interrupted once that many are evaluated."""
        opened = open_run(self.storage, name, definition, mode, seed)

        def show(progress: Progress) -> None:
            self.shown.append(progress)
            if stop_at is not None and progress.done >= stop_at:
                raise KeyboardInterrupt

        with fake_worker(self.url, name, accuracy):
            search_driver(opened, show).drive()
        return as_json(collect(self.storage, name))

    def generations(self, name: str = "s") -> dict[int, list[Genotype]]:
        found: dict[int, list[Genotype]] = {}
        for trial in self.storage.trials.read(self.storage.studies.open(name)):
            found.setdefault(trial.generation or 0, []).append(trial.genotype)
        return found


@pytest.fixture
def run(storage_url: str) -> Run:
    return Run(storage_url)


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
def test_a_run_evaluates_every_generation_and_the_references(
    run: Run, tiny: Definition, mode: Mode
) -> None:
    run.drive(tiny, mode=mode)
    assert {n: len(g) for n, g in run.generations().items()} == {1: 6, 2: 6, 3: 6}
    study = run.storage.studies.open("s")
    assert study.attributes["finished"]
    assert run.storage.trials.counts(study)["complete"] == 18
    references = run.storage.trials.read(run.storage.studies.open("s.baselines"))
    assert Counter(t.precision for t in references) == {"binary": 4, "full": 1}
    assert all(t.state == "complete" for t in references)
    last = run.shown[-1]
    assert (last.done, last.total, last.generation, last.references_left) == (18, 18, 3, 0)
    assert last.score is not None


def test_a_time_left_is_told_once_four_results_came_after_the_first_ones(
    run: Run, tiny: Definition
) -> None:
    run.drive(tiny)
    first = next(progress.done for progress in run.shown if progress.done)
    assert first <= 6
    for progress in run.shown:
        assert (progress.seconds_left is None) == (progress.done < first + 4)
    assert run.shown[-1].seconds_left == 0


@pytest.mark.parametrize("mode", ["scalar", "pareto"])
@pytest.mark.parametrize("stop_at", [11, *slow(0, 1, 6, 18)])
def test_a_run_stopped_anywhere_ends_as_if_it_had_not_been(
    run: Run, tiny: Definition, mode: Mode, stop_at: int
) -> None:
    undisturbed = run.drive(tiny, mode=mode, name="undisturbed")
    with pytest.raises(KeyboardInterrupt):
        run.drive(tiny, mode=mode, stop_at=stop_at)
    resumed = run.drive(tiny, mode=mode)
    assert resumed.replace('"s"', '"undisturbed"') == undisturbed


def test_a_study_that_is_deleted_ends_its_driver_soon(run: Run, tiny: Definition) -> None:
    opened = open_run(run.storage, "s", tiny, "pareto", 0)

    def show(progress: Progress) -> None:
        run.shown.append(progress)
        if len(run.shown) == 2:
            optuna.delete_study(study_name="s", storage=run.storage.optuna)
            run.storage.trials.forget_deleted()  # as the driver of another study may do

    began = time.monotonic()
    with pytest.raises(StorageError, match="study 's' does not exist any more; was it deleted"):
        search_driver(opened, show).drive()
    assert time.monotonic() - began < 20
    assert {progress.done for progress in run.shown} == {0}


def test_a_deleted_study_is_missed_though_its_queue_is_there(run: Run, tiny: Definition) -> None:
    opened = open_run(run.storage, "s", tiny, "pareto", 0)

    def show(progress: Progress) -> None:
        if progress not in run.shown:
            optuna.delete_study(study_name="s", storage=run.storage.optuna)
        run.shown.append(progress)
        assert len(run.shown) < 100

    with pytest.raises(StorageError, match="study 's' does not exist any more"):
        search_driver(opened, show).drive()


def test_raising_generations_continues_a_finished_run(run: Run, tiny: Definition) -> None:
    run.drive(override(tiny, generations=2))
    before = run.generations()
    run.drive(tiny)
    after = run.generations()
    assert {n: after[n] for n in (1, 2)} == before
    assert len(after[3]) == 6
    longer_from_the_start = run.drive(tiny, name="other")
    assert run.generations("other") == after
    assert longer_from_the_start.replace('"other"', '"s"') == as_json(collect(run.storage, "s"))


def test_a_definition_under_another_name_is_the_same_run(run: Run, tiny: Definition) -> None:
    run.drive(tiny)
    renamed = {**tiny.model_dump(), "name": "other", "description": "other"}
    run.drive(parse_definition(renamed, "test"))


def test_a_resume_with_a_changed_definition_prints_the_differences(
    run: Run, tiny: Definition
) -> None:
    run.drive(tiny)
    changed = tiny.model_dump()
    changed["recipe"]["epochs"] = 2
    changed["search"].update(generations=2, max_flops=9e9)
    with pytest.raises(DefinitionError) as caught:
        open_run(run.storage, "s", parse_definition(changed, "test"), "scalar", 7)
    message = str(caught.value)
    for difference in (
        "mode was 'pareto', now 'scalar'",
        "seed was 0, now 7",
        "recipe.epochs was 1, now 2",
        "search.generations was 3, now 2",
        "search.max_flops was None, now 9000000000.0",
        "only generations, max_evaluations, max_hours, plateau may be raised",
    ):
        assert difference in message
    assert run.storage.studies.open("s").attributes["finished"]


def test_a_budget_that_nothing_fits_leaves_no_study(run: Run, tiny: Definition) -> None:
    with pytest.raises(DefinitionError, match="the smallest network has .*; raise the limit"):
        open_run(run.storage, "s", override(tiny, max_flops=10.0), "pareto", 0)
    assert run.storage.studies.names() == []


@pytest.mark.parametrize("budget", [{"max_flops": 900.0}, {"max_memory": 3000.0}])
def test_no_trial_is_over_a_budget(run: Run, tiny: Definition, budget: dict[str, float]) -> None:
    run.drive(override(tiny, **budget))
    trials = run.storage.trials.read(run.storage.studies.open("s"))
    (name,) = budget
    key = {"max_flops": "flops", "max_memory": "memory_bits"}[name]
    assert trials
    assert max(t.costs[key] for t in trials) <= budget[name]


def test_failed_candidates_are_survived_and_never_on_the_front(run: Run, tiny: Definition) -> None:
    def accuracy(genotype: Genotype) -> float:
        if genotype[0] == 3:
            raise RuntimeError("it is meant to fail")
        return accuracy_of(genotype)

    run.drive(tiny, accuracy=accuracy)
    report = collect(run.storage, "s")
    assert report.failed > 0
    assert len([p for p in report.points if p.kind == "search"]) == 18 - report.failed
    assert not any(p.ratios[0] == 2.0 for p in report.points)
    assert run.shown[-1].failed == report.failed


def test_only_finished_evaluations_forgive_the_deaths_of_local_workers(
    run: Run, tiny: Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(genotype: Genotype) -> float:
        raise RuntimeError("it is meant to fail")

    progress: list[bool] = []
    monkeypatch.setattr(upkeep, "_SECONDS", 0.0)
    monkeypatch.setattr(LocalWorkers, "check", lambda _, progressed: progress.append(progressed))
    with pytest.raises(StorageError, match="18 failed"):  # there is nothing to report
        run.drive(tiny, name="broken", accuracy=broken)
    assert progress
    assert not any(progress)
    run.drive(tiny, name="sound")
    assert any(progress)


def test_proposals_that_differ_from_the_stored_ones_discard_nothing(
    run: Run, tiny: Definition, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run.drive(override(tiny, generations=2))
    before = run.generations()
    make_search = moo_bnas.driver.run.make_search
    monkeypatch.setattr(  # as another version of pymoo would
        search_loop,
        "make_search",
        lambda definition, mode, seed, before: make_search(definition, mode, 99),
    )
    with caplog.at_level(logging.WARNING):
        run.drive(tiny)
    assert caplog.text.count("was stored with other proposals than are made now") == 1
    after = run.generations()
    assert {n: after[n] for n in (1, 2)} == before
    assert len(after[3]) == 6
    assert not set(after[3]) & {g for n in (1, 2) for g in after[n]}


def test_a_space_smaller_than_the_search_ends_it_early(run: Run, tiny: Definition) -> None:
    values = tiny.model_dump()
    values["space"]["ratios"] = [1.0, 2.0]
    values["search"].update(population=40, generations=9)
    run.drive(parse_definition(values, "test"))
    assert run.storage.trials.counts(run.storage.studies.open("s"))["complete"] == 2**6
    assert run.shown[-1].total == run.shown[-1].done == 64


@pytest.mark.parametrize("name", ["../up", ".", "a b", "it's", "<b>", "s.baselines", ""])
def test_study_names_that_are_no_file_names_are_refused(
    run: Run, tiny: Definition, name: str
) -> None:
    with pytest.raises(DefinitionError, match="got the study name .*; choose another"):
        open_run(run.storage, name, tiny, "pareto", 0)


def test_a_finished_run_is_opened_and_ended_without_new_work(run: Run, tiny: Definition) -> None:
    first = run.drive(tiny)

    def accuracy(_: Genotype) -> float:
        raise AssertionError("nothing was to be evaluated")

    assert run.drive(tiny, accuracy=accuracy) == first
    assert open_run(run.storage, "s", tiny, "pareto", 0).is_over
    assert not open_run(run.storage, "s", override(tiny, generations=4), "pareto", 0).is_over


def _steady(tiny: Definition, **search: object) -> Definition:
    return override(tiny, schedule="steady", **search)


def test_a_steady_run_proposes_a_candidate_for_every_result(run: Run, tiny: Definition) -> None:
    run.drive(_steady(tiny))
    trials = run.storage.trials.read(run.storage.studies.open("s"))
    assert [t.generation for t in trials] == [1] * 6 + [2] * 6 + [3] * 6
    assert {t.state for t in trials} == {"complete"}
    told = [n for t in trials for n in t.told]
    assert len(told) == len(set(told)) >= 12  # all but what finished after the last proposal
    assert all(n < t.number for t in trials for n in t.told)
    last = run.shown[-1]
    assert (last.done, last.total, last.generation, last.references_left) == (18, 18, 3, 0)


@pytest.mark.parametrize("stop_at", [0, 4, 11])
def test_a_steady_run_resumes_from_the_state_before_it_was_stopped(
    run: Run, tiny: Definition, stop_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches: list[Search] = []

    def made(definition: Definition, mode: Mode, seed: int, before: Any) -> Search:
        searches.append(make_search(definition, mode, seed, before))
        return searches[-1]

    make_search = moo_bnas.driver.run.make_search
    monkeypatch.setattr(search_loop, "make_search", made)
    with pytest.raises(KeyboardInterrupt):
        run.drive(_steady(tiny), stop_at=stop_at)
    before = run.storage.trials.read(run.storage.studies.open("s"))
    run.drive(_steady(tiny))
    after = run.storage.trials.read(run.storage.studies.open("s"))
    assert [(t.genotype, t.told) for t in after[: len(before)]] == [
        (t.genotype, t.told) for t in before
    ]
    assert len(after) == 18
    first, second = (s.history.genotypes.tolist() for s in searches)
    known = sum(len(t.told) for t in before)  # told before the last proposal, in the same order
    assert second[:known] == first[:known]
    assert len(second) == 18


def test_the_number_of_evaluations_is_exact_and_may_be_raised(run: Run, tiny: Definition) -> None:
    run.drive(override(tiny, max_evaluations=10))
    assert {n: len(g) for n, g in run.generations().items()} == {1: 6, 2: 4}
    assert run.shown[-1].total == run.shown[-1].done == 10
    assert "generation   2 of 3, and ended there" in read_status(run.storage, "s").as_text()
    with pytest.raises(DefinitionError, match=r"search\.max_evaluations was 10, now 9"):
        open_run(run.storage, "s", override(tiny, max_evaluations=9), "pareto", 0)
    assert open_run(run.storage, "s", override(tiny, max_evaluations=10), "pareto", 0).is_over
    raised = run.drive(tiny)
    assert raised.replace('"s"', '"whole"') == run.drive(tiny, name="whole")
    run.drive(_steady(tiny, max_evaluations=7), name="steady")
    assert sum(len(g) for g in run.generations("steady").values()) == 7


@pytest.mark.parametrize("schedule", ["barrier", "steady"])
def test_a_search_ends_on_a_plateau(run: Run, tiny: Definition, schedule: str) -> None:
    flat = override(tiny, schedule=schedule, plateau=8, generations=50)
    run.drive(flat, mode="scalar", accuracy=lambda g: 50.0)
    trials = run.storage.trials.read(run.storage.studies.open("s"))
    # The cheapest network is the fittest, and among the first six.
    assert 9 <= len(trials) <= 8 + 2 * 6
    assert all(t.state == "complete" for t in trials)


@pytest.mark.parametrize("schedule", ["barrier", "steady"])
def test_once_its_hours_are_over_a_run_begins_nothing_until_they_are_raised(
    run: Run, tiny: Definition, schedule: str
) -> None:
    short = override(tiny, schedule=schedule, max_hours=1e-9)
    opened = open_run(run.storage, "s", short, "pareto", 0)
    with fake_worker(run.url, "s"):
        search_driver(opened).drive()
    study = run.storage.studies.open("s")
    assert study.attributes["finished"]
    assert run.storage.trials.counts(study)["complete"] == 0
    assert open_run(run.storage, "s", short, "pareto", 0).is_over
    run.drive(override(tiny, schedule=schedule))
    assert run.storage.trials.counts(run.storage.studies.open("s"))["complete"] == 18


@pytest.mark.parametrize("schedule", ["barrier", "steady"])
def test_networks_to_start_with_are_evaluated_first(
    run: Run, tiny: Definition, schedule: str
) -> None:
    ratios = [[2.0, 0.25, 1.0, 1.0, 0.5, 0.5], [0.25, 2.0, 1.0, 1.0, 0.5, 0.5]]
    run.drive(override(tiny, schedule=schedule, start_with=ratios))
    first = run.generations()[1]
    assert [list(tiny.make_space().decode(g)) for g in first[:2]] == ratios
    assert len(first) == 6
    with pytest.raises(DefinitionError, match="search.start_with was"):
        open_run(run.storage, "s", override(tiny, schedule=schedule), "pareto", 0)
    over = override(tiny, start_with=ratios, max_flops=900.0)
    with pytest.raises(DefinitionError, match="to start with, which is not in the space or over"):
        open_run(run.storage, "other", over, "pareto", 0)


@pytest.mark.parametrize("schedule", ["barrier", *slow("steady")])
def test_a_run_takes_over_the_evaluations_of_another(
    run: Run, tiny: Definition, schedule: str
) -> None:
    run.drive(override(tiny, generations=2))
    source = {g for generation in run.generations().values() for g in generation}
    trained: list[Genotype] = []

    def accuracy(genotype: Genotype) -> float:
        trained.append(genotype)
        return accuracy_of(genotype)

    longer = override(tiny, schedule=schedule, trade_off=2.0)
    for name, stop_at in (("whole", None), ("killed", 5), ("killed", 20)):
        opened = open_run(run.storage, name, longer, "scalar", 7, source="s")

        def show(progress: Progress, stop_at: int | None = stop_at) -> None:
            run.shown.append(progress)
            if stop_at is not None and progress.done >= stop_at:
                raise KeyboardInterrupt

        with fake_worker(run.url, name, accuracy), suppress(KeyboardInterrupt):
            search_driver(opened, show).drive()
        if name == "whole":
            assert run.shown[-1].done == run.shown[-1].total == 12 + 18
    run.drive(longer, name="killed", mode="scalar", seed=7)  # --from may be left out now
    found = run.generations("whole")
    assert set(found[0]) == source
    assert {n: len(g) for n, g in found.items()} == {0: 12, 1: 6, 2: 6, 3: 6}
    assert not set(trained) & source
    assert {t.result.copied_from for t in run.storage.trials.read(opened.study)[:12]} - {None}
    if schedule == "barrier":
        assert run.generations("killed") == found


@pytest.mark.parametrize("schedule", ["barrier", *slow("steady")])
def test_evaluations_by_another_recipe_guide_the_search(
    run: Run, tiny: Definition, schedule: str
) -> None:
    run.drive(override(tiny, generations=3))
    evaluated = {genotype for generation in run.generations().values() for genotype in generation}
    other = override(_with_epochs(tiny, 2), schedule=schedule, model="gp")
    for name, source, stop_at in (("whole", "s", None), ("killed", "s", 8), ("plain", None, None)):
        opened = open_run(run.storage, name, other, "pareto", 0, source=source)

        def show(progress: Progress, stop_at: int | None = stop_at) -> None:
            if stop_at is not None and progress.done >= stop_at:
                raise KeyboardInterrupt

        with fake_worker(run.url, name, accuracy_of), suppress(KeyboardInterrupt):
            search_driver(opened, show).drive()
    optuna.delete_study(study_name="s", storage=run.storage.optuna)  # it is not needed any more
    run.drive(other, name="killed")
    found, plain = run.generations("whole"), run.generations("plain")
    assert set(found) == set(plain) == {1, 2, 3}  # nothing counts as evaluated
    assert found[1] != plain[1]
    if schedule == "barrier":
        assert run.generations("killed") == found
    assert set(found[1][:3]) <= evaluated  # half of the population is from the other run's front


def test_a_run_that_nothing_can_be_learned_from_is_refused(run: Run, tiny: Definition) -> None:
    run.drive(override(tiny, generations=1))
    other = _with_epochs(tiny, 2)
    with pytest.raises(DefinitionError, match="other networks, data or recipes.* --model gp"):
        open_run(run.storage, "t", override(other, model="none"), "pareto", 0, source="s")
    space = other.model_dump()
    space["space"]["ratios"] = [0.25, 1.0, 4.0]
    with pytest.raises(DefinitionError, match="no finished evaluation of the same genes and"):
        open_run(run.storage, "t", parse_definition(space, "test"), "pareto", 0, source="s")
    with pytest.raises(DefinitionError, match="got --from u, but .* holds no such study, only s"):
        open_run(run.storage, "t", tiny, "pareto", 0, source="u")
    with pytest.raises(DefinitionError, match="was not begun with --from t"):
        open_run(run.storage, "s", override(tiny, generations=1), "pareto", 0, source="t")
    assert run.storage.studies.names() == ["s"]


def _with_epochs(definition: Definition, epochs: int) -> Definition:
    changed = definition.model_dump()
    changed["recipe"]["epochs"] = epochs
    return parse_definition(changed, "test")


def test_trials_that_were_enqueued_with_optuna_are_refused_aloud(
    run: Run, tiny: Definition, caplog: pytest.LogCaptureFixture
) -> None:
    open_run(run.storage, "s", tiny, "pareto", 0)
    study = optuna.load_study(study_name="s", storage=run.storage.optuna)
    study.enqueue_trial(dict.fromkeys(tiny.make_space().genes, 1.0))
    before = read_status(run.storage, "s")
    assert before.counts == {"complete": 0, "running": 0, "waiting": 1, "fail": 0}
    assert "1 waiting, 0 fail (1 enqueued with Optuna: the driver refuses it)" in before.as_text()
    with caplog.at_level(logging.WARNING):
        run.drive(tiny)
    assert caplog.text.count("refused trials 0, which were enqueued with Optuna") == 1
    states = [t.state.name for t in study.trials]
    assert states == ["FAIL"] + ["COMPLETE"] * 18
    assert "enqueued" in study.trials[0].user_attrs["fail_reason"]
    after = read_status(run.storage, "s")
    assert after.counts == {"complete": 18, "running": 0, "waiting": 0, "fail": 1}
    assert (after.evaluations, after.total, after.enqueued) == (18, 18, 0)
    assert "failed 1x: enqueued with Optuna; only the search makes trials" in after.as_text()


def test_with_repeats_known_individuals_are_not_trained_again(run: Run, tiny: Definition) -> None:
    values = tiny.model_dump()
    values["search"].update(population=4, generations=8, repeats=True)  # 32 individuals
    literal = parse_definition(values, "test")
    undisturbed = run.drive(literal, mode="scalar", name="undisturbed")
    genotypes = [g for of in run.generations("undisturbed").values() for g in of]
    assert 4 < len(genotypes) == len(set(genotypes)) < 32
    assert (run.shown[-1].done, run.shown[-1].total) == (len(genotypes), len(genotypes))
    with pytest.raises(KeyboardInterrupt):
        run.drive(literal, mode="scalar", stop_at=8)
    resumed = run.drive(literal, mode="scalar")
    assert resumed.replace('"s"', '"undisturbed"') == undisturbed
    assert (run.shown[-1].done, run.shown[-1].total) == (len(genotypes), len(genotypes))
