from __future__ import annotations

from dataclasses import replace

from moo_bnas.report.headline import headline
from moo_bnas.results.points import Final, Report
from moo_bnas.results.repeats import Confirmed, Network

KNEE = (0.25, 2, 0.25, 0.5, 2, 0.5)
ONE, TWO = (1.0,) * 6, (2.0,) * 6


def final(ratios: tuple[float, ...], accuracy: float) -> Final:
    return Final("binary", ratios, accuracy, None, 200)


def test_final_results_come_first_and_name_the_number_of_images(report: Report) -> None:
    # 92.5 and 93 % of 10,000: two standard errors are 200 * sqrt((.925 * .075 + .93 * .07) / 1e4).
    tested = replace(report, finals=report.finals[:2], test_images=10_000)
    assert headline(tested)[0] == (
        "Finally trained, trial 1 (knee, best) reaches 92.50 % and uniform 2x 93.00 % of 10,000 "
        "test images, with 14 % of its FLOPs: level within the noise of ± 0.7 points."
    )
    many = replace(tested, test_images=1_000_000)
    assert headline(many)[0].endswith(": 0.50 points less accurate (± 0.1).")
    assert headline(replace(tested, test_images=None))[0].endswith(
        "of the test images, with 14 % of its FLOPs: a difference whose noise is not known."
    )


def test_a_gain_is_claimed_only_beyond_the_noise(report: Report) -> None:
    finals = (final(KNEE, 95.0), final(ONE, 90.0))
    # One hit and one miss are added: 96 and 91 of 102 images.
    few = headline(replace(report, finals=finals, test_images=100))[0]
    assert few.endswith("with 32 % of its FLOPs: level within the noise of ± 7.8 points.")
    many = headline(replace(report, finals=finals, test_images=10_000))[0]
    assert many.endswith("with 32 % of its FLOPs: 5.00 points more accurate (± 0.7).")


def test_a_network_that_lost_on_test_is_not_praised(report: Report) -> None:
    """On validation images it was 20 points ahead."""
    finals = (final(KNEE, 88.9), final(ONE, 91.7))
    found = headline(replace(report, finals=finals, test_images=10_000))
    assert found[0].endswith("with 32 % of its FLOPs: 2.80 points less accurate (± 0.8).")


def test_a_test_result_without_a_rival_is_reported_alone(report: Report) -> None:
    found = headline(replace(report, finals=(final(KNEE, 92.5), final((0.25,) * 6, 50.0))))
    assert found[0] == (
        "Finally trained, trial 1 (knee, best) reaches 92.50 % of the test images with 1.07 k "
        "FLOPs; no uniform network of at least its cost was finally trained to compare it with."
    )


def test_the_whole_front_is_compared_with_uniform_widening(report: Report) -> None:
    # At no more FLOPs: 90 beside 70 % of uniform 1x, 91 beside 90.4 % of uniform 2x; uniform 0.25x
    # is itself on the front.
    searched = replace(report, finals=(), validation_images=1000)
    assert headline(searched) == [
        "At no more FLOPs, the front is more accurate than uniform 1x (by 20.0 ± 3.5 points); "
        "level within the noise with uniform 2x (on 1,000 validation images)."
    ]
    points = tuple(
        replace(p, estimate=p.accuracy, estimate_sd=2.0) if p.precision == "binary" else p
        for p in searched.points
    )
    assert headline(replace(searched, points=points)) == [
        "At no more FLOPs, the front is more accurate than uniform 1x (by 20.0 ± 6.6 points); "
        "level within the noise with uniform 2x (by estimates from 1,000 validation images)."
    ]
    better = tuple(
        replace(p, accuracy=p.accuracy + 9 * (p.kind != "search")) for p in searched.points
    )
    assert headline(replace(searched, points=better))[0].endswith(
        "; behind uniform 2x (by 8.4 ± 1.9 points) (on 1,000 validation images)."
    )


def test_confirmed_networks_come_before_what_is_believed_of_the_front(report: Report) -> None:
    # The knee beside uniform 1x, the most accurate network beside uniform 2x: 18 and 0.5 points
    # ahead, where two standard errors are 1 and 1.
    confirmed: dict[Network, Confirmed] = {
        (ratios, "binary"): Confirmed(mean, error, 3)
        for ratios, mean, error in (
            (ONE, 70.0, 0.4),
            (KNEE, 88.0, 0.3),
            (TWO, 90.5, 0.4),
            ((1, 1, 2, 1, 1, 2), 91.0, 0.3),
        )
    }
    searched = replace(report, finals=(), validation_images=360, confirmed=confirmed)
    first, second = headline(searched)
    assert first == (
        "Trained again with other seeds, beside uniform networks that cost no less, networks of "
        "the search are more accurate in 1 and level within the noise in 1 of 2 comparisons (on "
        "360 validation images)."
    )
    assert second.startswith("At no more FLOPs, the front is ")
    once = {network: Confirmed(each.mean, None, 1) for network, each in confirmed.items()}
    assert (
        "compared by a single run in 2 of 2 comparisons"
        in headline(replace(searched, confirmed=once))[0]
    )


def test_it_claims_no_more_than_there_is(report: Report, empty: Report) -> None:
    assert headline(replace(report, finals=())) == [
        "At no more FLOPs, the front is level within the noise with uniform 1x and uniform 2x "
        "(on the validation images)."
    ]
    alone = replace(report, points=tuple(report.search))
    assert headline(alone)[-1] == (
        "The fittest of 4 candidates reaches 90.00 % of the validation images with 1.07 k FLOPs; "
        "no uniform network has finished yet to compare it with."
    )
    assert headline(empty)[-1] == "No candidate of the search has finished yet."
