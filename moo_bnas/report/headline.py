"""The sentences at the head of a report.

They compare searched networks with uniform ones, and call one of two more accurate only where the
difference is beyond its noise: two standard errors, from the number of images that were scored and
from the deviations of estimates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from moo_bnas.report.tables import Row, rows
from moo_bnas.results.comparison import comparisons
from moo_bnas.results.naming import sized
from moo_bnas.results.points import Point, Report
from moo_bnas.units import count


@dataclass(frozen=True)
class _Comparison:
    """A searched network beside a uniform one of at least its cost.

    Attributes:
        gain: Accuracy of the searched network less that of the uniform one, in points.
        noise: Two standard errors of the gain, in points; infinite if nothing is known of them.
    """

    gain: float
    noise: float

    @property
    def verdict(self) -> int:
        """1: the searched network is more accurate, beyond the noise; -1: less; 0: neither."""
        return 0 if abs(self.gain) <= self.noise else 1 if self.gain > 0 else -1


def headline(report: Report) -> list[str]:
    """Sentences that compare what the search found with uniform widening.

    First come the networks that were finally trained, by their accuracies on test images; then
    those that were confirmed, by repeats of their training runs; then the whole front, by what is
    believed of it from validation images.
    """
    return [*_tested(report), *_confirmed(report), _front(report)]


def _tested(report: Report) -> list[str]:
    """One sentence for each searched network that was finally trained, the best news first."""
    tested = [r for r in rows(report) if r.final_top1 is not None and r.precision == "binary"]
    uniform = [r for r in tested if r.is_uniform]
    found = []
    for row in (r for r in tested if not r.is_uniform):
        rivals = [
            (_between((row.final_top1 or 0, 0), (u.final_top1 or 0, 0), report.test_images), u)
            for u in uniform
            if u.cost >= row.cost
        ]
        # The strongest of the rivals that a network is not behind says most about it.
        chosen = max(rivals, key=lambda r: (r[0].verdict >= 0, r[1].final_top1), default=None)
        found.append((chosen[0].verdict if chosen else -2, _test_sentence(report, row, chosen)))
    return [sentence for _, sentence in sorted(found, key=lambda each: -each[0])]


def _test_sentence(report: Report, row: Row, chosen: tuple[_Comparison, Row] | None) -> str:
    reached = f"{row.model} reaches {row.final_top1:.2f} %"
    if chosen is None:
        return (
            f"Finally trained, {reached} of {_images(report.test_images, 'test')} with "
            f"{report.cost.amount(row.cost)} {report.cost.title}; no uniform network of at least "
            "its cost was finally trained to compare it with."
        )
    compared, rival = chosen
    return (
        f"Finally trained, {reached} and {rival.model} {rival.final_top1:.2f} % of "
        f"{_images(report.test_images, 'test')}, with {100 * row.cost / rival.cost:.0f} % of its "
        f"{report.cost.title}: {_verdict(compared)}."
    )


def _verdict(compared: _Comparison) -> str:
    if compared.verdict:
        kind = "more" if compared.verdict > 0 else "less"
        return f"{abs(compared.gain):.2f} points {kind} accurate (± {compared.noise:.1f})"
    if math.isinf(compared.noise):
        return "a difference whose noise is not known"
    return f"level within the noise of ± {compared.noise:.1f} points"


def _confirmed(report: Report) -> list[str]:
    """One sentence on all comparisons with uniform networks by repeats; none without repeats."""
    signs = [comparison.sign for comparison in comparisons(report)]
    if not signs:
        return []
    kinds = (
        (1, "more accurate in"),
        (0, "level within the noise in"),
        (-1, "less accurate in"),
        (None, "compared by a single run in"),
    )
    said = [f"{phrase} {signs.count(sign)}" for sign, phrase in kinds if sign in signs]
    return [
        "Trained again with other seeds, beside uniform networks that cost no less, networks of "
        f"the search are {_listing(said)} of {count(len(signs), 'comparison')} "
        f"(on {_images(report.validation_images, 'validation')})."
    ]


def _front(report: Report) -> str:
    """How the whole front compares with uniform widening, on validation images."""
    if report.best is None:
        return "No candidate of the search has finished yet."
    images = _images(report.validation_images, "validation")
    searched = count(len(report.search), "candidate")
    beside = [
        (compared, rival)
        for rival in report.references
        if rival.precision == "binary"
        for compared in _beside_front(report, rival)
    ]
    if not report.has_widths:
        return (
            f"The fittest of {searched} scores {report.best.accuracy:.2f} % with "
            f"{report.cost.amount(report.best.cost)} {report.cost.title}."
        )
    if not beside:
        return (
            f"The fittest of {searched} reaches {report.best.accuracy:.2f} % of {images} with "
            f"{report.cost.amount(report.best.cost)} {report.cost.title}; no "
            "uniform network has finished yet to compare it with."
        )
    parts = []
    kinds = ((1, "more accurate than"), (0, "level within the noise with"), (-1, "behind"))
    for verdict, phrase in kinds:
        named = [
            f"uniform {sized(report.space, rival.ratios)}"
            + (f" (by {abs(c.gain):.1f} ± {c.noise:.1f} points)" if verdict else "")
            for c, rival in beside
            if c.verdict == verdict
        ]
        if named:
            parts.append(f"{phrase} {_listing(named)}")
    believed = f"by estimates from {images}" if report.is_estimated else f"on {images}"
    return f"At no more {report.cost.title}, the front is {'; '.join(parts)} ({believed})."


def _beside_front(report: Report, rival: Point) -> list[_Comparison]:
    """The front's most accurate network of at most a uniform network's cost, beside that."""
    within = [p for p in report.front if p.cost <= rival.cost and p.ratios != rival.ratios]
    if not within:
        return []
    best = max(within, key=lambda p: p.believed)
    return [
        _between(
            (best.believed, best.estimate_sd or 0),
            (rival.believed, rival.estimate_sd or 0),
            report.validation_images,
        )
    ]


def _between(
    searched: tuple[float, float], uniform: tuple[float, float], images: int | None
) -> _Comparison:
    """Compares two accuracies, each with its deviation, that were counted on as many images."""
    variance = searched[1] ** 2 + uniform[1] ** 2
    if images is not None:
        # The binomial variance of a share of the images, one hit and one miss added, so that 100 %
        # of a few images is not certain. Independent draws are the careful case: both networks were
        # scored on the same images.
        for accuracy in (searched[0], uniform[0]):
            share = (min(max(accuracy / 100, 0.0), 1.0) * images + 1) / (images + 2)
            variance += 100**2 * share * (1 - share) / images
    noise = 2 * math.sqrt(variance) if variance else math.inf
    return _Comparison(searched[0] - uniform[0], noise)


def _images(number: int | None, kind: str) -> str:
    return f"the {kind} images" if number is None else count(number, f"{kind} image")


def _listing(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
