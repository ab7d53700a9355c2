"""Operations that are repeated because an acknowledgement was lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from moo_bnas.errors import StorageAwayError
from moo_bnas.evolution.space import SearchSpace
from moo_bnas.storage import (
    Storage,
    outages,
)
from tests.storage.rows import (
    PRINTS,
    RESULT,
    SCORES,
    candidate,
    lose,
    make_study,
    silence,
    submit,
    take,
)


@pytest.fixture
def deaf(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes the next transaction commit, and then look as if the connection had been lost."""
    write, lost = storage._database.write, [False]

    @contextmanager
    def deaf_write() -> Iterator[Connection]:
        with write() as connection:
            yield connection
        if lost[0]:
            lost[0] = False
            raise StorageAwayError("the server closed the connection")

    def next_time() -> None:
        lost[0] = True

    monkeypatch.setattr(storage._database, "write", deaf_write)
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.01)
    return next_time


def test_a_finish_whose_acknowledgement_was_lost_counts_once(
    storage: Storage, space: SearchSpace, deaf: Callable[[], None]
) -> None:
    study = submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "host", 1, "cpu", 60.0)
    claim = take(storage, study)
    deaf()
    assert storage.claims.finish(claim, "w", RESULT, SCORES)
    assert storage.trials.counts(study)["complete"] == 1
    assert [w.evaluations for w in storage.workers.read(study)] == [1]


def test_a_failure_whose_acknowledgement_was_lost_counts_once(
    storage: Storage, space: SearchSpace, deaf: Callable[[], None]
) -> None:
    study = submit(storage, space, (0, 0))
    claim = take(storage, study)
    deaf()
    assert storage.claims.fail(claim, "because")
    assert storage.trials.counts(study)["fail"] == 1


def test_another_try_whose_acknowledgement_was_lost_counts_once(
    storage: Storage, space: SearchSpace, deaf: Callable[[], None]
) -> None:
    study = submit(storage, space, (0, 0))
    deaf_retries = [(False, 1, False), (False, 2, False), (True, 2, True)]
    for memory, device_errors, alone in deaf_retries:
        claim = take(storage, study)
        deaf()
        assert not storage.claims.retry(claim, "because", memory=memory)
        claim = take(storage, study)
        assert (claim.device_errors, claim.alone) == (device_errors, alone)
        storage.claims.release(claim)
    claim = take(storage, study)
    deaf()
    assert storage.claims.retry(claim, "because", memory=False)
    assert storage.trials.counts(study)["fail"] == 1


def test_a_submission_whose_acknowledgement_was_lost_makes_nothing_twice(
    storage: Storage, space: SearchSpace, deaf: Callable[[], None]
) -> None:
    study = make_study(storage)
    deaf()
    storage.trials.submit(study, space, [candidate((0, 0)), candidate((1, 1))])
    assert [t.number for t in storage.trials.read(study)] == [0, 1]


def test_a_claim_whose_acknowledgement_was_lost_goes_stale(
    storage: Storage, storage_url: str, space: SearchSpace, deaf: Callable[[], None]
) -> None:
    study = submit(storage, space, (0, 0))
    storage.workers.join(study, "w", "host", 1, "cpu", 60.0)
    deaf()
    assert storage.claims.take([study], "w", PRINTS) is None  # as the worker sees it
    assert storage.trials.counts(study)["running"] == 1
    storage.claims.beat("w", None)  # the worker lives, but works on nothing
    silence(storage_url)
    lose(storage)
    assert take(storage, study).number == 0
