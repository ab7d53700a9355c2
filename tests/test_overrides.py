"""Definitions with keys replaced."""

from __future__ import annotations

import re

import pytest

from moo_bnas.definition import Definition
from moo_bnas.errors import DefinitionError
from moo_bnas.overrides import with_keys


def test_any_key_can_be_set(tiny: Definition) -> None:
    found = with_keys(
        tiny,
        [
            *("recipe.epochs=3", "recipe.learning_rate = 1e-2", "recipe.flip=true"),
            *("space.ratios=[0.5, 1]", "network.binarizer=sign", 'search.model="gp"'),
            *("final.epochs=9", "final.batch_size=8", "final.learning_rate=0.1"),
        ],
    )
    recipe = found.training()
    assert (recipe.epochs, recipe.learning_rate, recipe.flip) == (3, 0.01, True)
    assert found.space.ratios == (0.5, 1.0)
    assert (found.network_options().binarizer, found.search.model) == ("sign", "gp")
    assert found.final is not None
    assert found.final.epochs == 9
    assert found.data == tiny.data
    assert with_keys(tiny, []) == tiny


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["recipe.epoch=3", "recipe.epochs=x"], "2 faults"),
        (["recipe.epochs=3.5"], "recipe.epochs: Input should be a valid integer"),
        (["recipe.epochs"], "expected SECTION.KEY=VALUE, such as recipe.epochs=3"),
        (["epochs=3"], "expected SECTION.KEY=VALUE"),
        (["name.x=3"], "but name has no keys; expected one of network, space, data"),
        (["nope.x=3"], "nope: unknown key; remove it"),
        (["recipe.epochs=3\nbatch_size=4"], "recipe.epochs: Input should be a valid integer"),
    ],
)
def test_what_fits_no_definition_is_refused(
    tiny: Definition, settings: list[str], told: str
) -> None:
    with pytest.raises(DefinitionError, match=re.escape(told)):
        with_keys(tiny, settings)
