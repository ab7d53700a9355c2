"""Networks with more bits per activation: exported ones equal the trained one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional

import moo_bnas
from moo_bnas.models import plain
from moo_bnas.models.folding import fold
from moo_bnas.models.model_file import Model, parse_model, read_model, to_bytes
from moo_bnas.models.packed import pack, reference
from moo_bnas.models.popcount import Bits, binarize, binary_sums
from moo_bnas.models.writing import export
from moo_bnas.networks.binarizers import BINARIZERS
from moo_bnas.networks.binary_layers import Activation, BinaryConv2d
from tests.models.trained import (
    MORE_BITS,
    assert_same,
    digits_images,
    inputs_of,
    logits_of,
    restore,
    trained,
)


@pytest.fixture(params=MORE_BITS)
def more(request: pytest.FixtureRequest) -> Model:
    return trained(request.param)


def _with_negative_multipliers(model: Model) -> Model:
    arrays, random = dict(model.arrays), np.random.default_rng(0)
    for layer in model.card.layers:
        if layer.kind == "batch_norm":
            key = f"layers.{layer.name}.weight"
            signs = random.permutation(np.resize([-1, 1], arrays[key].shape))
            arrays[key] = arrays[key] * signs.astype(np.float32)
    return Model(model.card, arrays)


@pytest.mark.parametrize("negative", [False, True])
def test_exports_equal_the_trained_network(more: Model, negative: bool, tmp_path: Path) -> None:
    model = _with_negative_multipliers(more) if negative else more
    path, images = tmp_path / "model.safetensors", inputs_of(model)
    path.write_bytes(to_bytes(model))

    packed = next(iter(export(path, "packed").files))
    assert_same(model, reference(read_model(packed), "packed")(images))

    (onnx,) = export(path, "onnx").files
    assert_same(model, onnxruntime.InferenceSession(onnx).run(["logits"], {"images": images})[0])

    copy, _ = export(path, "torch").files
    with torch.inference_mode():
        assert_same(model, plain.load(copy)(torch.from_numpy(images)).numpy())

    expected = logits_of(model).argmax(axis=1)
    for each in (path, packed, onnx, copy):
        found = [p.probabilities.argmax() for p in moo_bnas.predict(each, digits_images())]
        assert np.mean(found == expected) > 0.99, each


def test_binary_layers_are_bitwise_the_networks_given_equal_inputs(more: Model) -> None:
    network = restore(more)
    folded = fold(more, "it")
    packed = reference(parse_model(to_bytes(pack(folded)), "it"), "it")
    layers = {layer.name: layer for layer in packed.layers}
    levels: dict[str, Bits] = {}

    def compare(name: str, module: torch.nn.Module, x: torch.Tensor, out: torch.Tensor) -> None:
        if isinstance(module, Activation):
            found = binarize(x.numpy(), packed._encodings[module.binarizer.encoding.bits])
            assert np.array_equal(found.as_floats(), out.numpy()), name
            levels[name] = found
            assert len(found.planes) == module.binarizer.encoding.bits
        elif isinstance(module, BinaryConv2d):
            layer = layers[name]
            sums = binary_sums(levels[layer.inputs[0]], packed._arrays[f"{name}.words"], layer)
            signs = torch.from_numpy(packed._arrays[f"{name}.signs"]).double()
            exact = functional.conv2d(x.double(), signs, None, layer.stride, layer.padding)
            assert np.array_equal(sums, exact.numpy()), name
            scaled = sums.astype(np.float32) * folded.arrays[f"{name}.scale"]
            assert np.array_equal(scaled, out.numpy()), name

    for name, module in network.layers.named_children():  # type: ignore[union-attr]
        module.register_forward_hook(lambda m, x, out, name=name: compare(name, m, x[0], out))
    with torch.inference_mode():
        network(torch.from_numpy(inputs_of(more)[:32]))
    assert {len(found.planes) for found in levels.values()} > {1, 2}


@pytest.mark.parametrize("form", ["packed", "onnx", "torch"])
def test_a_file_runs_where_its_binarizer_is_unknown(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(to_bytes(trained("resnet18 small bits")))
    made = next(iter(export(path, form).files))  # type: ignore[arg-type]
    images = digits_images()[:32]
    expected = [p.probabilities for p in moo_bnas.predict(made, images)]
    monkeypatch.delitem(BINARIZERS, "quarters")
    found = [p.probabilities for p in moo_bnas.predict(made, images)]
    np.testing.assert_array_equal(found, expected)


def test_the_card_says_which_layers_have_more_bits() -> None:
    model = trained("vgg_small bits")
    card = json.loads(pack(fold(model, "it")).card.model_dump_json())
    bits = {layer["name"]: layer["bits"] for layer in card["layers"] if "bits" in layer}
    assert bits == {
        **{f"act{i}": n for i, n in ((1, 2), (3, 3), (4, 2), (5, 4))},
        **{f"conv{i}": n for i, n in ((2, 2), (4, 3), (5, 2), (6, 4))},
    }
    assert sorted(card["encodings"]) == ["2", "3", "4"]
    assert card["encodings"]["2"] == {
        "levels": [0.0, 1.0, 2.0, 3.0],
        "thresholds": [0.5 / 3, 0.5, 2.5 / 3],
        "inclusive": False,
        "scales": "layer",
    }
    assert "encoding" not in card
