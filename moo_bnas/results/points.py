"""What a report shows, read from the storage alone. Pure data; `figures` and `page` draw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from moo_bnas.definition import Definition, stored_definition
from moo_bnas.errors import StorageError
from moo_bnas.evaluation import Precision
from moo_bnas.evolution.estimates import Estimate
from moo_bnas.evolution.scoring import fitness, front, knee
from moo_bnas.evolution.space import Genotype, SearchSpace
from moo_bnas.results.convergence import Step, convergence
from moo_bnas.results.estimates import believed, measured_elsewhere
from moo_bnas.results.provenance import Making, making
from moo_bnas.results.repeats import Confirmed, Network, confirmed
from moo_bnas.results.score import score_of
from moo_bnas.storage import Storage, Study, Trial, baselines_of, confirm_of, final_of, parent_of
from moo_bnas.subject import AnyCost


@dataclass(frozen=True)
class Point:
    """One finished evaluation.

    Attributes:
        trial: Number of the trial in its study.
        kind: `search`, `baseline` for the uniform and full-precision networks, or `confirm` for a
            repeat of one of these with another seed.
        precision: `binary` or `full`.
        ratios: Value of each gene: expansion ratios, then bits; or those of a space of its own.
        widths: Channels, one per gene of a width; empty in a space of its own.
        accuracy: Top-1 accuracy in percent, on the validation split.
        costs: All that the network costs, by name (see `networks.cost.COSTS`).
        cost: The one of these costs that the search weighs accuracy against.
        fitness: Fitness (Eq. 4), in percent.
        on_front: Whether no search point is better in `believed` accuracy and cost.
        estimate: Estimate of the mean accuracy of many training runs of the search's recipe, in
            percent; None where there is none (full precision, or too few evaluations).
        estimate_sd: Standard deviation of the estimate, in percent; None where there is none.
        on_measured_front: Whether no search point is better in measured accuracy and cost.
        bits: Bits of activations, one per gene of such.
    """

    trial: int
    kind: str
    precision: Precision
    ratios: tuple[float, ...]
    widths: tuple[int, ...]
    accuracy: float
    costs: Mapping[str, float]
    cost: float
    fitness: float
    on_front: bool
    estimate: float | None = None
    estimate_sd: float | None = None
    on_measured_front: bool = False
    bits: tuple[int, ...] = ()

    @property
    def believed(self) -> float:
        """The accuracy that choices go by: the estimate, or the measured one without it."""
        return self.accuracy if self.estimate is None else self.estimate


@dataclass(frozen=True)
class Searched:
    """What the candidates of a search came to.

    Attributes:
        points: The finished candidates, sorted by genotype.
        knee: The knee of the front (see `scoring.knee`); None before any candidate is finished.
        best: The fittest point by Eq. 4, of `believed` accuracies; None before any candidate is
            finished.
    """

    points: tuple[Point, ...]
    knee: Point | None
    best: Point | None


@dataclass(frozen=True)
class Final:
    """One finished final training.

    Attributes:
        precision: `binary` or `full`.
        ratios: Expansion ratios, one per gene.
        accuracy: Top-1 accuracy in percent, on the test images.
        top5: Top-5 accuracy in percent, on the test images; None if it was not counted.
        epochs: Number of epochs that the network was trained for.
    """

    precision: Precision
    ratios: tuple[float, ...]
    accuracy: float
    top5: float | None
    epochs: int


@dataclass(frozen=True)
class Report:
    """All that a report shows.

    Attributes:
        study: Name of the run's study.
        mode: `scalar` or `pareto`.
        definition: Definition of the run.
        points: Finished evaluations, sorted by kind (search before baseline), genotype, precision.
        finals: Final trainings, sorted by genotype and precision.
        failed: Number of search trials that failed.
        knee: The knee of the front (see `scoring.knee`); None before any candidate is finished.
        best: The fittest search point by Eq. 4, of `believed` accuracies; None before any candidate
            is finished.
        score_name: The score that `convergence` holds: `best fitness` or `hypervolume`.
        convergence: How the search improved.
        uniform_score: The same score of the uniform networks alone; None if there are none.
        making: How the results were made.
        repeats: Finished repeats that confirm networks, sorted by genotype, precision and trial.
        confirmed: What the repeats say of each network, by its ratios and precision.
        validation_images: Number of images that the accuracies of `points` were counted on; None
            if the storage does not know it.
        test_images: Number of images that the accuracies of `finals` were counted on; None if the
            storage does not know it.
    """

    study: str
    mode: str
    definition: Definition
    points: tuple[Point, ...]
    finals: tuple[Final, ...]
    failed: int
    knee: Point | None
    best: Point | None
    score_name: str
    convergence: tuple[Step, ...]
    uniform_score: float | None
    making: Making
    validation_images: int | None = None
    test_images: int | None = None
    repeats: tuple[Point, ...] = ()
    confirmed: Mapping[Network, Confirmed] = field(default_factory=dict)

    def confirmed_as(self, point: Point) -> Confirmed | None:
        """What repeats say of the network of a point; None if it was not repeated."""
        return self.confirmed.get((point.ratios, point.precision))

    @property
    def is_estimated(self) -> bool:
        """Whether front, knee and best go by estimates."""
        return any(p.estimate is not None for p in self.search)

    @property
    def cost(self) -> AnyCost:
        """What the search weighs accuracy against."""
        return self.definition.cost

    @cached_property
    def space(self) -> SearchSpace:
        """The space that was searched."""
        return self.definition.make_space()

    @property
    def has_widths(self) -> bool:
        """Whether the genes are widths of a network, and not those of a space of its own."""
        return self.definition.network is not None

    @property
    def is_trained(self) -> bool:
        """Whether moo-bnas trains the networks, and not an evaluator of another package."""
        return self.definition.evaluator is None

    @property
    def search(self) -> list[Point]:
        """The finished candidates of the search."""
        return [p for p in self.points if p.kind == "search"]

    @property
    def front(self) -> list[Point]:
        """The front, by ascending cost."""
        return sorted((p for p in self.points if p.on_front), key=lambda p: (p.cost, p.ratios))

    @property
    def references(self) -> list[Point]:
        """Uniform binary networks by ascending ratio, then the full-precision twin."""
        return sorted(
            (p for p in self.points if p.kind == "baseline"), key=lambda p: (p.precision, p.ratios)
        )


def collect(storage: Storage, study_name: str) -> Report:
    """Reads a report; of a run that is not finished, as much as there is.

    Raises:
        StorageError: If nothing at all is finished: no candidate, no reference, no final training.
    """
    study = storage.studies.open(study_name)
    definition, mode = stored_definition(study.attributes["definition"]), study.attributes["mode"]
    trials = storage.trials.read(study)
    _, references = _sibling(storage, baselines_of(study_name))
    _, parent = _sibling(storage, parent_of(study_name))
    _, repeats = _sibling(storage, confirm_of(study_name))
    final_study, finals = _sibling(storage, final_of(study_name))
    complete, complete_references = _complete(trials), _complete(references)
    if not (complete or complete_references or _complete(finals)):
        failed = [t.failure for t in trials if t.state == "fail"]
        why = f" ({len(failed)} failed, the first with {failed[0]!r})" if failed else ""
        raise StorageError(
            f"study {study_name!r} has no finished candidate yet{why}, no reference and no final "
            "training either, so there is nothing to report; see `moo-bnas status`"
        )
    elsewhere = measured_elsewhere(storage, study_name)
    estimates = believed(definition, [*trials, *elsewhere])
    found, scale = searched(definition, trials, estimates), _Scale(definition, estimates)
    uniform = [t for t in complete_references if t.precision == "binary"]
    score_name, uniform_score = score_of(definition, mode, uniform)
    return Report(
        study=study_name,
        mode=mode,
        definition=definition,
        points=(
            *found.points,
            *(scale.point(t, "baseline") for t in complete_references),
        ),
        finals=tuple(_final(definition, t) for t in _complete(finals)),
        failed=sum(t.state == "fail" for t in trials),
        knee=found.knee,
        best=found.best,
        score_name=score_name,
        convergence=convergence(definition, mode, trials),
        uniform_score=uniform_score,
        making=making(
            study,
            {
                "parent": parent,
                "search": trials,
                "references": references,
                "confirm": repeats,
                "final": finals,
            },
            None if final_study is None else final_study.attributes["definition"],
        ),
        repeats=tuple(scale.point(t, "confirm") for t in _complete(repeats)),
        confirmed=confirmed(definition.make_space(), repeats),
        validation_images=_images([*complete, *complete_references]),
        test_images=_images(_complete(finals)),
    )


def searched(
    definition: Definition, trials: Sequence[Trial], estimates: Mapping[Genotype, Estimate]
) -> Searched:
    """The points of a search, of those of its trials that are complete.

    Args:
        definition: Definition of the run.
        trials: Trials of the search.
        estimates: What is believed of their genotypes (see `estimates.believed`); empty: front,
            knee and best go by the measured accuracies.
    """
    complete, scale = _complete(trials), _Scale(definition, estimates)
    points = [scale.point(t, "search") for t in complete]
    costs = [p.cost for p in points]
    on = front([p.believed for p in points], costs)
    on_measured = front([p.accuracy for p in points], costs)
    points = [
        replace(p, on_front=i in on, on_measured_front=i in on_measured)
        for i, p in enumerate(points)
    ]
    return Searched(
        points=tuple(points),
        knee=_knee([points[i] for i in on]),
        best=max(points, key=lambda p: (scale.fitness(p), -p.cost), default=None),
    )


def _sibling(storage: Storage, name: str) -> tuple[Study | None, list[Trial]]:
    """A sibling of a run, and its trials: None and no trials if it was not needed yet."""
    study = storage.studies.find(name)
    return study, [] if study is None else storage.trials.read(study)


def _complete(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(
        (t for t in trials if t.state == "complete"), key=lambda t: (t.genotype, t.precision)
    )


def _images(complete: Sequence[Trial]) -> int | None:
    return max((t.result.images for t in complete if t.result.images is not None), default=None)


def _knee(points: Sequence[Point]) -> Point | None:
    if not points:
        return None
    return points[knee([p.believed for p in points], [p.cost for p in points])]


def _final(definition: Definition, trial: Trial) -> Final:
    return Final(
        precision=trial.precision,
        ratios=definition.make_space().decode(trial.genotype),
        accuracy=trial.result.accuracy,
        top5=trial.result.top5,
        epochs=trial.result.epochs,
    )


class _Scale:
    """Makes points of trials; what that needs of the definition is worked out once."""

    def __init__(self, definition: Definition, estimates: Mapping[Genotype, Estimate]) -> None:
        self._subject, self._cost = definition.subject(), definition.cost.name
        self._reference = definition.reference_cost()
        self._trade_off = definition.search.trade_off
        self._estimates = estimates

    def fitness(self, point: Point) -> float:
        return fitness(point.believed, point.cost, self._reference, self._trade_off)

    def point(self, trial: Trial, kind: str) -> Point:
        accuracy, cost = trial.result.accuracy, trial.costs[self._cost]
        subject, ratios = self._subject, self._subject.space.decode(trial.genotype)
        costs = {name: trial.costs[name] for name in subject.costs if name in trial.costs}
        if len(costs) < len(subject.costs):  # a run from before one of them was added
            costs = subject.costs_of(ratios, trial.precision) | costs
        estimate = self._estimates.get(trial.genotype) if trial.precision == "binary" else None
        return Point(
            trial=trial.number,
            kind=kind,
            precision=trial.precision,
            ratios=ratios,
            widths=subject.widths_of(ratios),
            bits=subject.bits_of(ratios) if trial.precision == "binary" else (),
            accuracy=accuracy,
            costs=costs,
            cost=cost,
            fitness=fitness(accuracy, cost, self._reference, self._trade_off),
            on_front=False,
            estimate=None if estimate is None else estimate.accuracy,
            estimate_sd=None if estimate is None else estimate.deviation,
        )
