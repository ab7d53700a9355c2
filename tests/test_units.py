from __future__ import annotations

import pytest

from moo_bnas.units import count, duration, quantity, time_unit


@pytest.mark.parametrize(
    ("value", "text"),
    [(7, "7 "), (1514.5, "1.51 k"), (13194240, "13.19 M"), (1.818e9, "1.82 G")],
)
def test_quantities(value: float, text: str) -> None:
    assert quantity(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts() -> None:
    found = [count(0, "worker"), count(1, "worker"), count(2000, "worker")]
    assert found == ["0 workers", "1 worker", "2,000 workers"]


def test_times_are_drawn_in_a_unit_that_reads_well() -> None:
    assert time_unit(45) == ("seconds", 1.0)
    assert time_unit(119) == ("seconds", 1.0)
    assert time_unit(120) == ("minutes", 60.0)
    assert time_unit(7200) == ("hours", 3600.0)
