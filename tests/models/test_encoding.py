"""Files hold the encoding of their binarizer; those of version 0.1 are read without one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import moo_bnas
from moo_bnas.errors import ModelFileError
from moo_bnas.models.encoding import encoding_of, exported
from moo_bnas.models.folding import fold
from moo_bnas.models.model_file import (
    Card,
    Image,
    Layer,
    Model,
    parse_card,
    parse_model,
    read_model,
    to_bytes,
)
from moo_bnas.models.packed import pack
from moo_bnas.models.writing import Format, export
from moo_bnas.networks.binarizers import BINARIZERS
from moo_bnas.networks.binarizers.binarizer import SIGNS
from moo_bnas.networks.layers import ImageShape, LayerList
from tests.binarizers import PER_CHANNEL
from tests.models.trained import digits_images, trained

FORMATS: tuple[Format, ...] = ("packed", "onnx", "torch")


def _exported(name: str, form: Format, folder: Path) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(to_bytes(trained(name)))
    return next(iter(export(path, form).files))


def _probabilities(path: Path) -> np.ndarray:
    return np.stack([one.probabilities for one in moo_bnas.predict(path, digits_images())])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["vgg_small per_channel", "resnet18 small per_channel"])
def test_a_file_runs_where_its_binarizer_is_unknown(
    name: str, form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _exported(name, form, tmp_path)
    expected = _probabilities(tmp_path / "model.safetensors")
    monkeypatch.delitem(BINARIZERS, "per_channel")
    np.testing.assert_allclose(_probabilities(path), expected, atol=1e-5)


def test_a_card_says_what_its_binarizer_does() -> None:
    card = json.loads(exported(trained("vgg_small per_channel").card, "plain").model_dump_json())
    assert card["encoding"] == {
        "levels": [-1.0, 1.0],
        "thresholds": [0.25],
        "inclusive": True,
        "scales": "channel",
    }
    assert parse_card(json.dumps(card), "it").encoding == PER_CHANNEL.encoding


@pytest.mark.parametrize("name", ["vgg_small dorefa", "vgg_small sign"])
def test_cards_of_the_first_two_binarizers_stay_as_they_were(name: str) -> None:
    card = exported(trained(name).card, "packed")
    assert "encoding" not in card.model_dump()
    assert "encoding" not in json.loads(card.model_dump_json())
    assert encoding_of(card, "it") == BINARIZERS[card.binarizer].encoding


def _by_hand(binarizer: str) -> Model:
    """A network whose numbers no machine rounds."""
    net = LayerList(ImageShape(2, 1, 2), "binary")
    net.batch_norm("bn")
    net.activation("act")
    net.conv("conv", 2, kernel=1)
    net.flatten("flatten")
    card = Card(
        network="by_hand",
        binarizer=binarizer,
        precision="binary",
        ratios=(1.0,),
        widths=(2,),
        layers=tuple(Layer.of(spec) for spec in net.specs),
        own_module=False,
        image=Image(size=2, stored_size=2, channels=1, mean=(0.0,), std=(1.0,)),
        classes=tuple("abcdefgh"),
        flops=1.0,
        memory_bits=2,
        speedup=1.0,
        accuracy=0.0,
        top5=0.0,
        made={"definition": {"parent": None}},
    )
    one = np.ones(1, np.float32)
    arrays: dict[str, Any] = {
        "layers.bn.weight": one,
        "layers.bn.bias": 0 * one,
        "layers.bn.running_mean": 0 * one,
        "layers.bn.running_var": one,
        "layers.bn.num_batches_tracked": np.asarray(0),
        "layers.conv.weight": np.array([0.5, -0.25], np.float32).reshape(2, 1, 1, 1),
    }
    return Model(card, arrays)


@pytest.mark.parametrize(
    ("binarizer", "trained_hash", "packed_hash"),
    [
        ("dorefa", "ed0aaa182202c675c5a2f5463f1d880b", "f3b589d364476a8959b8eed0eaf80a00"),
        ("sign", "0f453a4f4f36f25743ac615c17d48997", "6eab46bf4b40dffaa5927cebcb6997b6"),
    ],
)
def test_but_for_their_seal_files_are_byte_for_byte_those_of_version_0_1(
    binarizer: str, trained_hash: str, packed_hash: str
) -> None:
    model = _by_hand(binarizer)
    packed = pack(fold(model, "it"))
    for made, expected in ((model, trained_hash), (packed, packed_hash)):
        content = unsealed(to_bytes(made))
        assert hashlib.sha256(content).hexdigest()[:32] == expected
        assert parse_model(content, "it").card == made.card  # and 0.1's files can be read


def unsealed(content: bytes) -> bytes:
    """The file as version 0.1 wrote it, which knew no seals."""
    size = int.from_bytes(content[:8], "little")
    card = json.loads(content[8 : 8 + size])["__metadata__"]["moo_bnas"]
    return safetensors.numpy.save(safetensors.numpy.load(content), {"moo_bnas": card})


@pytest.mark.parametrize("form", ["packed", "torch"])
def test_a_file_that_describes_no_binarizer_is_refused(form: Format, tmp_path: Path) -> None:
    path = _exported("vgg_small sign", form, tmp_path)
    model = read_model(path)
    other = replace(model, card=model.card.model_copy(update={"binarizer": "unheard_of"}))
    path.write_bytes(to_bytes(other))
    with pytest.raises(ModelFileError, match="has the binarizer 'unheard_of', expected one of dor"):
        _probabilities(path)
    described = other.card.model_copy(update={"encoding": SIGNS})
    path.write_bytes(to_bytes(replace(other, card=described)))
    expected = _probabilities(tmp_path / "model.safetensors")
    np.testing.assert_allclose(_probabilities(path), expected, atol=1e-5)


def test_a_card_with_an_encoding_that_makes_no_sense_is_refused() -> None:
    card = json.loads(exported(trained("vgg_small per_channel").card, "packed").model_dump_json())
    card["encoding"]["levels"] = [1.0, -1.0]
    with pytest.raises(ModelFileError, match=r"cannot read \(encoding: .*got levels \[1.0, -1.0\]"):
        parse_card(json.dumps(card), "it")


@pytest.mark.parametrize("form", FORMATS)
def test_more_bits_than_the_binarizer_has_are_refused(form: Format, tmp_path: Path) -> None:
    model = trained("vgg_small sign")
    layers = tuple(layer.model_copy(update={"bits": 2}) for layer in model.card.layers)
    path = tmp_path / "model.safetensors"
    path.write_bytes(
        to_bytes(Model(model.card.model_copy(update={"layers": layers}), model.arrays))
    )
    with pytest.raises(ModelFileError, match="activations of 2 bits, which its card does not des"):
        export(path, form)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]
    with pytest.raises(ModelFileError, match="activations of 2 bits, which its card does not des"):
        _probabilities(path)
