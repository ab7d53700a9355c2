"""Searched networks against uniform ones, by repeats of their training runs. Pure data."""

from __future__ import annotations

import math
from dataclasses import dataclass

from moo_bnas.results.points import Point, Report
from moo_bnas.results.repeats import Confirmed

_BEYOND_NOISE = 2.0  # standard errors


@dataclass(frozen=True)
class Comparison:
    """A searched network beside a uniform network that costs at least as much.

    Attributes:
        searched: The searched network.
        uniform: The uniform network.
        difference: Mean accuracy of the searched network less that of the uniform one, in points.
        standard_error: Standard error of the difference; None if either was repeated once only.
    """

    searched: Point
    uniform: Point
    difference: float
    standard_error: float | None

    @property
    def sign(self) -> int | None:
        """1: the searched network is more accurate, beyond the noise; -1: less; 0: neither.

        None where the noise is unknown.
        """
        if self.standard_error is None:
            return None
        if abs(self.difference) <= _BEYOND_NOISE * self.standard_error:
            return 0
        return 1 if self.difference > 0 else -1

    @property
    def verdict(self) -> str:
        """Which network is more accurate, as far as the noise allows to say."""
        if self.sign is None:
            return "one run only, noise unknown"
        return ("level within the noise", "more accurate", "less accurate")[self.sign]

    @property
    def share(self) -> float:
        """Cost of the searched network in costs of the uniform one."""
        return self.searched.cost / self.uniform.cost


def comparisons(report: Report) -> list[Comparison]:
    """Each confirmed network beside the cheapest uniform network that is not cheaper.

    A uniform network that would have none beside it, and is not on the front itself, gets the most
    expensive of those that are cheaper still.
    """
    uniform = [p for p in report.references if p.precision == "binary"]
    references = {p.ratios for p in uniform}
    on_front = {p.ratios for p in report.front}
    confirmed = sorted(
        (
            p
            for p in report.search
            if p.ratios not in references and report.confirmed_as(p) is not None
        ),
        key=lambda p: (p.cost, p.ratios),
    )
    found, before = [], 0.0
    for reference in sorted(uniform, key=lambda p: p.cost):
        its_mean = report.confirmed_as(reference)
        if its_mean is None:
            continue
        within = [p for p in confirmed if p.cost <= reference.cost]
        beside = [p for p in within if p.cost > before]
        if not beside and reference.ratios not in on_front:
            beside = within[-1:]
        before = reference.cost
        for point in beside:
            own = report.confirmed_as(point)
            if own is not None:
                found.append(_compare(point, own, reference, its_mean))
    return found


def _compare(point: Point, own: Confirmed, uniform: Point, its: Confirmed) -> Comparison:
    error = None
    if own.standard_error is not None and its.standard_error is not None:
        error = math.hypot(own.standard_error, its.standard_error)
    return Comparison(point, uniform, own.mean - its.mean, error)
