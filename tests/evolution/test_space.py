from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.space import PAPER_RATIOS, SearchSpace, genotype_key, parse_genotype_key

SPACE = SearchSpace(("a", "b", "c"))


@given(st.lists(st.integers(0, 5), min_size=3, max_size=3))
def test_encoding_a_decoded_genotype_gives_it_back(genotype: list[int]) -> None:
    assert SPACE.encode(SPACE.decode(genotype)) == tuple(genotype)
    assert parse_genotype_key(genotype_key(genotype)) == tuple(genotype)


def test_the_space_holds_every_combination_once() -> None:
    genotypes = SPACE.genotypes()
    assert genotypes.shape == (6**3, 3) == (SPACE.size, 3)
    assert len({tuple(g) for g in genotypes}) == 216


def test_widths_are_the_integer_part_of_base_times_ratio() -> None:
    # 0.25 * 10 = 2.5 -> 2; 4 * 7 = 28; 0.5 * 9 = 4.5 -> 4
    assert SPACE.widths(np.array([[0, 5, 1]]), [10, 7, 9]).tolist() == [[2, 28, 4]]


@pytest.mark.parametrize(
    ("ratios", "message"),
    [
        ([1.0, 1.0], r"got 2 ratios, expected 3: one each for a, b, c"),
        ([1.0, 1.5, 1.0], r"got ratio 1.5, expected each to be one of 0.25, 0.5, 1, 2, 3, 4"),
    ],
)
def test_ratios_outside_the_space_are_refused(ratios: list[float], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        SPACE.encode(ratios)


def test_ratios_must_ascend() -> None:
    with pytest.raises(DefinitionError, match="must ascend without repeats, got 1, 1"):
        SearchSpace(("a",), (1.0, 1.0))


def test_the_papers_ratios() -> None:
    assert PAPER_RATIOS == (0.25, 0.5, 1, 2, 3, 4)  # Eq. 2
