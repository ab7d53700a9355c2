"""What a report shows, read from the storage alone. Pure data; `page` draws it."""

from __future__ import annotations

from dataclasses import dataclass

from moo_bnas.definition import Definition, stored_definition
from moo_bnas.errors import StorageError
from moo_bnas.networks.layers import Precision
from moo_bnas.scoring import fitness, front, knee
from moo_bnas.storage import Storage, Trial, baselines_of


@dataclass(frozen=True)
class Point:
    """One finished evaluation.

    Attributes:
        trial: Its number in its study.
        kind: `search`, or `baseline` for the uniform and full-precision networks.
        precision: `binary` or `full`.
        ratios: One per gene.
        widths: Channels, one per gene.
        accuracy: Percent, on the validation split.
        flops: Multiply-accumulates, those of binary layers counted 1/64.
        memory_bits: Of the weights.
        fitness: Eq. 4, percent.
        on_front: Whether no search point is better in accuracy and FLOPs.
    """

    trial: int
    kind: str
    precision: Precision
    ratios: tuple[float, ...]
    widths: tuple[int, ...]
    accuracy: float
    flops: float
    memory_bits: int
    fitness: float
    on_front: bool


@dataclass(frozen=True)
class Report:
    """All that a report shows.

    Attributes:
        study: Its name.
        mode: `scalar` or `pareto`.
        definition: Of the run.
        points: Sorted by kind (search before baseline), genotype, precision.
        failed: How many search trials failed.
        knee: The point of the front that bulges most.
        best: The fittest search point by Eq. 4.
    """

    study: str
    mode: str
    definition: Definition
    points: tuple[Point, ...]
    failed: int
    knee: Point
    best: Point

    @property
    def front(self) -> list[Point]:
        """The front, by ascending FLOPs."""
        return sorted((p for p in self.points if p.on_front), key=lambda p: (p.flops, p.ratios))

    @property
    def references(self) -> list[Point]:
        """Uniform binary networks by ascending ratio, then the full-precision twin."""
        return sorted(
            (p for p in self.points if p.kind == "baseline"), key=lambda p: (p.precision, p.ratios)
        )


def collect(storage: Storage, study_name: str) -> Report:
    """Reads a report; of a run that is not finished, what there is.

    Raises:
        StorageError: Where no candidate is finished yet.
    """
    study = storage.studies.open(study_name)
    definition = stored_definition(study.attributes["definition"])
    trials = storage.trials.read(study)
    search = sorted((t for t in trials if t.state == "complete"), key=lambda t: t.genotype)
    if not search:
        reasons = [t.attributes["fail_reason"] for t in trials if t.state == "fail"]
        why = f" ({len(reasons)} failed, the first with {reasons[0]!r})" if reasons else ""
        raise StorageError(
            f"study {study_name!r} has no finished candidate yet{why}, so there is nothing to "
            "report; see `moo-bnas status`"
        )
    references = sorted(
        (
            t
            for t in storage.trials.read(storage.studies.open(baselines_of(study_name)))
            if t.state == "complete"
        ),
        key=lambda t: (t.genotype, t.precision),
    )
    accuracies = [t.attributes["accuracy"] for t in search]
    costs = [t.attributes["flops"] for t in search]
    on = front(accuracies, costs)
    points = [_point(definition, t, "search", i in on) for i, t in enumerate(search)]
    points_on = [points[i] for i in on]
    return Report(
        study=study_name,
        mode=study.attributes["mode"],
        definition=definition,
        points=(*points, *(_point(definition, t, "baseline", False) for t in references)),
        failed=sum(t.state == "fail" for t in trials),
        knee=points_on[knee([p.accuracy for p in points_on], [p.flops for p in points_on])],
        best=max(points, key=lambda p: (p.fitness, -p.flops)),
    )


def _point(definition: Definition, trial: Trial, kind: str, on_front: bool) -> Point:
    space, network = definition.make_space(), definition.make_network()
    accuracy, flops = trial.attributes["accuracy"], trial.attributes["flops"]
    return Point(
        trial=trial.number,
        kind=kind,
        precision="full" if trial.precision == "full" else "binary",
        ratios=space.decode(trial.genotype),
        widths=space.widths_of(trial.genotype, network.base_widths),
        accuracy=accuracy,
        flops=flops,
        memory_bits=trial.attributes["memory_bits"],
        fitness=fitness(accuracy, flops, definition.reference_flops(), definition.search.trade_off),
        on_front=on_front,
    )
