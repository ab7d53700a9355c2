"""Every shipped binarizer: exported networks equal the trained one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from moo_bnas.models import plain
from moo_bnas.models.model_file import Model, read_model, to_bytes
from moo_bnas.models.packed import reference
from moo_bnas.models.writing import export
from moo_bnas.networks.binarizers import BINARIZERS
from tests.binarizers import SHIPPED
from tests.marks import slow
from tests.models.trained import SMALL, Case, assert_same, inputs_of, train


@cache
def _with_negative_multipliers(binarizer: str, network: str) -> Model:
    """A network in which half of the multipliers of batch norms are negative."""
    options = SMALL if network == "resnet18" else {}
    bases = (2, 3) if BINARIZERS[binarizer].has_bases else (1, 1)
    model = train(Case(network, binarizer, 4, options=options, bases=bases), epochs=1)
    random, arrays = np.random.default_rng(0), dict(model.arrays)
    for layer in model.card.layers:
        if layer.kind == "batch_norm":
            key = f"layers.{layer.name}.weight"
            signs = random.permutation(np.resize([-1, 1], arrays[key].shape))
            arrays[key] = arrays[key] * signs.astype(np.float32)
    return Model(model.card, arrays)


@pytest.mark.parametrize("network", ["vgg_small", *slow("resnet18")])
@pytest.mark.parametrize("binarizer", SHIPPED)
def test_exports_equal_the_trained_network_with_negative_multipliers(
    binarizer: str, network: str, tmp_path: Path
) -> None:
    model = _with_negative_multipliers(binarizer, network)
    path, images = tmp_path / "model.safetensors", inputs_of(model)
    path.write_bytes(to_bytes(model))

    packed = next(iter(export(path, "packed").files))
    assert_same(model, reference(read_model(packed), "packed")(images))

    (onnx,) = export(path, "onnx").files
    assert_same(model, onnxruntime.InferenceSession(onnx).run(["logits"], {"images": images})[0])

    copy, _ = export(path, "torch").files
    with torch.inference_mode():
        assert_same(model, plain.load(copy)(torch.from_numpy(images)).numpy())
