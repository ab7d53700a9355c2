"""All formats agree at edge cases that trained networks rarely reach."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from moo_bnas.models.encoding import exported
from moo_bnas.models.model_file import Image, Layer, Model
from moo_bnas.models.onnx_file import to_onnx
from moo_bnas.models.packed import pack, reference
from moo_bnas.models.plain import PlainNetwork
from moo_bnas.networks.binary_layers import Activation
from moo_bnas.networks.layers import ImageShape, LayerList
from tests.binarizers import ONE_BIT
from tests.models.trained import trained

EDGES = [-1e-45, -0.0, 0.0, 1e-45, 0.24999999, 0.25, 0.49999997, 0.5, 0.50000006]


@pytest.mark.parametrize("binarizer", ONE_BIT)
def test_bits_at_their_thresholds(binarizer: str) -> None:
    net = LayerList(ImageShape(3, 1, 9), "binary")
    net.activation("act")
    net.flatten("flatten")
    card = trained("vgg_small dorefa").card.model_copy(
        update={
            "binarizer": binarizer,
            "layers": tuple(Layer.of(spec) for spec in net.specs),
            "image": Image(size=3, stored_size=3, channels=1, mean=(0.0,), std=(1.0,)),
            "classes": tuple("abcdefghi"),
        }
    )
    x = np.array(EDGES, np.float32).reshape(1, 1, 3, 3)
    expected = Activation(ONE_BIT[binarizer])(torch.from_numpy(x)).flatten().tolist()
    session = onnxruntime.InferenceSession(to_onnx(Model(card, {})))
    assert reference(pack(Model(card, {})), "packed")(x)[0].tolist() == expected
    plain = PlainNetwork(exported(card, "plain").model_dump())
    assert plain(torch.from_numpy(x))[0].tolist() == expected
    assert session.run(None, {"images": x})[0][0].tolist() == expected
