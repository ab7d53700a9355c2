"""The worker: claims trials, trains their networks, finishes them."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from moo_bnas.cost import flops
from moo_bnas.data import DATA_SETS
from moo_bnas.definition import Definition, stored_definition
from moo_bnas.errors import DefinitionError, StorageError
from moo_bnas.fingerprint import candidate_seed
from moo_bnas.networks.module import build
from moo_bnas.processes import here
from moo_bnas.scoring import fitness
from moo_bnas.storage import HEARTBEAT_INTERVAL, Claim, Storage, Study, baselines_of
from moo_bnas.training import DeviceData, Interrupted, to_device, train_and_score

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 0.5  # seconds between two looks at an empty queue

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Bench:
    """What a worker needs to evaluate any candidate of its run."""

    definition: Definition
    data: DeviceData
    fingerprints: dict[str, str]
    worker: str
    device: str


def work(storage: Storage, study_name: str, device: str, stop: threading.Event) -> int:
    """Serves a run until it is over, or until `stop` is set.

    Args:
        storage: Where the run lives.
        study_name: Of the run.
        device: `auto`, `cpu` or `cuda:N`.
        stop: Gives back what is being trained, and returns.

    Returns:
        How many candidates it finished.
    """
    torch.set_num_threads(1)
    study = storage.studies.open(study_name)
    studies = [study, storage.studies.open(baselines_of(study_name))]
    bench = _set_up(storage, study, _torch_device(device))
    log.info("%s serves %s on %s", bench.worker, study_name, bench.device)
    finished, wait, seen = 0, _FIRST_WAIT, time.monotonic()
    while not stop.is_set():
        claim = storage.claims.take(studies, bench.worker, bench.fingerprints)
        if claim is not None:
            finished += _serve(storage, claim, bench, stop)
            wait = _FIRST_WAIT
        elif storage.studies.open(study_name).attributes["finished"]:
            log.info("the run is over; finished %d candidates", finished)
            break
        else:
            if time.monotonic() - seen > HEARTBEAT_INTERVAL:
                storage.workers.seen(bench.worker)
                seen = time.monotonic()
            stop.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
    return finished


def _set_up(storage: Storage, study: Study, device: torch.device) -> _Bench:
    definition = stored_definition(study.attributes["definition"])
    images = DATA_SETS[definition.data.name].load(definition.recipe.seed)
    storage.studies.agree_on_data(study, images.content_hash)
    host, pid = here()
    bench = _Bench(
        definition,
        to_device(images, device),
        {
            "binary": definition.fingerprint("binary", images.content_hash),
            "full": definition.fingerprint("full", images.content_hash),
        },
        worker=f"{host.partition('/')[0]}-{pid}-{uuid.uuid4().hex[:6]}",
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    )
    storage.workers.join(study, bench.worker, host, pid, bench.device)
    return bench


def _serve(storage: Storage, claim: Claim, bench: _Bench, stop: threading.Event) -> bool:
    """Evaluates one claim; True where that finished its trial."""
    title = f"{claim.study.name} trial {claim.number}"
    try:
        with _heartbeats(storage, claim, bench.worker):
            known = claim.known or _evaluate(claim, bench, stop)
    except Interrupted:
        storage.claims.release(claim)
        log.info("%s given back", title)
        return False
    except Exception as error:  # whatever a training raises would recur: it fails the trial
        log.warning("%s failed: %s: %s", title, type(error).__name__, error)
        log.debug("", exc_info=error)
        storage.claims.fail(claim, f"{type(error).__name__}: {error}")
        return False
    scores = _scores(claim, bench.definition, known["accuracy"])
    if not storage.claims.finish(claim, {**known, "fitness": scores["fitness"]}, scores):
        log.warning("%s was taken over by another worker; its result here is dropped", title)
        return False
    log.info("%s: accuracy %.2f %%", title, known["accuracy"])
    return True


def _evaluate(claim: Claim, bench: _Bench, stop: threading.Event) -> dict[str, Any]:
    definition = bench.definition
    specs = definition.make_network().layers(_widths(claim, definition), claim.precision)
    seed = candidate_seed(definition.recipe.seed, claim.genotype)
    started = time.perf_counter()
    accuracies = train_and_score(
        lambda: build(specs, definition.network.binarizer),
        bench.data,
        definition.recipe,
        seed,
        stop.is_set,
    )
    return {
        "accuracy": accuracies[-1],
        "accuracy_per_epoch": accuracies,
        "epochs": len(accuracies),
        "seed": seed,
        "fingerprint": bench.fingerprints[claim.precision],
        "worker": bench.worker,
        "device": bench.device,
        "train_seconds": round(time.perf_counter() - started, 3),
    }


def _scores(claim: Claim, definition: Definition, accuracy: float) -> dict[str, float]:
    cost = flops(definition.make_network(), _widths(claim, definition), claim.precision)
    reference, trade_off = definition.reference_flops(), definition.search.trade_off
    return {
        "accuracy": accuracy,
        "flops": cost,
        "fitness": fitness(accuracy, cost, reference, trade_off),
    }


def _widths(claim: Claim, definition: Definition) -> tuple[int, ...]:
    base_widths = definition.make_network().base_widths
    return definition.make_space().widths_of(claim.genotype, base_widths)


def _torch_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DefinitionError(
            f"got --device {name}, but this machine has {torch.cuda.device_count()} CUDA devices; "
            "use --device cpu or auto"
        )
    return device


@contextmanager
def _heartbeats(storage: Storage, claim: Claim, worker: str) -> Iterator[None]:
    """Says from a thread that the claim is worked on, for as long as the block runs."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_INTERVAL):
            try:
                storage.claims.beat(claim, worker)
            except StorageError as error:  # the next beat, or the finish, will tell
                log.warning("no heartbeat: %s", error)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
