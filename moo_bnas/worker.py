"""The worker: claims trials, has their networks evaluated, finishes them."""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from moo_bnas.artifacts import Artifacts
from moo_bnas.definition import stored_definition
from moo_bnas.device_lock import device_lock
from moo_bnas.errors import (
    ArtifactsError,
    DeviceError,
    DeviceMemoryError,
    Interrupted,
    StorageError,
)
from moo_bnas.networks.layers import PRECISIONS, Precision
from moo_bnas.parent import Parent, TrainsParent
from moo_bnas.processes import here
from moo_bnas.scoring import fitness
from moo_bnas.space import Genotype
from moo_bnas.storage import (
    HEARTBEAT,
    Claim,
    Storage,
    baselines_of,
    grace_of,
    parent_of,
    study_gone,
)
from moo_bnas.units import duration

# An empty queue is looked at again after a tenth of the time that it has been empty, or a hundredth
# of the last evaluation's: a thousand workers that train for minutes need not ask every second.
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 5.0
_REST_AFTER = 1.0  # seconds without need of the connection, after which it is closed

log = logging.getLogger(__name__)


class Evaluates(TrainsParent, Protocol):
    """What a worker has its candidates evaluated by; see `evaluator.Evaluator`."""

    device: str
    device_id: str
    data_hash: str

    def inherit(self, weights: bytes) -> None:
        """Binary candidates begin with these weights from now on."""

    def evaluate(
        self, genotype: Genotype, precision: Precision, should_stop: Callable[[], bool]
    ) -> dict[str, Any]:
        """Attributes of the trial; `accuracy`, in percent, is one of them.

        Raises:
            Interrupted: Once `should_stop` says so: the claim is given back.
            DeviceMemoryError: The candidate is tried once more, alone on its device.
            DeviceError: It is tried again by another process: this worker ends.
        """


@dataclass(frozen=True)
class Limits:
    """When a worker leaves before the run is over.

    Attributes:
        candidates: After so many finished ones.
        seconds: It begins no other candidate after these.
        idle_seconds: After these without anything to do and without a driver.
    """

    candidates: int | None = None
    seconds: float | None = None
    idle_seconds: float | None = None

    def reached(self, candidates: int, seconds: float) -> bool:
        """Whether a worker that has done so much is to leave; said in the log."""
        if self.candidates is not None and candidates >= self.candidates:
            log.info("leaving after %d candidates, as told", candidates)
            return True
        if self.seconds is not None and seconds >= self.seconds:
            log.info("leaving after %s, as told", duration(seconds))
            return True
        return False


def work(
    storage: Storage,
    study_name: str,
    evaluator: Evaluates,
    stop: threading.Event,
    *,
    artifacts: Artifacts | None = None,
    heartbeat: float = HEARTBEAT,
    limits: Limits | None = None,
) -> int:
    """Serves a run until it is over, a limit is reached, or `stop` is set.

    Args:
        storage: Where the run lives.
        study_name: Of the run.
        evaluator: Of the run's definition.
        stop: Gives back what is being trained, and returns.
        artifacts: Of the run, where it has a parent.
        heartbeat: Seconds between two signs of life; after six without it counts as lost.
        limits: None: none.

    Returns:
        How many candidates it finished.

    Raises:
        ArtifactsError: Where the parent's weights cannot be had, or kept.
        DeviceError: Once its device has failed: after that a process cannot use it any more.
    """
    worker = _Worker(storage, study_name, evaluator, artifacts, stop)
    return worker.serve(heartbeat, limits or Limits())


class _Worker:
    """One worker that has joined a run."""

    def __init__(
        self,
        storage: Storage,
        study_name: str,
        evaluator: Evaluates,
        artifacts: Artifacts | None,
        stop: threading.Event,
    ) -> None:
        self._storage = storage
        self._study = storage.studies.open(study_name)
        self._evaluator = evaluator
        self._stop = stop
        self._definition = stored_definition(self._study.attributes["definition"])
        self._reference = self._definition.reference_flops()
        self._host, self._pid = here()
        self._name = f"{self._host.partition('/')[0]}-{self._pid}-{uuid.uuid4().hex[:6]}"
        self._claim: Claim | None = None
        self._parent: Parent | None = None
        self._fingerprints: dict[str, str]
        if self._definition.parent is None:
            self._serve_candidates(None)
        else:
            if artifacts is None:
                raise ArtifactsError("this run has a parent and needs an artifact store: open it")
            study = storage.studies.open(parent_of(study_name))
            self._parent = Parent(storage, study, artifacts)
            self._studies = [study]
            fingerprint = self._definition.parent_fingerprint(evaluator.data_hash)
            self._fingerprints = dict.fromkeys(PRECISIONS, fingerprint)

    def _serve_candidates(self, parent_hash: str | None) -> None:
        """What is claimed from now on: candidates, and when none wait references."""
        baselines = self._storage.studies.open(baselines_of(self._study.name))
        self._studies = [self._study, baselines]
        self._fingerprints = {
            precision: self._definition.fingerprint(
                precision, self._evaluator.data_hash, parent_hash
            )
            for precision in PRECISIONS
        }

    def serve(self, heartbeat: float, limits: Limits) -> int:
        storage, study = self._storage, self._study
        storage.studies.agree_on_data(study, self._evaluator.data_hash)
        storage.workers.join(
            study, self._name, self._host, self._pid, self._evaluator.device, grace_of(heartbeat)
        )
        log.info("%s serves %s on %s", self._name, study.name, self._evaluator.device)
        finished, started = 0, time.monotonic()
        idle_since, busy, state = started, 0.0, "waiting"
        with self._heartbeats(heartbeat):
            while not self._stop.is_set():
                now = time.monotonic()
                if limits.reached(finished, now - started):
                    break
                claim = None
                if state == "waiting":
                    claim = storage.claims.take(self._studies, self._name, self._fingerprints)
                if claim is not None:
                    finished += self._serve(claim)
                    idle_since = time.monotonic()
                    busy = idle_since - now
                    continue
                state = self._look()
                if state == "finished" and self._parent is not None:
                    self._inherit(self._parent)
                    state = "waiting"
                    continue
                if state == "finished":
                    log.info("the run is over; finished %d candidates", finished)
                    break
                idle = now - idle_since
                if limits.idle_seconds is not None and idle >= limits.idle_seconds:
                    if not self._has_driver(limits.idle_seconds):
                        log.info("leaving: for %s nothing to do, and no driver", duration(idle))
                        break
                    idle_since = now
                wait = min(max(idle / 10, busy / 100, _FIRST_WAIT), _LONGEST_WAIT)
                if wait >= _REST_AFTER:
                    storage.rest()
                self._stop.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
        return finished

    def _look(self) -> str:
        state = self._storage.studies.look(*self._studies)
        if state == "gone":
            raise study_gone(self._studies[0].name)
        return state

    def _inherit(self, parent: Parent) -> None:
        """Goes over from a parent that is trained to its candidates."""
        weights, parent_hash = parent.weights()
        self._evaluator.inherit(weights)
        self._serve_candidates(parent_hash)
        self._parent = None

    def _serve(self, claim: Claim) -> bool:
        """Evaluates one claim; True where that finished its trial."""
        title = f"{claim.study.name} trial {claim.number}"
        claims = self._storage.claims
        try:
            found = claim.known or self._evaluate(claim)
        except Interrupted:
            claims.release(claim)
            log.info("%s given back", title)
            return False
        except DeviceMemoryError as error:
            failed = claims.retry(claim, str(error), memory=True)
            then = "it has failed" if failed else "it will be tried once more, alone on its device"
            log.warning("%s: %s; %s", title, error, then)
            return False
        except DeviceError as error:
            failed = claims.retry(claim, str(error), memory=False)
            then = "it has failed" if failed else "it will be tried again"
            log.warning("%s could not be evaluated; %s", title, then)
            raise
        except ArtifactsError:
            claims.release(claim)
            raise
        except Exception as error:  # whatever a training raises would recur: it fails the trial
            log.warning("%s failed: %s: %s", title, type(error).__name__, error)
            log.debug("", exc_info=error)
            claims.fail(claim, f"{type(error).__name__}: {error}")
            return False
        scores = self._scores(claim, found["accuracy"])
        if not claims.finish(claim, self._name, {**found, "fitness": scores["fitness"]}, scores):
            log.warning(
                "%s was taken over by another worker, or deleted; its result here is dropped", title
            )
            self._look()  # the references of a deleted study need not be trained
            return False
        if self._parent is not None:
            self._parent.forget_checkpoint()
        copied = f", copied from {found['copied_from']}" if "copied_from" in found else ""
        log.info("%s: accuracy %.2f %%%s", title, found["accuracy"], copied)
        return True

    def _evaluate(self, claim: Claim) -> dict[str, Any]:
        self._claim = claim
        rest = threading.Timer(_REST_AFTER, self._storage.rest)
        rest.daemon = True
        rest.start()
        try:
            with device_lock(self._evaluator.device_id, alone=claim.alone, stop=self._stop):
                if self._parent is not None:
                    found = self._parent.train(self._evaluator, self._stop.is_set)
                else:
                    found = self._evaluator.evaluate(
                        claim.genotype, claim.precision, self._stop.is_set
                    )
        finally:
            rest.cancel()
            self._claim = None
        return {
            **found,
            "fingerprint": self._fingerprints[claim.precision],
            "worker": self._name,
            "device": self._evaluator.device,
        }

    def _scores(self, claim: Claim, accuracy: float) -> dict[str, float]:
        trade_off = self._definition.search.trade_off
        score = fitness(accuracy, claim.cost, self._reference, trade_off)
        return {"accuracy": accuracy, "flops": claim.cost, "fitness": score}

    def _has_driver(self, within: float) -> bool:
        lease = self._storage.leases.read(self._study)
        return lease is not None and lease.idle_seconds < max(lease.grace, within)

    @contextmanager
    def _heartbeats(self, heartbeat: float) -> Iterator[None]:
        """Says from a thread that this worker lives, and works on its claim."""
        over = threading.Event()

        def beat() -> None:
            silent = False
            # Not all workers of a fleet at once, where all have begun at once.
            while not over.wait(heartbeat * random.uniform(0.7, 1.0)):  # noqa: S311 (no secret)
                claim = self._claim
                try:
                    self._storage.claims.beat(self._name, claim)
                    if claim is not None:
                        self._storage.rest()
                    silent = False
                except StorageError as error:  # the next one, or the finish, will tell
                    if not silent:  # once an outage
                        log.warning("no heartbeat: %s", error)
                    silent = True

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            with suppress(StorageError):
                self._storage.workers.leave(self._name)
