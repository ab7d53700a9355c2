"""Convs that learned how their input becomes bits: exports write them out as convs of bits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from moo_bnas.errors import ModelFileError
from moo_bnas.models import plain
from moo_bnas.models.fast.network import FastNetwork
from moo_bnas.models.folding import fold
from moo_bnas.models.model_file import Model, parse_model, read_model, to_bytes
from moo_bnas.models.packed import pack, reference
from moo_bnas.models.writing import export
from moo_bnas.networks.layers import ADDED
from tests.models.test_c_file import PATHS, _logits, needs_gcc
from tests.models.trained import COMPOUND, assert_same, inputs_of, logits_of, trained


@pytest.fixture(params=COMPOUND)
def model(request: pytest.FixtureRequest) -> Model:
    """The trained network of each case."""
    return trained(request.param)


def test_a_file_that_was_written_and_read_is_the_network(model: Model) -> None:
    again = parse_model(to_bytes(model), "file")
    assert again.card.layers == model.card.layers
    assert np.array_equal(logits_of(again), logits_of(model))


def test_a_file_without_what_a_conv_learned_is_refused(model: Model) -> None:
    arrays = {name: a for name, a in model.arrays.items() if not name.endswith("_conv1.shift")}
    arrays.pop("layers.conv2.shift", None)
    with pytest.raises(ModelFileError, match="shift got none, expected float32 of shape"):
        fold(Model(model.card, arrays), "it")


def test_runtimes_agree_and_say_what_the_network_says(model: Model) -> None:
    packed = parse_model(to_bytes(pack(fold(model, "it"))), "packed")
    x = inputs_of(model)
    logits = reference(packed, "packed")(x)
    assert_same(model, logits)
    assert np.array_equal(FastNetwork(packed, "packed")(x), logits)


@needs_gcc
def test_the_c_file_agrees(model: Model, tmp_path: Path) -> None:
    packed, x = pack(fold(model, "it")), inputs_of(model)
    logits = _logits(packed, x, tmp_path, "net", PATHS["portable"])
    assert_same(model, logits)


def test_a_plain_network_is_bitwise_the_trained_one(model: Model, tmp_path: Path) -> None:
    """Up to batch norms, which are folded: so the sums of its first layers are."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(to_bytes(model))
    copy, _ = export(path, "torch").files
    with torch.inference_mode():
        assert_same(model, plain.load(copy)(torch.from_numpy(inputs_of(model))).numpy())
    assert read_model(copy).card.flops == model.card.flops


def test_exports_have_layers_that_older_versions_know(model: Model) -> None:
    layers = json.loads(pack(fold(model, "it")).card.model_dump_json())["layers"]
    assert {layer["kind"] for layer in layers}.isdisjoint({"mean_magnitude", "scale"})
    assert not any(name in layer for layer in layers for name in ADDED)


def test_a_conv_is_as_many_convs_of_bits_as_it_has_pairs_of_bases() -> None:
    card = fold(trained("vgg_small abc"), "it").card
    names = [layer.name for layer in card.layers]
    assert names[:3] == ["conv1", "pool1", "bn1"] or names[:2] == ["conv1", "bn1"]
    own = [name for name in names if name.startswith("conv2")]
    assert own == [
        "conv2_shift0",
        "conv2_bits0",
        *(f"conv2_part0_{i}" for i in range(3)),
        "conv2_shift1",
        "conv2_bits1",
        *(f"conv2_part1_{i}" for i in range(3)),
        *(f"conv2_sum{i}" for i in range(4)),
        "conv2",
    ]
    assert "act1" not in names
    by_name = {layer.name: layer for layer in card.layers}
    assert by_name["conv2_shift0"].inputs == by_name["conv2_shift1"].inputs == ("bn1",)


def test_adabins_ones_count_what_is_on_the_image() -> None:
    """Its second bits are all 1, whatever the input."""
    folded = fold(trained("vgg_small adabin"), "it")
    assert set(folded.arrays["conv3_shift1.multiplier"].tolist()) == {0.0}
    assert set(folded.arrays["conv3_shift1.offset"].tolist()) == {1.0}
    for part in ("conv3_part0_1", "conv3_part1_1"):
        assert set(folded.arrays[f"{part}.signs"].flatten().tolist()) == {1}
