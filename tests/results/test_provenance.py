from __future__ import annotations

from datetime import datetime

from moo_bnas.evaluation import Evaluation, Source
from moo_bnas.results.provenance import making
from moo_bnas.storage import Study, Trial
from tests.fakes import evaluation

STUDY = Study(1, "s", (), {"definition": {}, "seed": 3, "versions": {}, "finished": True})


def trial(
    state: str, hour: int | None, found: Evaluation | None = None, failure: str | None = None
) -> Trial:
    at = None if hour is None else datetime(2026, 1, 1, hour)
    return Trial(
        0, state, (0,), "binary", {}, evaluation=found, failure=failure, started=at, ended=at
    )


def test_what_was_copied_took_no_time_here() -> None:
    copied = evaluation(9.0, train_seconds=1e9, device="cuda", copied_from=Source("b trial 1", 7))
    search = [
        trial("complete", 3, evaluation(9.0, train_seconds=30.0, device="cpu")),
        trial("complete", 5, evaluation(9.0, train_seconds=90.0, device="cuda")),
        trial("complete", 4, copied),
        trial("fail", 6, failure="why"),
        trial("waiting", None),
    ]
    made = making(STUDY, {"parent": [], "search": search})
    (told,) = made.trainings
    assert (told.what, told.trained, told.seconds, told.waiting) == ("search", 2, 120.0, 1)
    assert told.copied == {"b trial 1": 1}
    assert told.devices == {"cpu": 1, "cuda": 1}
    assert told.failures == {"why": 1}
    assert made.began == datetime(2026, 1, 1, 3)
    assert made.ended == datetime(2026, 1, 1, 6)
    assert (made.seed, made.finished, made.final_recipe) == (3, True, None)


def test_what_a_run_copies_from_itself_is_named_as_such() -> None:
    sources = ("s.baselines", "s", "s.confirm", "other.baselines")
    search = [
        trial("complete", 3, evaluation(9.0, copied_from=Source(name, 1))) for name in sources
    ]
    (told,) = making(STUDY, {"search": search}).trainings
    assert told.copied == {"references": 1, "search": 1, "confirm": 1, "other.baselines": 1}


def test_versions_of_workers_that_differ_are_listed() -> None:
    attributes = {
        **STUDY.attributes,
        "versions": {"torch": "2.15.0", "numpy": "2.1.0"},
        "worker_versions": {"torch": ["2.11.0", "2.15.0"], "numpy": ["2.1.0"]},
    }
    assert making(Study(1, "s", (), attributes), {}).other_versions == {"torch": ["2.11.0"]}
    assert making(STUDY, {}).other_versions == {}


def test_a_final_recipe_is_that_of_the_final_trainings() -> None:
    assert making(STUDY, {}, {"final": {"epochs": 9}}).final_recipe == {"epochs": 9}
    assert making(STUDY, {}, {"final": None}).final_recipe is None
