from __future__ import annotations

import json

from moo_bnas.evolution.scoring import errors
from moo_bnas.report.dashboard import figures, note
from moo_bnas.results.points import Report


def test_the_note_is_the_head_and_the_table_of_the_report(report: Report) -> None:
    text = note(report)
    assert text.startswith("Finally trained, trial 1 (knee, best) reaches 92.50 %")
    assert "| trial 1 (knee, best) | 1.07 k | 37.5x |" in text


def test_the_figure_is_the_front_without_long_texts(report: Report, empty: Report) -> None:
    (name, text), *others = figures(report).items()
    assert (name, others) == ("front", [])
    traces = {trace["name"]: trace for trace in json.loads(text)["data"]}
    assert traces["front"]["x"] == [p.cost for p in report.front]
    assert traces["front"]["y"] == errors([50.0, 90.0, 91.0]).tolist()
    assert not any("hovertext" in trace or "customdata" in trace for trace in traces.values())
    assert figures(empty) == {}
