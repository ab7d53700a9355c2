from __future__ import annotations

import hashlib

import pytest

from moo_bnas.definition import Definition, load_definition, parse_definition
from moo_bnas.fingerprint import candidate_seed, fingerprint


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


def test_fingerprints_of_version_0_1_stay() -> None:
    digits = load_definition("digits")
    assert digits.fingerprint("binary", "h").startswith("b7e49be28bf0e41d7a0d682fcb3996b5")
    assert digits.fingerprint("full", "h").startswith("494a41dc3b612c447cbfe44985f02827")
