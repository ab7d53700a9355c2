from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from moo_bnas.errors import ModelFileError
from moo_bnas.models.folding import fold
from moo_bnas.models.model_file import Model, parse_model, to_bytes
from moo_bnas.networks.binary_layers import BinaryConv2d
from tests.binarizers import ONE_BIT
from tests.models.trained import restore, trained


def test_scales_and_signs_are_bitwise_those_of_the_network(model: Model) -> None:
    folded = fold(model, "model")
    for name, module in restore(model).layers.named_children():  # type: ignore[union-attr]
        if isinstance(module, BinaryConv2d):
            latent, scale = ONE_BIT[model.card.binarizer].weights(module.weight.detach())
            signs = torch.where(latent >= 0, 1, -1)
            assert np.array_equal(folded.arrays[f"{name}.signs"], signs.numpy())
            assert folded.arrays[f"{name}.scale"].shape == scale.shape
            assert np.array_equal(folded.arrays[f"{name}.scale"], scale.numpy())


def test_a_batch_norm_is_a_multiplier_and_an_offset(model: Model) -> None:
    folded = fold(model, "model")
    random = np.random.default_rng(0)
    norms = 0
    for name, module in restore(model).layers.named_children():  # type: ignore[union-attr]
        if isinstance(module, nn.BatchNorm2d):
            norms += 1
            x = random.normal(size=(2, module.num_features, 3, 3)).astype(np.float32)
            multiplier, offset = (
                folded.arrays[f"{name}.{p}"].astype(np.float64)[:, None, None]
                for p in ("multiplier", "offset")
            )
            out = module(torch.from_numpy(x)).detach().numpy()
            np.testing.assert_allclose(x * multiplier + offset, out, rtol=1e-5, atol=1e-5)
    assert norms >= 6


def test_a_file_that_was_written_and_read_folds_to_the_same(model: Model) -> None:
    again = fold(parse_model(to_bytes(model), "file"), "file").arrays
    for name, array in fold(model, "model").arrays.items():
        assert again[name].dtype == array.dtype
        assert np.array_equal(again[name], array)


VGG = "vgg_small dorefa"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "packed"}, "m is an exported network (packed), expected a trained one; give"),
        (
            {"own_module": True},
            "m holds the network vgg_small of another package, which cannot",
        ),
        ({"binarizer": "none"}, "m has the binarizer 'none', expected one of dorefa, sign"),
        (
            {"layers": trained("vgg_small sign").card.layers},
            "m does not hold the network that its card describes: for layers.bn1.bias got "
            "float32 of shape [8], expected float32 of shape [7]; it was made from another",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused(changes: dict[str, Any], message: str) -> None:
    model = trained(VGG)
    other = replace(model, card=model.card.model_copy(update=changes))
    with pytest.raises(ModelFileError, match=re.escape(message)):
        fold(other, "m")


def test_a_tensor_too_few_or_too_many_is_named() -> None:
    model = trained(VGG)
    fewer = {k: v for k, v in model.arrays.items() if k != "layers.conv3.weight"}
    with pytest.raises(ModelFileError, match="for layers.conv3.weight got none, expected float"):
        fold(replace(model, arrays=fewer), "m")
    more = {**model.arrays, "layers.conv7.weight": np.zeros(3)}
    with pytest.raises(ModelFileError, match="for layers.conv7.weight got float64 of shape "):
        fold(replace(model, arrays=more), "m")
