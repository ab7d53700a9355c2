"""Optuna's own ways to schedule evaluations, which benchmarks/scheduling.py measures."""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
import uuid
from collections.abc import Callable

import numpy as np
import optuna
from measuring import CHOICES, GENES, Measured, in_thread, score


def optimize(url: str, options: argparse.Namespace) -> Measured:
    """Runs Optuna's own loop in every worker."""
    at = max(options.prefill)
    study, _ = _prefilled(url, at, options.population)
    sampler = optuna.samplers.NSGAIISampler(population_size=options.population, seed=0)

    def share(count: int) -> None:
        loaded = optuna.load_study(study_name=study, storage=url, sampler=sampler)
        loaded.optimize(lambda trial: _objective(trial, options.seconds), n_trials=count)

    return _timed("optimize", at, options, share)


def ask_tell(url: str, options: argparse.Namespace) -> Measured:
    """Uses Optuna's queue: each worker enqueues its share of a generation, then asks and tells."""
    at = max(options.prefill)
    study, rng = _prefilled(url, at, options.population)
    barrier = threading.Barrier(options.workers)

    def share(count: int) -> None:
        loaded = optuna.load_study(
            study_name=study, storage=url, sampler=optuna.samplers.RandomSampler()
        )
        batch = options.population // options.workers or 1
        for done in range(0, count, batch):
            now = min(batch, count - done)
            for _ in range(now):
                genes = {f"conv{i + 1}": float(rng.choice(CHOICES)) for i in range(GENES)}
                loaded.enqueue_trial(genes)
            barrier.wait()  # a whole generation is enqueued before any of it is asked for
            for _ in range(now):
                trial = loaded.ask()
                loaded.tell(trial, _objective(trial, options.seconds))

    return _timed("ask-tell", at, options, share)


def _timed(
    system: str, at: int, options: argparse.Namespace, share: Callable[[int], None]
) -> Measured:
    """Lets the workers evaluate one population after another, each worker its share."""
    slices = -(-options.peer_evaluations // options.population)
    measured = Measured(system, {at: []})
    for _ in range(slices):
        began = time.perf_counter()
        counts = [
            len(part) for part in np.array_split(np.arange(options.population), options.workers)
        ]
        with contextlib.ExitStack() as stack:
            for count in counts:
                stack.enter_context(in_thread(lambda count=count: share(count)))
        seconds = time.perf_counter() - began
        measured.generations[at].append(seconds * 1000 / options.population)
    return measured


def _objective(trial: optuna.Trial, seconds: float) -> tuple[float, float]:
    genes = [
        CHOICES.index(trial.suggest_categorical(f"conv{i + 1}", CHOICES)) for i in range(GENES)
    ]
    if seconds:
        time.sleep(seconds)
    accuracy = score(genes)
    attributes = {  # as many as moo-bnas stores of an evaluation
        "accuracy": accuracy,
        "accuracy_per_epoch": [accuracy] * 10,
        "epochs": 10,
        "seed": 1,
        "train_seconds": seconds,
        "images_per_second": 0.0,
    }
    for key, value in attributes.items():
        trial.set_user_attr(key, value)
    return accuracy, float(sum(4**g for g in genes))


def _prefilled(url: str, count: int, population: int) -> tuple[str, np.random.Generator]:
    """A study that already holds trials, with the attributes that NSGA-II keeps in them."""
    name = f"peer-{uuid.uuid4().hex[:8]}"
    sampler = optuna.samplers.NSGAIISampler(population_size=population, seed=0)
    directions = ["maximize", "minimize"]
    # Made in memory and added at once, as one by one would take far longer than the benchmark.
    memory = optuna.create_study(directions=directions, sampler=sampler)
    memory.optimize(lambda trial: _objective(trial, 0.0), n_trials=count)
    study = optuna.create_study(study_name=name, storage=url, directions=directions)
    study.add_trials(memory.trials)
    return name, np.random.default_rng(0)
