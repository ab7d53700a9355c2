from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from moo_bnas.definition import load_definition
from moo_bnas.networks.cost import COSTS
from moo_bnas.report.figures import figures
from moo_bnas.report.style import Figure
from moo_bnas.report.trade_off import front_figure, front_note, front_title, hover
from moo_bnas.results.convergence import Step
from moo_bnas.results.points import Final, Report
from moo_bnas.results.provenance import Making
from tests.report.conftest import make_point


def by_name(report: Report) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures(report)}


def drawn(report: Report, name: str) -> Sequence[Any]:
    """The traces of a figure."""
    figure = by_name(report)[name].drawn
    assert figure is not None
    return tuple(figure.data)


def pareto(report: Report) -> Any:
    return front_figure(report).drawn


def test_the_front_shows_every_point_once_and_marks_what_matters(report: Report) -> None:
    traces = {t.name: t for t in pareto(report).data}
    assert set(traces) == {
        *("final, test", "evaluated", "uniform widening", "full precision 1x", "front"),
        *("knee", "best"),
    }
    assert pareto(report).data[0].name == "final, test"
    assert list(traces["evaluated"].x) == [3153.5]
    assert list(traces["front"].y) == [50.0, 10.0, 9.0]  # errors
    assert (traces["front"].mode, traces["front"].line.shape) == ("markers+lines", "hv")
    assert list(traces["final, test"].y) == [4.0, 7.0, 7.5, 8.875]
    assert list(traces["knee"].x) == list(traces["best"].x) == [1074.0]
    assert list(traces["uniform widening"].text) == ["0.25x", "1x", "2x"]
    assert pareto(report).layout.xaxis.type == "log"
    axis = pareto(report).layout.yaxis
    assert (axis.type, axis.range[0] > axis.range[1]) == ("log", True)
    assert dict(zip(axis.tickvals, axis.ticktext, strict=True))[5.0] == "95"
    assert front_title(report) == "s: 4 binary networks, 3 on the front"
    assert "pareto search, 1 failed; validation accuracy after 1 epoch" in front_note(report)


def test_estimates_are_drawn_with_bars_and_the_measured_front_on_demand(report: Report) -> None:
    points = tuple(
        replace(p, estimate=p.accuracy - 2, estimate_sd=0.5, on_measured_front=p.on_front)
        if p.precision == "binary"
        else p
        for p in report.points
    )
    found = replace(report, points=points, validation_images=360)
    traces = {t.name: t for t in pareto(found).data}
    assert list(traces["front"].y) == [52.0, 12.0, 11.0]
    assert list(traces["front"].error_y.array) == [1.0, 1.0, 1.0]
    assert list(traces["front as measured"].y) == [50.0, 10.0, 9.0]
    assert traces["front as measured"].visible == "legendonly"
    assert traces["full precision 1x"].error_y.array is None
    assert "estimate 88.0 ± 0.5 %" in hover(found.search[1], COSTS.values())
    assert "on 360 validation images" in by_name(found)["front"].caption
    sure = replace(found.search[3], estimate=99.5, estimate_sd=1.0)
    (bar,) = (t for t in pareto(replace(found, points=(sure,))).data if t.name == "front")
    assert list(bar.error_y.arrayminus) == [pytest.approx(0.4)]  # a bar ends at 99.9 %


def test_hovering_shows_all_of_a_point(report: Report) -> None:
    text = hover(report.search[1], COSTS.values())
    for part in ("90.00 %", "1.07 k", "6.59 kbit", "trial 1", "0.25, 2", "1, 8", "binary"):
        assert part in text


def test_convergence_is_drawn_against_evaluations_and_time(report: Report) -> None:
    for name, x in (("evaluations", [1, 3, 5]), ("time", [0.5, 1.0, 2.0])):
        search, uniform = drawn(report, f"convergence-{name}")
        assert (list(search.x), list(search.y)) == (x, [0.25, 0.5, 0.75])
        assert list(uniform.y) == [0.6, 0.6]
    assert "0.75 after 5 evaluations" in by_name(report)["convergence-evaluations"].caption
    shown = by_name(report)["convergence-time"]
    assert shown.caption.endswith("pauses left out: 2 h 00 min so far.")
    assert shown.drawn is not None
    assert shown.drawn.layout.xaxis.title.text == "hours of training"
    quick = replace(report, convergence=(Step(1, 9.0, 0.5), Step(2, 45.0, 0.6)))
    figure = by_name(quick)["convergence-time"].drawn
    assert figure is not None
    assert figure.layout.xaxis.title.text == "seconds of training"
    assert list(figure.data[0].x) == [9.0, 45.0]


def test_channels_stand_beside_uniform_1x(report: Report) -> None:
    traces = drawn(report, "channels")
    assert [t.name for t in traces] == [
        *("uniform 1x", "trial 1 (knee, best)", "ratios 2 1 1 1 1 1"),
    ]
    assert list(traces[0].y) == [4, 4, 8, 8, 16, 16]
    assert list(traces[1].y) == [1, 8, 2, 4, 32, 8]
    assert "uniform 1x: 4 4 8 8 16 16" in by_name(report)["channels"].values


def test_validation_and_test_accuracies_are_series_of_their_own(report: Report) -> None:
    traces = {t.name: t for t in drawn(report, "accuracy-flops")}
    assert {name: [100 - y for y in t.y] for name, t in traces.items()} == {
        "uniform (final, test)": [93.0],
        "searched (final, test)": [92.5, 91.125],
        "full precision (final, test)": [96.0],
        "uniform (search, validation)": [50.0, 70.0, pytest.approx(90.4)],
        "searched (search, validation)": [90.0, 91.0],
        "full precision (search, validation)": [95.0],
    }
    assert next(iter(traces)) == "uniform (final, test)"
    symbols = [t.marker.symbol for t in traces.values()]
    assert len(set(symbols)) == 6


@pytest.mark.parametrize(("name", "rows"), [("vgg_small_cifar10", 7), ("resnet18_imagenet", 10)])
def test_published_results_are_there_when_asked_for(name: str, rows: int, report: Report) -> None:
    definition = load_definition(name)
    ones = (1.0,) * len(definition.make_space().genes)
    points = (make_point(definition, 0, 50.0, ones, on_front=True),)
    paper = replace(report, definition=definition, points=points, finals=(), knee=None, best=None)
    trace = drawn(paper, "accuracy-flops")[-1]
    assert trace.name.startswith("published (Shen et al. 2019, Table")
    assert (trace.visible, len(trace.x)) == ("legendonly", rows)


def test_what_is_not_there_yet_is_said(empty: Report) -> None:
    missing = {name: f.caption for name, f in by_name(empty).items() if f.drawn is None}
    assert missing == {
        "front": "No candidate and no reference of the search has finished yet.",
        "convergence-evaluations": "No candidate of the search has finished yet.",
        "importance": "0 candidates have finished; at least 10 are needed to show which genes "
        "matter.",
    }
    assert pareto(empty) is None


def test_reports_of_references_alone_are_drawn(report: Report) -> None:
    references = tuple(p for p in report.points if p.kind == "baseline")
    making = Making(0, False, {}, {}, None, None, (), None)
    alone = replace(
        report, points=references, knee=None, best=None, finals=(), convergence=(), making=making
    )
    named = [t.name for t in drawn(alone, "front")]
    assert named == ["uniform widening", "full precision 1x"]
    final = Final("binary", (1.0,) * 6, 80.0, None, 200)
    both = replace(alone, finals=(final,))
    assert len(drawn(both, "accuracy-flops")) == 3
