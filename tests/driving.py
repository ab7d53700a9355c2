"""Drives runs and final training runs without local workers, for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from moo_bnas.definition import Definition, load_definition
from moo_bnas.driver.final_definition import definition_in_effect, find_run, lasting
from moo_bnas.driver.final_loop import FinalDriver
from moo_bnas.driver.finals import Chosen, Finals, open_finals
from moo_bnas.driver.local_workers import LocalOptions, LocalWorkers
from moo_bnas.driver.progress import FinalProgress, Progress, Shown
from moo_bnas.driver.run import Run
from moo_bnas.driver.search_loop import Driver
from moo_bnas.storage import Storage, Trial
from moo_bnas.training.evaluator import Evaluator
from moo_bnas.worker import WorkerOptions, work

# A final recipe to add to a definition such as TINY.
PARENT = """
[parent]
epochs = 4
batch_size = 128
learning_rate = 0.2
"""
FINAL = """
[final]
epochs = 3
batch_size = 128
learning_rate = 0.2
schedule = "steps"
milestones = [2]
"""


def search_driver(
    run: Run,
    show: Callable[[Progress], None] = lambda _: None,
    learned: Callable[[Sequence[Trial]], None] | None = None,
) -> Driver:
    """The driver of a run; somebody else serves it."""
    shown = cast("Callable[[Shown], None]", show)  # what a test does not confirm it does not see
    workers = _no_workers(run.storage, run.study.name)
    return Driver(run, workers, shown, lambda: None, learned)


def final_driver(
    finals: Finals, show: Callable[[FinalProgress], None] = lambda _: None
) -> FinalDriver:
    """The driver of final training runs; somebody else serves them."""
    return FinalDriver(finals, _no_workers(finals.storage, finals.run.name), show, lambda: None)


def finals_of(
    url: str,
    name: str | None = None,
    given: Definition | None = None,
    *,
    artifacts: str | None = None,
    epochs: int | None = None,
    create: bool = True,
    restart: bool = False,
) -> Finals:
    """Opens final training runs, in the order in which the commands do it."""
    if given is not None:
        lasting(given, epochs)
    storage = Storage(url, create=create and given is not None)
    run = find_run(storage, name, given, artifacts, create=create)
    definition = definition_in_effect(storage, run, given, epochs)
    return open_finals(storage, run, definition, artifacts, restart=restart)


def _no_workers(storage: Storage, name: str) -> LocalWorkers:
    return LocalWorkers(name, LocalOptions(storage.url, (), Path(), Path()))


def make_definition(folder: Path, text: str) -> Definition:
    """A definition called `tiny`, of this text."""
    path = folder / "tiny.toml"
    path.write_text(text)
    return load_definition(str(path))


def narrow(definition: Definition) -> Chosen:
    """The narrowest uniform network of TINY."""
    return definition.make_space().uniform(0.25), "binary"


@contextmanager
def served(run: Run | Finals, *, only_final: bool = False) -> Iterator[None]:
    """A worker in a thread serves a run, and trains."""
    name = run.run.name if isinstance(run, Finals) else run.study.name
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            evaluator = Evaluator(run.definition, "cpu", Path())
            work(
                Storage(run.storage.url),
                name,
                evaluator,
                stop,
                WorkerOptions(only_final=only_final),
            )

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
