from __future__ import annotations

import numpy as np
import pytest

from moo_bnas.data.image_data import share_out
from moo_bnas.errors import DataError

LABELS = np.array([0, 1] * 10 + [1] * 30)  # 10 of a, 40 of b


def _sizes(parts: list[np.ndarray]) -> list[list[int]]:
    return [np.bincount(LABELS[rows], minlength=2).tolist() for rows in parts]


def test_parts_are_numbers_or_shares_of_each_class_and_the_rest() -> None:
    parts = share_out(LABELS, "ab", [0.1, 4, None], seed=0)
    assert _sizes(parts) == [[1, 4], [4, 4], [5, 32]]
    assert sorted(np.concatenate(parts)) == list(range(50))
    assert all(np.all(np.diff(rows) > 0) for rows in parts)


def test_a_share_is_rounded_but_never_to_nothing() -> None:
    assert _sizes(share_out(LABELS, "ab", [0.04, 0.26, None], seed=0)) == [[1, 2], [3, 10], [6, 28]]


def test_the_last_part_may_leave_some_out_and_a_part_may_be_nothing() -> None:
    parts = share_out(LABELS, "ab", [0, 1, 2], seed=0)
    assert _sizes(parts) == [[0, 0], [1, 1], [2, 2]]


def test_the_seed_decides_which() -> None:
    one, same, other = (share_out(LABELS, "ab", [5, None], seed)[0] for seed in (0, 0, 1))
    assert one.tolist() == same.tolist()
    assert one.tolist() != other.tolist()


def test_later_parts_do_not_move_earlier_ones() -> None:
    a, b = (share_out(LABELS, "ab", [3, n, None], seed=0)[0] for n in (1, 4))
    assert a.tolist() == b.tolist()


@pytest.mark.parametrize("parts", [[5, 5, None], [11, None], [3, 4, 4]])
def test_a_class_that_is_too_small_is_named(parts: list[int | None]) -> None:
    with pytest.raises(
        DataError, match="class 'a' has 10 images, too few to take .*; add images, or lower"
    ):
        share_out(LABELS, "ab", parts, seed=0)
