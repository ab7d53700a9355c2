"""Evaluations that several studies of a storage share."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from multiprocessing.synchronize import Barrier

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from moo_bnas.evaluation import Source
from moo_bnas.evolution.space import Genotype, SearchSpace
from moo_bnas.storage import Storage
from tests.storage.rows import PRINTS, RESULT, SCORES, candidate, make_study, submit, take


def test_a_known_evaluation_comes_with_the_claim_and_its_source(
    storage: Storage, space: SearchSpace
) -> None:
    one = submit(storage, space, (0, 0), (1, 1), name="one")
    storage.claims.finish(take(storage, one), "w", RESULT, SCORES)
    other = submit(storage, space, (0, 0), name="other")
    claim = take(storage, other)
    assert claim.known == replace(RESULT, copied_from=Source("one", 0))
    assert storage.claims.finish(claim, "w", claim.known, SCORES)


def test_an_evaluation_that_0_1_finished_is_copied(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    one = submit(storage, space, (0, 0), name="one")
    storage.claims.finish(take(storage, one), "w", RESULT, SCORES)
    stored = json.dumps({**RESULT.to_attributes(), "fitness": 80.25})
    with create_engine(storage_url, poolclass=NullPool).begin() as connection:
        connection.execute(text("UPDATE moo_bnas_evaluations SET result = :r"), {"r": stored})
    claim = take(storage, submit(storage, space, (0, 0), name="other"))
    assert claim.known == replace(RESULT, copied_from=Source("one", 0))


def test_an_evaluation_that_another_study_trains_is_passed_over_until_it_ends(
    storage: Storage, space: SearchSpace
) -> None:
    one = submit(storage, space, (0, 0), name="one")
    training = take(storage, one)
    other = submit(storage, space, (0, 0), (1, 1), name="other")
    assert take(storage, other).genotype == (1, 1)
    assert storage.claims.take([other], "w", PRINTS) is None
    storage.claims.release(training)
    assert take(storage, other).known is None


def test_an_evaluation_that_is_to_be_tried_again_is_free_for_other_studies(
    storage: Storage, space: SearchSpace
) -> None:
    one = submit(storage, space, (0, 0), name="one")
    other = submit(storage, space, (0, 0), name="other")
    storage.claims.retry(take(storage, one), "4 GiB are wanted", memory=True)
    claim = take(storage, other)
    assert (claim.known, claim.alone) == (None, False)
    assert storage.claims.take([one], "w", PRINTS) is None
    storage.claims.finish(claim, "w", RESULT, SCORES)
    assert take(storage, one).known == replace(RESULT, copied_from=Source("other", 0))


def test_a_lost_claim_of_another_study_is_returned_too(
    storage: Storage, space: SearchSpace
) -> None:
    one = submit(storage, space, (0, 0), name="one")
    storage.workers.join(one, "dead", "host", 1, "cpu", 60.0)
    take(storage, one, worker="dead")
    other = submit(storage, space, (0, 0), name="other")
    assert storage.claims.take([other], "w", PRINTS) is None
    assert storage.claims.return_lost(lambda w: w.worker == "dead") == 1
    assert take(storage, other).known is None


def test_an_evaluation_of_another_fingerprint_is_another_one(
    storage: Storage, space: SearchSpace
) -> None:
    one = submit(storage, space, (0, 0), name="one")
    storage.claims.finish(take(storage, one), "w", RESULT, SCORES)
    other = submit(storage, space, (0, 0), name="other")
    claim = storage.claims.take([other], "w", {"binary": "x" * 64, "full": "y" * 64})
    assert claim is not None
    assert claim.known is None


def test_a_failed_evaluation_is_not_shared(storage: Storage, space: SearchSpace) -> None:
    one = submit(storage, space, (0, 0), name="one")
    storage.claims.fail(take(storage, one), "because")
    other = submit(storage, space, (0, 0), name="other")
    assert take(storage, other).known is None


def _claim_study(
    url: str, name: str, start: Barrier, results: multiprocessing.Queue[list[tuple[Genotype, bool]]]
) -> None:
    storage = Storage(url)
    study = storage.studies.open(name)
    trained = []
    start.wait()
    while storage.trials.counts(study)["complete"] < 60:
        claim = storage.claims.take([study], "w", PRINTS)
        if claim is not None:
            trained.append((claim.genotype, claim.known is None))
            assert storage.claims.finish(claim, "w", claim.known or RESULT, SCORES)
    results.put(trained)


def test_studies_that_want_the_same_evaluations_at_once_train_each_once(
    storage: Storage, storage_url: str
) -> None:
    space = SearchSpace(tuple("abcdef"))
    genotypes = [tuple(int(i) for i in g) for g in space.genotypes()[:60]]
    for name in ("one", "other"):
        submit(storage, space, *genotypes, name=name)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    start, results = context.Barrier(4), context.Queue()
    processes = [
        context.Process(target=_claim_study, args=(storage_url, name, start, results))
        for name in ("one", "other", "one", "other")
    ]
    for process in processes:
        process.start()
    claimed = [c for _ in processes for c in results.get(timeout=50)]
    for process in processes:
        process.join()
    assert sorted(g for g, trained in claimed if trained) == sorted(genotypes)
    assert sorted(g for g, trained in claimed if not trained) == sorted(genotypes)


def test_repeats_are_trained_once_each_and_apart_from_the_search(
    storage: Storage, space: SearchSpace
) -> None:
    search = submit(storage, space, (0, 0))
    storage.claims.finish(take(storage, search), "w", RESULT, SCORES)
    repeats = [replace(candidate((0, 0)), repeat=k) for k in (1, 2)]
    confirm, other = make_study(storage, "s.confirm"), make_study(storage, "other.confirm")
    for _ in range(2):  # submitting twice makes them once
        storage.trials.submit(confirm, space, repeats)
    for number, accuracy in ((1, 80.0), (2, 70.0)):
        claim = take(storage, confirm)
        assert (claim.genotype, claim.repeat, claim.known) == ((0, 0), number, None)
        storage.claims.finish(claim, "w", replace(RESULT, accuracy=accuracy), SCORES)
    trials = storage.trials.read(confirm)
    assert [(t.genotype, t.repeat) for t in trials] == [((0, 0), 1), ((0, 0), 2)]
    assert [t.costs for t in trials] == [{"flops": 1.0, "memory_bits": 9}] * 2
    storage.trials.submit(other, space, repeats[1:])
    known = take(storage, other).known
    assert known is not None
    assert (known.accuracy, known.copied_from) == (70.0, Source("s.confirm", 1))
