"""Torch modules of files, also of networks of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pytest
import torch

import moo_bnas
from examples.own_network.own_network import two_convs
from moo_bnas import networks, plugins
from moo_bnas.definition import parse_definition
from moo_bnas.errors import ModelFileError
from moo_bnas.models.model_file import Model, read_model, to_bytes
from moo_bnas.models.writing import Format, export
from moo_bnas.networks.layers import ImageShape
from moo_bnas.networks.module import build
from moo_bnas.networks.network import Network
from moo_bnas.recipe import FinalRecipe
from moo_bnas.task import FinalTask
from moo_bnas.training.evaluator import Evaluator
from tests.models.trained import digits_images, inputs_of, logits_of, trained

VGG = "vgg_small dorefa"
FORMS: tuple[Format, ...] = ("packed", "onnx", "torch")
IMAGE = ImageShape(8, 1, 10)


def scaled(image: ImageShape = IMAGE, temperature: float = 1.0) -> Network:
    """The module of this one does more than its specs say."""
    return two_convs(image, temperature=temperature)


def as_specified(image: ImageShape = IMAGE, temperature: float = 1.0) -> Network:
    """The module of this one is what its specs say, but its own package makes it."""
    return replace(two_convs(image), module=build)


def wider(image: ImageShape = IMAGE, temperature: float = 1.0) -> Network:
    """What a later version of its package might make."""
    before = two_convs(image)
    return replace(before, layers=lambda widths, p: before.layers([w + 1 for w in widths], p))


Offer = Callable[[str | None], None]


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Installs one of these functions as the network `own`, or nothing."""

    def install(function: str | None) -> None:
        group = networks.OWN.group
        there = [] if function is None else [EntryPoint("own", f"{__name__}:{function}", group)]
        monkeypatch.setattr(plugins, "entry_points", lambda group: EntryPoints(there))

    return install


def train(path: Path) -> None:
    """Trains the installed network for an epoch."""
    recipe = {"epochs": 1, "batch_size": 64, "learning_rate": 0.1}
    values = {
        "name": "own",
        "description": "",
        "network": {"name": "own", "temperature": 2.0},
        "data": {"name": "digits"},
        "recipe": recipe,
    }
    evaluator = Evaluator(parse_definition(values, "test"), "cpu", Path())
    task = FinalTask((2, 3), "binary", FinalRecipe.model_validate(recipe))
    _, content = evaluator.train_final(task, lambda *_: None, lambda: False)
    path.write_bytes(content)


@pytest.mark.parametrize("form", [None, "torch"])
def test_a_trained_file_is_loaded_as_a_module(tmp_path: Path, form: Format | None) -> None:
    path, model = tmp_path / "model.safetensors", trained(VGG)
    path.write_bytes(to_bytes(model))
    if form is not None:
        path = next(iter(export(path, form).files))
    network = moo_bnas.load_model(path)
    assert not network.training
    with torch.inference_mode():
        logits = network(torch.from_numpy(inputs_of(model))).numpy()
    assert np.allclose(logits, logits_of(model), atol=1e-4)


def test_what_is_no_module_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(to_bytes(trained(VGG)))
    packed = next(iter(export(path, "packed").files))
    with pytest.raises(ModelFileError, match="is packed, and no torch module; expected"):
        moo_bnas.load_model(packed)
    with pytest.raises(ModelFileError, match="cannot read .*none: No such file"):
        moo_bnas.load_model(tmp_path / "none")


def test_a_network_of_ones_own_predicts_where_its_package_is_installed(
    tmp_path: Path, offer: Offer
) -> None:
    path, images = tmp_path / "own.safetensors", digits_images()[:50]
    offer("scaled")
    train(path)
    model = read_model(path)
    with torch.inference_mode():
        logits = moo_bnas.load_model(path)(torch.from_numpy(inputs_of(model)[:50]))
        inner = build([layer.spec() for layer in model.card.layers], "dorefa")
        state = {k.removeprefix("inner."): torch.tensor(v) for k, v in model.arrays.items()}
        inner.load_state_dict(state)
        whole = inner.eval()(torch.from_numpy(inputs_of(model)[:50]))
    assert torch.allclose(logits, whole / 2)  # the temperature of its definition
    found = moo_bnas.predict(path, images)
    assert np.allclose([p.probabilities for p in found], logits.softmax(1), atol=1e-5)
    for form in FORMS:
        with pytest.raises(ModelFileError, match="computes something else than its layer specs"):
            export(path, form)
    offer("wider")
    with pytest.raises(
        ModelFileError, match="another network two_convs than its package makes by now"
    ):
        moo_bnas.predict(path, images)
    offer(None)
    with pytest.raises(ModelFileError, match="got network 'own', expected.*; install the version"):
        moo_bnas.load_model(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_network_of_ones_own_that_is_what_its_specs_say_is_exported(
    tmp_path: Path, offer: Offer, form: Format
) -> None:
    path, images = tmp_path / "own.safetensors", digits_images()
    offer("as_specified")
    train(path)
    expected = [p.probabilities for p in moo_bnas.predict(path, images)]
    exported = next(iter(export(path, form).files))
    offer(None)  # what was exported needs the package no more
    found = [p.probabilities for p in moo_bnas.predict(exported, images)]
    assert np.allclose(found, expected, atol=1e-4)


def test_a_file_has_nothing_made_that_its_tensors_do_not_fill(
    tmp_path: Path, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.safetensors"
    offer("scaled")
    train(path)
    model = read_model(path)
    network = two_convs()
    widths = (2**15, 2**15)
    layers = tuple(type(model.card.layers[0]).of(s) for s in network.layers(widths, "binary"))
    card = model.card.model_copy(update={"widths": widths, "layers": layers})
    path.write_bytes(to_bytes(Model(card, model.arrays)))
    monkeypatch.setattr("moo_bnas.networks.module.build", lambda *_: pytest.fail("it was made"))
    with pytest.raises(ModelFileError, match="another network two_convs than its package makes"):
        moo_bnas.predict(path, digits_images()[:1])
