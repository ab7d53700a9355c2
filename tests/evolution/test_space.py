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


def test_genes_may_have_values_of_their_own() -> None:
    space = SearchSpace.of({"deep": (1, 2, 3), "wide": (8, 16)})
    assert (space.genes, space.ratios, space.choices, space.size) == (
        ("deep", "wide"),
        (),
        [3, 2],
        6,
    )
    assert space.genotypes().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]]
    assert space.encode([3, 8]) == (2, 0)
    assert space.decode((2, 0)) == (3, 8)
    assert space.named((2, 1)) == {"deep": 3, "wide": 16}
    with pytest.raises(DefinitionError, match="got value 8 of deep, expected .* one of 1, 2, 3"):
        space.encode([8, 8])
    with pytest.raises(DefinitionError, match="got 1 values, expected 2: one each for deep, wide"):
        space.encode([1])
    with pytest.raises(DefinitionError, match="got the genotype 0,2, expected 2 numbers"):
        space.decode((0, 2))  # the third value is deep's
    with pytest.raises(DefinitionError, match="values of gene wide must ascend .* got 8, 8"):
        SearchSpace.of({"deep": (1,), "wide": (8, 8)})
