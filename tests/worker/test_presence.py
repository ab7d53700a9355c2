from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from moo_bnas.definition import Definition
from moo_bnas.driver.run import open_run
from moo_bnas.errors import StorageBusyError
from moo_bnas.storage import Candidate, Claim, Storage, Study
from moo_bnas.worker import WorkerOptions, work
from moo_bnas.worker.presence import Presence
from tests.fakes import TrainsNothing, evaluation


def test_heartbeats_go_on_whatever_the_error(caplog: pytest.LogCaptureFixture) -> None:
    errors: Iterator[Exception] = iter(
        [StorageBusyError("full"), sqlite3.OperationalError("locked"), ValueError("what?")]
    )
    came_through = threading.Event()

    def beat(worker: str, claim: Claim | None) -> None:
        for error in errors:
            raise error
        came_through.set()

    nothing = lambda *_: None  # noqa: E731 (a stand-in for methods)
    storage = SimpleNamespace(
        claims=SimpleNamespace(beat=beat),
        workers=SimpleNamespace(join=nothing, leave=nothing),
        rest=nothing,
    )
    study = Study(1, "s", (), {})
    with Presence(cast("Storage", storage), study, "cpu", heartbeat=0.01):
        assert came_through.wait(60)
    assert caplog.text.count("no heartbeat: ") == 1  # once an outage


class _Trains(TrainsNothing):
    def evaluate(self, *_: Any, **__: Any) -> Any:
        return evaluation(90.0)


def test_a_claim_has_heartbeats_until_its_end_is_stored(
    tmp_path: Path, tiny: Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run(Storage(f"sqlite:///{tmp_path}/s.db", create=True), "s", tiny, "pareto", 0)
    space = tiny.make_space()
    run.storage.trials.submit(
        run.study, space, [Candidate(space.uniform(1.0), "binary", {"flops": 1.0})]
    )
    run.storage.studies.set_attributes(run.study, {"finished": True})
    claims = run.storage.claims
    finish, beat = claims.finish, claims.beat
    heard = threading.Event()

    def beat_and_tell(worker: str, claim: Claim | None) -> None:
        beat(worker, claim)
        if claim is not None:
            heard.set()

    def finish_late(claim: Claim, *others: Any) -> bool:
        heard.clear()
        assert heard.wait(60)  # as it would be where no connection is free
        return finish(claim, *others)

    monkeypatch.setattr(claims, "beat", beat_and_tell)
    monkeypatch.setattr(claims, "finish", finish_late)
    options = WorkerOptions(heartbeat=0.05)
    assert work(run.storage, "s", _Trains(), threading.Event(), options) == 1
