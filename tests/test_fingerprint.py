from __future__ import annotations

import hashlib

import pytest
import torch
from torch.nn import Module

from moo_bnas.definition import Definition, load_definition, parse_definition, stored_definition
from moo_bnas.driver.run import make_search
from moo_bnas.errors import DefinitionError
from moo_bnas.evolution.scoring import Mode
from moo_bnas.fingerprint import candidate_seed, fingerprint
from moo_bnas.overrides import override
from moo_bnas.training.sandwich import Sandwich


def test_a_fingerprint_is_the_hash_of_canonical_json() -> None:
    text = '{"a":[1,2.5],"b":"x","evaluation_version":2}'
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert fingerprint({"b": "x", "a": [1, 2.5]}) == expected


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("network", "binarizer", "sign"),
        ("network", "base_width", 8),
        ("space", "ratios", [0.5, 1.0, 2.0, 4.0]),
        ("recipe", "epochs", 2),
        ("recipe", "seed", 1),
        ("recipe", "dtype", "bf16"),
        ("recipe", "optimizer", "adam"),
        ("recipe", "flip", True),
    ],
)
def test_what_decides_an_accuracy_changes_the_fingerprint(
    tiny: Definition, section: str, key: str, value: object
) -> None:
    values = tiny.model_dump()
    values[section][key] = value
    changed = parse_definition(values, "test")
    assert changed.fingerprint("binary", "hash") != tiny.fingerprint("binary", "hash")


def _with(tiny: Definition, binarizer: str, constants: dict[str, float]) -> Definition:
    values = tiny.model_dump()
    values["network"].update(binarizer=binarizer, binarizer_constants=constants)
    return parse_definition(values, "test")


def test_constants_of_a_binarizer_are_in_every_fingerprint(tiny: Definition) -> None:
    of = [
        _with(tiny, "reste", constants).fingerprint("binary", "hash")
        for constants in ({}, {"power": 3.0}, {"power": 2.0}, {"floor": 0.2})
    ]
    assert of[0] == of[1]  # the paper's
    assert len(set(of)) == 3


def test_constants_that_a_binarizer_does_not_have_are_refused(tiny: Definition) -> None:
    message = "network: got the constant 't_start' of binarizer reste, expected power or floor"
    with pytest.raises(DefinitionError, match=message):
        _with(tiny, "reste", {"t_start": 0.1})


@pytest.mark.parametrize(
    "traits",
    [{"block": ["norm", "pool"]}, {"last": "none"}, {"classifier_bias": True}],
)
def test_traits_of_a_network_change_the_fingerprint(
    tiny: Definition, traits: dict[str, object]
) -> None:
    values = tiny.model_dump(mode="json")
    values["network"].update(traits)
    changed = stored_definition(values)
    assert changed.fingerprint("binary", "hash") != tiny.fingerprint("binary", "hash")
    again = stored_definition(changed.model_dump(mode="json"))
    assert again.fingerprint("binary", "hash") == changed.fingerprint("binary", "hash")


def test_a_relu_before_a_sign_is_refused(tiny: Definition) -> None:
    values = tiny.model_dump()
    values["network"].update(block=["norm", "relu", "pool"])
    parse_definition(values, "test")  # dorefa compares with 0.5
    values["network"].update(binarizer="reste")
    message = "act1 would make 1 of all numbers, since binarizer reste compares what a ReLU gives "
    with pytest.raises(DefinitionError, match=message):
        parse_definition(values, "test")
    values["network"].update(block=["relu", "norm", "pool"])
    parse_definition(values, "test")


def test_what_decides_no_accuracy_does_not(tiny: Definition) -> None:
    values = tiny.model_dump()
    values["search"].update(population=9, trade_off=1.0, max_flops=1e6)
    values.update(name="other", description="other")
    changed = parse_definition(values, "test")
    assert changed.fingerprint("binary", "hash") == tiny.fingerprint("binary", "hash")


def test_data_and_precision_are_in_the_fingerprint(tiny: Definition) -> None:
    prints = {tiny.fingerprint(p, h) for p in ("binary", "full") for h in ("one", "two")}
    assert len(prints) == 4


def test_a_candidates_seed_depends_on_recipe_and_genotype_alone() -> None:
    digest = hashlib.sha256(b"7:0,3,2").digest()
    assert candidate_seed(7, (0, 3, 2)) == int.from_bytes(digest[:8], "big") >> 1
    assert candidate_seed(7, (0, 3, 2)) < 2**63


def _fast_of_0_1() -> Definition:
    """`vgg_small_cifar10_fast` as 0.1 had it: without keys that were added since."""
    values = load_definition("vgg_small_cifar10_fast").model_dump()
    values["recipe"]["epochs"] = 3
    del values["parent"]["rule"]
    return parse_definition(values, "0.1")


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (
            load_definition("digits"),
            "b7e49be28bf0e41d7a0d682fcb3996b5869f99e278410eee8d219c68d346148b",
        ),
        (_fast_of_0_1(), "977750c5eedf3a1d8d940ac796c2c92922d51e5e7bb9b7f9dccda5b3c9dead46"),
    ],
)
def test_fingerprints_are_those_of_0_1(definition: Definition, expected: str) -> None:
    """Printed by 0.1: a change would have every stored evaluation trained again."""
    assert definition.fingerprint("binary", "h") == expected


def test_final_training_runs_and_parents_have_the_fingerprints_of_0_1() -> None:
    final = load_definition("digits").final_fingerprint("binary", "h")
    assert final == "31d981d2a9efd0e6c690a8783e12161691982092152a06f52440d320c6e2feda"
    parent = _fast_of_0_1().parent_fingerprint("h")
    assert parent == "71c35e070cc7b6e4b645239a74f448707b01f465c343195596c0419b87b7e996"


def _asked(definition: Definition, mode: Mode) -> str:
    """A hash of what the search proposes in four generations, given accuracies by a formula."""
    search, seen = make_search(definition, mode, 3), []
    for _ in range(4):
        asked = search.ask()
        seen += asked
        weights = {g: sum((i + 1) * v for i, v in enumerate(g)) for g in asked}
        search.tell({g: 60 + 30 * (1 - 1 / (1 + w)) for g, w in weights.items()})
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def test_a_space_of_widths_is_searched_as_before_there_were_bits() -> None:
    """Printed by the version before `[space] activation_bits`: stored runs are replayed."""
    definition = override(load_definition("digits"), model="none")
    assert _asked(definition, "pareto") == "89ffad931923db5a"
    assert _asked(definition, "scalar") == "befd7737553d354b"
    sandwich = Sandwich(definition.make_space(), lambda genotype: Module())
    drawn = sandwich.draw(50, torch.Generator().manual_seed(0))
    assert hashlib.sha256(repr(drawn).encode()).hexdigest()[:16] == "3f1e5c30bed4b79e"
