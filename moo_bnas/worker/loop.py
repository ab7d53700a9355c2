"""The worker: claims trials, has their networks evaluated, finishes them."""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from moo_bnas.definition import stored_definition
from moo_bnas.errors import (
    ArtifactsError,
    DataError,
    DeviceError,
    DeviceMemoryError,
    Interrupted,
    StorageError,
)
from moo_bnas.evaluation import PRECISIONS, Precision
from moo_bnas.evolution.scoring import fitness
from moo_bnas.evolution.space import Genotype
from moo_bnas.processes import here
from moo_bnas.storage import (
    HEARTBEAT,
    Claim,
    Storage,
    Study,
    baselines_of,
    final_of,
    grace_of,
    parent_of,
    study_gone,
)
from moo_bnas.storage.artifacts import Artifacts, join_artifacts
from moo_bnas.units import duration
from moo_bnas.worker.device_lock import device_lock
from moo_bnas.worker.final_training import FinalTraining, TrainsFinals
from moo_bnas.worker.parent import Parent, TrainsParent

# An empty queue is looked at again after a tenth of the time that it has been empty, or a hundredth
# of the last evaluation's: a thousand workers that train for minutes need not ask every second.
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 5.0
_REST_AFTER = 1.0  # seconds without need of the connection, after which it is closed

log = logging.getLogger(__name__)


class Evaluates(TrainsParent, TrainsFinals, Protocol):
    """What a worker has its networks trained by; see `evaluator.Evaluator`."""

    device: str
    device_id: str

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
    artifacts_url: str | None = None,
    only_final: bool = False,
    heartbeat: float = HEARTBEAT,
    limits: Limits | None = None,
) -> int:
    """Serves a run until it is over, a limit is reached, or `stop` is set.

    Args:
        storage: Where the run lives.
        study_name: Of the run.
        evaluator: Of the run's definition.
        stop: Gives back what is being trained, and returns.
        artifacts_url: Where the run's artifact store is on this machine; None: as the run says.
        only_final: Serve its final trainings, not its search.
        heartbeat: Seconds between two signs of life; after six without it counts as lost.
        limits: None: none.

    Returns:
        How many networks it finished.

    Raises:
        ArtifactsError: Where the parent's weights cannot be had, or kept.
        DataError: Where the data are not those of the study.
        DeviceError: Once its device has failed: after that a process cannot use it any more.
    """
    worker = _Worker(storage, study_name, evaluator, stop, artifacts_url, only_final)
    return worker.serve(heartbeat, limits or Limits())


@dataclass(frozen=True)
class _Job:
    """One kind of trials that a worker serves.

    Attributes:
        studies: That they are in, in order of preference.
        fingerprints: Theirs, by precision.
        train: What finishes one: attributes of the trial.
        forget: Called after one is finished.
    """

    studies: Sequence[Study]
    fingerprints: Mapping[str, str]
    train: Callable[[Claim], dict[str, Any]]
    forget: Callable[[Claim], None] = lambda claim: None


class _Worker:
    """One worker that has joined a run."""

    def __init__(
        self,
        storage: Storage,
        study_name: str,
        evaluator: Evaluates,
        stop: threading.Event,
        artifacts_url: str | None,
        only_final: bool,
    ) -> None:
        self._storage = storage
        self._study = storage.studies.open(study_name)
        self._evaluator = evaluator
        self._stop = stop
        self._artifacts_url = artifacts_url
        self._only_final = only_final
        self._final: str | None = final_of(study_name)
        self._definition = stored_definition(self._study.attributes["definition"])
        self._reference = self._definition.reference_cost()
        self._host, self._pid = here()
        self._name = f"{self._host.partition('/')[0]}-{self._pid}-{uuid.uuid4().hex[:6]}"
        self._claim: Claim | None = None
        self._parent: Parent | None = None
        if only_final:
            self._job = None
            return
        storage.studies.agree_on_data(self._study, evaluator.load("search"))
        if self._definition.parent is None:
            self._job = self._candidates(None)
        else:
            study = storage.studies.open(parent_of(study_name))
            self._parent = parent = Parent(storage, study, self._join_artifacts())
            fingerprint = self._definition.parent_fingerprint(evaluator.load("search"))
            self._job = _Job(
                [study],
                dict.fromkeys(PRECISIONS, fingerprint),
                lambda claim: parent.train(evaluator, stop.is_set),
                lambda claim: parent.forget_checkpoint(),
            )

    def _join_artifacts(self) -> Artifacts:
        known = self._storage.studies.open(self._study.name).attributes["artifacts"]
        return join_artifacts(known, self._artifacts_url)

    def _candidates(self, parent_hash: str | None) -> _Job:
        """Candidates, and when none wait references."""
        data_hash = self._evaluator.load("search")
        return _Job(
            [self._study, self._storage.studies.open(baselines_of(self._study.name))],
            {p: self._definition.fingerprint(p, data_hash, parent_hash) for p in PRECISIONS},
            lambda claim: self._evaluator.evaluate(
                claim.genotype, claim.precision, self._stop.is_set
            ),
        )

    def _finals(self) -> _Job | None:
        """Final trainings; None where this worker cannot serve them, and need not."""
        try:
            study = self._storage.studies.open(final_of(self._study.name))
            final = FinalTraining(self._storage, study, self._join_artifacts(), self._evaluator)
        except (ArtifactsError, DataError) as error:
            if self._only_final:
                raise
            log.warning("this worker leaves final trainings to others: %s", error)
            self._final = None
            return None
        return _Job(
            [study],
            final.fingerprints,
            lambda claim: final.train(claim, self._stop.is_set),
            final.forget_checkpoint,
        )

    def serve(self, heartbeat: float, limits: Limits) -> int:
        storage, study = self._storage, self._study
        storage.workers.join(
            study, self._name, self._host, self._pid, self._evaluator.device, grace_of(heartbeat)
        )
        log.info("%s serves %s on %s", self._name, study.name, self._evaluator.device)
        finished, started = 0, time.monotonic()
        idle_since, busy, state = started, 0.0, "waiting" if self._job else self._look()
        with self._heartbeats(heartbeat):
            while not self._stop.is_set():
                now = time.monotonic()
                if limits.reached(finished, now - started):
                    break
                taken = self._take(state)
                if taken is not None:
                    finished += self._serve(*taken)
                    idle_since = time.monotonic()
                    busy = idle_since - now
                    if state == "final":  # candidates go first, and may have come meanwhile
                        state = self._look()
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
                    if self._is_alone(idle, limits.idle_seconds):
                        break
                    idle_since = now
                wait = min(max(idle / 10, busy / 100, _FIRST_WAIT), _LONGEST_WAIT)
                if wait >= _REST_AFTER:
                    storage.rest()
                self._stop.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
        return finished

    def _look(self) -> str:
        look = self._storage.studies.look
        if self._job is None:
            study = self._storage.studies.open(final_of(self._study.name))
            state: str = look(study)
            state = "final" if state == "waiting" else state
        else:
            study = self._job.studies[0]
            # Whoever waits for the parent does not wait for final trainings.
            state = look(*self._job.studies, final=None if self._parent else self._final)
        if state == "gone":
            raise study_gone(study.name)
        return state

    def _inherit(self, parent: Parent) -> None:
        """Goes over from a parent that is trained to its candidates."""
        weights, parent_hash = parent.weights()
        self._evaluator.inherit(weights)
        self._job, self._parent = self._candidates(parent_hash), None

    def _serve(self, job: _Job, claim: Claim) -> bool:
        """Evaluates one claim; True where that finished its trial."""
        title = f"{claim.study.name} trial {claim.number}"
        claims = self._storage.claims
        try:
            found = claim.known or self._evaluate(job, claim)
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
        job.forget(claim)
        copied = f", copied from {found['copied_from']}" if "copied_from" in found else ""
        log.info("%s: accuracy %.2f %%%s", title, found["accuracy"], copied)
        return True

    def _evaluate(self, job: _Job, claim: Claim) -> dict[str, Any]:
        self._claim = claim
        rest = threading.Timer(_REST_AFTER, self._storage.rest)
        rest.daemon = True
        rest.start()
        try:
            with device_lock(self._evaluator.device_id, alone=claim.alone, stop=self._stop):
                found = job.train(claim)
        finally:
            rest.cancel()
            self._claim = None
        return {
            **found,
            "fingerprint": job.fingerprints[claim.precision],
            "worker": self._name,
            "device": self._evaluator.device,
        }

    def _scores(self, claim: Claim, accuracy: float) -> dict[str, float]:
        trade_off = self._definition.search.trade_off
        score = fitness(accuracy, claim.cost, self._reference, trade_off)
        return {"accuracy": accuracy, self._definition.cost.name: claim.cost, "fitness": score}

    def _take(self, state: str) -> tuple[_Job, Claim] | None:
        """A claim of what waits, if it can be had."""
        job = None
        if state in ("waiting", "final"):
            job = self._job if state == "waiting" else self._finals()
        if job is None:
            return None
        claim = self._storage.claims.take(job.studies, self._name, job.fingerprints)
        return None if claim is None else (job, claim)

    def _is_alone(self, idle: float, within: float) -> bool:
        """Whether this worker is to leave, for want of work and a driver; said in the log."""
        if self._has_driver(within):
            return False
        log.info("leaving: for %s nothing to do, and no driver", duration(idle))
        return True

    def _has_driver(self, within: float) -> bool:
        final = self._storage.studies.find(final_of(self._study.name))
        leases = [self._storage.leases.read(s) for s in (self._study, final) if s is not None]
        return any(a and a.idle_seconds < max(a.grace, within) for a in leases)

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
