from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from moo_bnas.errors import DefinitionError, StorageError
from moo_bnas.evolution.scoring import errors
from moo_bnas.overrides import with_keys
from moo_bnas.report.together import fronts_figure, together_page
from moo_bnas.results.points import Report
from tests.browser import look


@pytest.fixture
def other(report: Report) -> Report:
    """The same networks, each a point less accurate."""
    points = tuple(replace(p, accuracy=p.accuracy - 1) for p in report.points)
    definition = with_keys(report.definition, ["recipe.epochs=2"])
    return replace(report, study="other<b>", definition=definition, points=points)


def test_the_fronts_of_all_runs_are_over_each_other(report: Report, other: Report) -> None:
    drawn = fronts_figure([report, other]).drawn
    assert drawn is not None
    assert [t.name for t in drawn.data] == [
        *("uniform widening (s)", "s", "other&lt;b&gt;"),
    ]
    uniform, first, second = drawn.data
    assert list(uniform.x) == [p.cost for p in report.references if p.precision == "binary"]
    assert list(first.x) == list(second.x) == [p.cost for p in report.front]
    assert list(first.y) == errors([50.0, 90.0, 91.0]).tolist()
    assert list(second.y) == errors([49.0, 89.0, 90.0]).tolist()
    assert first.line.color != second.line.color
    assert first.line.dash != second.line.dash
    assert first.marker.symbol != second.marker.symbol


def test_more_runs_than_colours_are_all_drawn(report: Report) -> None:
    many = [replace(report, study=f"run{i}") for i in range(6)]
    drawn = fronts_figure(many).drawn
    assert drawn is not None
    assert [t.name for t in drawn.data][1:] == [f"run{i}" for i in range(6)]


def test_the_page_has_results_and_differences(report: Report, other: Report) -> None:
    text = together_page([report, other]).partition("<script>")[0]
    assert "<title>2 runs</title>" in text
    assert '<th scope="row">recipe.epochs</th><td>1</td><td>2</td>' in text
    assert '<th scope="row">most accurate</th><td>91.00 %, ' in text
    assert "other&lt;b&gt;" in text
    assert "<b>" not in text
    alike = together_page([report, replace(report, study="t")])
    assert "In nothing but their names." in alike


def test_runs_that_mean_something_else_are_refused(report: Report, empty: Report) -> None:
    wider = with_keys(report.definition, ["network.base_width=8"])
    with pytest.raises(DefinitionError, match=r"s and t differ in \[network\]"):
        together_page([report, replace(report, study="t", definition=wider)])
    with pytest.raises(StorageError, match="has no finished candidate to compare"):
        together_page([report, empty])


def test_a_browser_draws_it(report: Report, other: Report, tmp_path: Path) -> None:
    path = tmp_path / "together.html"
    path.write_text(together_page([report, other]))
    wanted = [
        "document.querySelectorAll('.plot .main-svg').length > 0",
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth",
    ]
    for seen in look(path, wanted, [(1280, "light"), (390, "dark")]):
        assert (seen.complaints, seen.requests) == ([], [])
        assert seen.answers == [True, True]
