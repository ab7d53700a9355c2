"""Processes that do the same at once."""

from __future__ import annotations

import multiprocessing
import subprocess
from multiprocessing.synchronize import Barrier

from moo_bnas.evolution.space import SearchSpace
from moo_bnas.storage import (
    Storage,
)
from tests.fork_server import PYTHON
from tests.storage.rows import PRINTS, RESULT, SCORES, make_study, submit


def _claim_all(url: str, start: Barrier, results: multiprocessing.Queue[list[int]]) -> None:
    storage = Storage(url)
    study = storage.studies.open("s")
    numbers = []
    start.wait()
    while (claim := storage.claims.take([study], "w", PRINTS)) is not None:
        numbers.append(claim.number)
        assert storage.claims.finish(claim, "w", RESULT, SCORES)
    results.put(numbers)


def test_eight_processes_claim_three_hundred_trials_once_each(
    storage: Storage, storage_url: str
) -> None:
    space = SearchSpace(tuple("abcdef"))
    genotypes = [tuple(int(i) for i in g) for g in space.genotypes()[:300]]
    study = submit(storage, space, *genotypes)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    start, results = context.Barrier(8), context.Queue()
    processes = [
        context.Process(target=_claim_all, args=(storage_url, start, results)) for _ in range(8)
    ]
    for process in processes:
        process.start()
    claimed = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(n for numbers in claimed for n in numbers) == list(range(300))
    assert storage.trials.counts(study)["complete"] == 300


def test_processes_that_submit_the_same_candidates_at_once_make_them_once(
    storage: Storage, storage_url: str, space: SearchSpace
) -> None:
    make_study(storage)
    code = (
        "import sys; from moo_bnas.storage import *\n"
        "from moo_bnas.evolution.space import SearchSpace\n"
        "s = Storage(sys.argv[1]); study = s.studies.open('s')\n"
        "space = SearchSpace(('conv1', 'conv2'), (0.5, 1.0, 2.0))\n"
        "for g in space.genotypes():\n"
        "    g = tuple(map(int, g))\n"
        "    s.trials.submit(study, space, [Candidate(g, 'binary', {'flops': 1.0})])\n"
    )
    processes = [subprocess.Popen([PYTHON, "-c", code, storage_url]) for _ in range(3)]
    assert [p.wait(60) for p in processes] == [0, 0, 0]
    trials = storage.trials.read(storage.studies.open("s"))
    assert [t.number for t in trials] == list(range(9))
    assert {t.genotype for t in trials} == {tuple(g) for g in space.genotypes().tolist()}


def test_processes_that_make_a_storage_at_once_make_it_once(storage_url: str) -> None:
    code = (
        "import sys; from moo_bnas.storage import *\n"
        "input()\n"
        "s = Storage(sys.argv[1], create=True)\n"
        "print(s.studies.ensure('s', ('accuracy', 'flops'), {'definition': {}}).id)\n"
    )
    processes = [
        subprocess.Popen(
            [PYTHON, "-c", code, storage_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:  # all wait for their line before they begin
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0] for process in processes]
    assert answers == ["1\n"] * 4
