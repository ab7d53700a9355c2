"""The worker: claims trials, has their networks evaluated, finishes them."""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import replace

from moo_bnas.definition import stored_definition
from moo_bnas.errors import ArtifactsError, DeviceError, DeviceMemoryError, Interrupted
from moo_bnas.evaluation import Evaluation
from moo_bnas.evolution.scoring import fitness
from moo_bnas.storage import Claim, RunState, Storage, Study, final_of
from moo_bnas.units import duration
from moo_bnas.worker.device_lock import device_lock
from moo_bnas.worker.evaluates import Evaluates
from moo_bnas.worker.jobs import Job, Jobs
from moo_bnas.worker.options import WorkerOptions
from moo_bnas.worker.presence import REST_AFTER, Presence

# An empty queue is looked at again after a tenth of the time that it has been empty, or a hundredth
# of the time of the last evaluation: a thousand workers that train for minutes need not ask every
# second.
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 5.0

log = logging.getLogger(__name__)


def work(
    storage: Storage,
    study_name: str,
    evaluator: Evaluates,
    stop: threading.Event,
    options: WorkerOptions | None = None,
) -> int:
    """Serves a run until it is over, a limit is reached, or `stop` is set.

    Args:
        storage: Storage that holds the run.
        study_name: Name of the run's study.
        evaluator: Trains the networks of the run's definition.
        stop: Once set, the worker gives back what is being trained, and returns.
        options: How it serves the run; None: the defaults.

    Returns:
        How many networks it finished.

    Raises:
        ArtifactsError: If the parent's weights cannot be read, or kept.
        DataError: If the data are not the data of the study.
        VersionError: If the study is evaluated by other code.
        DeviceError: Once its device has failed: after that a process cannot use it any more.
    """
    options = options or WorkerOptions()
    study = storage.studies.open(study_name)
    jobs = Jobs(storage, study, evaluator, options)
    with Presence(storage, study, evaluator.device, options.heartbeat) as presence:
        return _Worker(storage, study, evaluator, stop, options, jobs, presence).serve()


class _Worker:
    """One worker that has joined a run."""

    def __init__(
        self,
        storage: Storage,
        study: Study,
        evaluator: Evaluates,
        stop: threading.Event,
        options: WorkerOptions,
        jobs: Jobs,
        presence: Presence,
    ) -> None:
        self._storage = storage
        self._study = study
        self._evaluator = evaluator
        self._stop = stop
        self._limits = options.limits
        self._jobs = jobs
        self._presence = presence
        definition = stored_definition(study.attributes["definition"])
        self._cost = definition.cost.name
        self._reference = definition.reference_cost()
        self._trade_off = definition.search.trade_off
        self._finished = 0
        self._began = self._idle_since = time.monotonic()
        self._busy = 0.0  # seconds that the last evaluation took

    def serve(self) -> int:
        """Works until the worker is to leave; how many networks it finished."""
        while not (self._stop.is_set() or self._is_at_its_limit()):
            if (taken := self._take()) is not None:
                self._work(*taken)
            elif self._jobs.look() is RunState.FINISHED:
                if not self._jobs.turn_to_candidates():
                    log.info("the run is over; finished %d candidates", self._finished)
                    break
            elif self._is_to_leave():
                break
            else:
                self._wait()
        return self._finished

    def _is_at_its_limit(self) -> bool:
        return self._limits.reached(self._finished, time.monotonic() - self._began)

    def _take(self) -> tuple[Job, Claim] | None:
        """A claim of what waits, if one can be had."""
        job = self._jobs.due()
        if job is None:
            return None
        claim = self._storage.claims.take(job.studies, self._presence.name, job.fingerprints)
        return None if claim is None else (job, claim)

    def _work(self, job: Job, claim: Claim) -> None:
        """Evaluates one claim."""
        began = time.monotonic()
        with self._presence.holding(claim):
            self._finished += self._evaluate(job, claim)
        self._idle_since = time.monotonic()
        self._busy = self._idle_since - began
        if self._jobs.state is RunState.FINAL:  # candidates go first, and may have come meanwhile
            self._jobs.look()

    def _is_to_leave(self) -> bool:
        """Whether it has been idle for too long and no driver is there; the log says so."""
        limit, idle = self._limits.idle_seconds, time.monotonic() - self._idle_since
        if limit is None or idle < limit:
            return False
        if self._has_driver(limit):
            self._idle_since = time.monotonic()
            return False
        log.info("leaving: nothing to do for %s, and no driver", duration(idle))
        return True

    def _has_driver(self, within: float) -> bool:
        final = self._storage.studies.find(final_of(self._study.name))
        leases = [self._storage.leases.read(s) for s in (self._study, final) if s is not None]
        return any(a and a.idle_seconds < max(a.grace, within) for a in leases)

    def _wait(self) -> None:
        """Waits for a while before the next look, longer the longer there was nothing to do."""
        idle = time.monotonic() - self._idle_since
        wait = min(max(idle / 10, self._busy / 100, _FIRST_WAIT), _LONGEST_WAIT)
        if wait >= REST_AFTER:
            self._storage.rest()
        self._stop.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)

    def _evaluate(self, job: Job, claim: Claim) -> bool:
        """Evaluates one claim; True if that finished its trial."""
        title = f"{claim.study.name} trial {claim.number}"
        claims = self._storage.claims
        try:
            found = claim.known or self._train(job, claim)
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
        except Exception as error:  # any other error would recur: it fails the trial
            log.warning("%s failed: %s: %s", title, type(error).__name__, error)
            log.debug("", exc_info=error)
            claims.fail(claim, f"{type(error).__name__}: {error}")
            return False
        if not claims.finish(claim, self._presence.name, found, self._scores(claim, found)):
            log.warning(
                "%s was taken over by another worker, or deleted; its result here is dropped", title
            )
            self._jobs.look()  # the references of a deleted study need not be trained
            return False
        job.forget(claim)
        source = found.copied_from
        copied = f", copied from {source.study} trial {source.trial}" if source else ""
        log.info("%s: accuracy %.2f %%%s", title, found.accuracy, copied)
        return True

    def _train(self, job: Job, claim: Claim) -> Evaluation:
        evaluator = self._evaluator
        lock = device_lock(evaluator.device_id, alone=claim.alone, stop=self._stop)
        with self._presence.training(), lock:
            found = job.train(claim, self._stop.is_set)
        return replace(
            found,
            fingerprint=job.fingerprints[claim.precision],
            worker=self._presence.name,
            device=evaluator.device,
        )

    def _scores(self, claim: Claim, found: Evaluation) -> dict[str, float]:
        score = fitness(found.accuracy, claim.cost, self._reference, self._trade_off)
        return {"accuracy": found.accuracy, self._cost: claim.cost, "fitness": score}
