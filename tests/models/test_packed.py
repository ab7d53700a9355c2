from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from moo_bnas.errors import ModelFileError
from moo_bnas.models.arrays import is_binary
from moo_bnas.models.encoding import encoding_of, exported
from moo_bnas.models.folding import fold
from moo_bnas.models.model_file import Layer, Model, parse_model, to_bytes
from moo_bnas.models.packed import pack, sizes, unpack
from tests.binarizers import ONE_BIT
from tests.models.trained import trained


def test_all_arrays_come_back_exactly(model: Model) -> None:
    folded = fold(model, "model")
    packed = parse_model(to_bytes(pack(folded)), "packed")
    assert packed.card == exported(model.card, "packed")
    back = unpack(packed, "packed")
    assert set(back) == set(folded.arrays)
    for name, array in folded.arrays.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape), name
        assert np.array_equal(back[name], array), name


def test_the_file_takes_what_the_cost_model_says_and_what_is_counted_beside(model: Model) -> None:
    packed = pack(fold(model, "model"))
    content = to_bytes(packed)
    counted = sizes(packed, content)
    assert 8 * counted.weights - counted.padding_bits == model.card.memory_bits
    layers = model.card.layers
    binary = [layer for layer in layers if is_binary(layer)]
    assert counted.padding_bits < 8 * max(len(binary), 1)
    per_channel = encoding_of(model.card, "model").scales == "channel"
    assert counted.scales == 4 * sum(layer.out_channels if per_channel else 1 for layer in binary)
    channels = sum(layer.out_channels for layer in layers if layer.kind == "batch_norm")
    beside = sum(layer.out_channels for layer in layers if layer.kind in ("prelu", "bias"))
    assert counted.batch_norm == 4 * (2 * channels + beside)
    # Safetensors: 8 bytes of length, and so many of header.
    assert counted.header == 8 + int.from_bytes(content[:8], "little")
    assert counted.total == len(content)


def test_the_file_can_be_read_by_hand_as_the_document_says(model: Model) -> None:
    content = to_bytes(pack(fold(model, "model")))
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    card = json.loads(header["__metadata__"]["moo_bnas"])
    for layer in card["layers"]:
        if layer["kind"] != "conv" or layer["precision"] != "binary":
            continue
        begin, end = header[f"{layer['name']}.bits"]["data_offsets"]
        data = content[8 + length + begin : 8 + length + end]
        weights = model.arrays[f"layers.{layer['name']}.weight"]
        latent, _ = ONE_BIT[card["binarizer"]].weights(torch.from_numpy(weights))
        assert len(data) == -(-weights.size // 8)
        for place in (0, 1, 7, 8, weights.size // 2, weights.size - 1):
            bit = data[place // 8] >> (7 - place % 8) & 1
            assert bit == (latent.flatten()[place].item() >= 0)


@given(
    hnp.array_shapes(min_dims=4, max_dims=4, max_side=5).flatmap(
        lambda shape: hnp.arrays(
            np.int8, (*shape[:2], shape[2], shape[2]), elements=st.sampled_from((-1, 1))
        )
    )
)
def test_signs_of_any_shape_come_back(signs: np.ndarray) -> None:
    c_out, c_in, kernel, _ = signs.shape
    layer = Layer(
        name="conv",
        kind="conv",
        inputs=("input",),
        in_channels=c_in,
        out_channels=c_out,
        out_size=1,
        kernel=kernel,
        stride=1,
        padding=0,
        precision="binary",
        extra_ops=0,
    )
    card = trained("vgg_small dorefa").card.model_copy(update={"layers": (layer,)})
    packed = pack(Model(card, {"conv.signs": signs, "conv.scale": np.asarray(np.float32(0.5))}))
    assert packed.arrays["conv.bits"].nbytes == -(-signs.size // 8)
    assert np.array_equal(unpack(packed, "file")["conv.signs"], signs)


def test_a_file_of_another_kind_and_a_damaged_one_are_refused() -> None:
    model = trained("vgg_small dorefa")
    with pytest.raises(ModelFileError, match="m is a trained network, expected a packed one; make"):
        unpack(model, "m")
    packed = pack(fold(model, "model"))
    short = {**packed.arrays, "conv2.bits": packed.arrays["conv2.bits"][:-1]}
    with pytest.raises(ModelFileError, match=r"for conv2.bits got uint8 of shape \[71\], expect"):
        unpack(replace(packed, arrays=short), "m")
    with pytest.raises(ModelFileError, match="incomplete or damaged"):
        parse_model(to_bytes(packed)[:-1], "m")
