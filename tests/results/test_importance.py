from __future__ import annotations

import random
from dataclasses import replace

import pytest

from moo_bnas.results.importance import importances
from moo_bnas.results.points import Report
from tests.report.conftest import make_point


def test_the_gene_that_decides_is_found(report: Report) -> None:
    chance = random.Random(0)
    points = []
    for i in range(60):
        ratios = [chance.choice([0.25, 0.5, 1.0, 2.0]) for _ in range(6)]
        points.append(make_point(report.definition, i, 50 + 10 * ratios[3], ratios))
    searched = replace(report, points=tuple(points))
    found = importances(searched)
    assert found is not None
    assert [i.gene for i in found] == ["conv1", "conv2", "conv3", "conv4", "conv5", "conv6"]
    assert found[3].accuracy == pytest.approx(1, abs=1e-6)
    assert max(found, key=lambda i: i.cost).gene == "conv1"  # which alone is full precision
    assert sum(i.cost for i in found) == pytest.approx(1)
    assert importances(searched) == found
    equal = replace(report, points=tuple(replace(p, accuracy=50.0) for p in points))
    assert [i.accuracy for i in importances(equal) or []] == [0] * 6


def test_few_candidates_tell_nothing(report: Report) -> None:
    assert importances(report) is None
