"""A report that was made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest

from moo_bnas.definition import Definition
from moo_bnas.evaluation import Precision
from moo_bnas.networks.cost import flops
from moo_bnas.results.convergence import Step
from moo_bnas.results.points import Final, Point, Report
from moo_bnas.results.provenance import Making, Trainings

Ratios = Sequence[float]


def make_point(
    definition: Definition,
    trial: int,
    accuracy: float,
    ratios: Ratios,
    kind: str = "search",
    precision: Precision = "binary",
    on_front: bool = False,
) -> Point:
    network = definition.make_network()
    widths = tuple(int(b * r) for b, r in zip(network.base_widths, ratios, strict=True))
    cost = flops(network, widths, precision)
    return Point(
        trial=trial,
        kind=kind,
        precision=precision,
        ratios=tuple(ratios),
        widths=widths,
        accuracy=accuracy,
        costs=definition.subject().costs_of(ratios, precision),
        cost=cost,
        fitness=max(accuracy - 4 * cost / definition.reference_cost(), 0),
        on_front=on_front,
    )


MAKING = Making(
    seed=7,
    finished=False,
    versions={"python": "3.11.7", "moo-bnas": "0.1.0"},
    other_versions={"torch": ["2.11.0"]},
    began=datetime(2026, 1, 2, 3, 4),
    ended=datetime(2026, 1, 2, 5, 6),
    trainings=(
        Trainings(
            "search",
            trained=3,
            copied={"other": 1},
            seconds=7384.0,
            devices={"cpu": 2, "NVIDIA <H100>": 1},
            failures={"ValueError: <b>a & b</b>": 1},
            waiting=2,
        ),
    ),
    final_recipe={"epochs": 200, "milestones": [60, 120]},
)


@pytest.fixture
def report(tiny: Definition) -> Report:
    """FLOPs by hand: 718.5 of 0.25x, 3306 of 1x, 7764 of 2x, 1074 of the knee, 40224 of full."""
    one, two = (1.0,) * 6, (2.0,) * 6
    cheap = make_point(tiny, 0, 50.0, (0.25,) * 6, on_front=True)
    knee = make_point(tiny, 1, 90.0, (0.25, 2, 0.25, 0.5, 2, 0.5), on_front=True)
    beaten = make_point(tiny, 2, 80.0, (1, 1, 1, 1, 1, 0.5))
    most = make_point(tiny, 3, 91.0, (1, 1, 2, 1, 1, 2), on_front=True)
    return Report(
        study="s",
        mode="pareto",
        definition=tiny,
        points=(
            *(cheap, knee, beaten, most),
            make_point(tiny, 0, 50.0, (0.25,) * 6, "baseline"),
            make_point(tiny, 2, 70.0, one, "baseline"),
            make_point(tiny, 3, 90.4, two, "baseline"),
            make_point(tiny, 4, 95.0, one, "baseline", "full"),
        ),
        finals=(
            Final("binary", knee.ratios, 92.5, 99.25, 200),
            Final("binary", two, 93.0, None, 200),
            Final("binary", (2, 1, 1, 1, 1, 1), 91.125, 99.0, 200),
            Final("full", one, 96.0, 99.5, 100),
        ),
        failed=1,
        knee=knee,
        best=knee,
        score_name="hypervolume",
        convergence=(Step(1, 1800.0, 0.25), Step(3, 3600.0, 0.5), Step(5, 7200.0, 0.75)),
        uniform_score=0.6,
        making=MAKING,
    )


@pytest.fixture
def empty(report: Report) -> Report:
    """Of a run of which one network was finally trained, and nothing searched."""
    return Report(
        study="s",
        mode="scalar",
        definition=report.definition,
        points=(),
        finals=report.finals[:1],
        failed=0,
        knee=None,
        best=None,
        score_name="best fitness",
        convergence=(),
        uniform_score=None,
        making=Making(0, False, {}, {}, None, None, (), None),
    )
