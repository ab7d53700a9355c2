"""Computes the arrays that running a network takes (see `arrays`) from its trained state."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from moo_bnas.errors import DefinitionError, ModelFileError
from moo_bnas.models.arrays import (
    BATCH_NORM,
    LEARNED,
    PREFIX,
    check_arrays,
    is_binary,
    trained_shapes,
)
from moo_bnas.models.compound import write_out
from moo_bnas.models.encoding import encodings_of
from moo_bnas.models.model_file import Arrays, Layer, Model
from moo_bnas.models.own_module import own_module
from moo_bnas.networks.autograd import sign
from moo_bnas.networks.binarizers import BINARIZERS
from moo_bnas.networks.binary_layers import CompoundConv2d
from moo_bnas.networks.fitting import check_fit
from moo_bnas.networks.layers import INPUT, ImageShape
from moo_bnas.networks.module import build

_EPS = np.float32(1e-5)  # of torch.nn.BatchNorm2d


def check_trained(model: Model, source: str) -> None:
    """Checks that a model is a trained network that its layer specs describe in full.

    Args:
        model: Model to check.
        source: Name of its file, shown in errors.

    Raises:
        ModelFileError: If it is an exported network, its module was made by another package, its
            binarizer is unknown, or its tensors are not those that its card describes.
    """
    card = model.card
    if card.kind != "trained":
        raise ModelFileError(
            f"{source} is an exported network ({card.kind}), expected a trained one; give the "
            "file that `moo-bnas train` wrote"
        )
    if card.own_module:
        _check_own_module(model, source)
    if card.binarizer not in BINARIZERS:
        raise ModelFileError(
            f"{source} has the binarizer {card.binarizer!r:.100}, expected one of "
            f"{', '.join(BINARIZERS)}; use the version of moo-bnas that trained it"
        )
    encodings_of(card, source)
    check_arrays(model.arrays, trained_shapes(card), source)


def _check_own_module(model: Model, source: str) -> None:
    """Checks that what another package made computes what its layer specs say, and nothing else.

    The specs are all that exports know. So the module, with its trained weights, and a network
    that is made of the specs with the same weights must say the same of images.
    """
    card, image = model.card, model.card.image
    shape = ImageShape(image.size, image.channels, len(card.classes))
    theirs = own_module(model, source)
    try:
        specs = [layer.spec() for layer in card.layers]
        check_fit(specs, shape)
        ours = build(specs, card.binarizer)
        ours.load_state_dict({name: torch.tensor(a) for name, a in model.arrays.items()})
        random = torch.Generator().manual_seed(0)
        images = torch.randn(4, image.channels, image.size, image.size, generator=random)
        with torch.inference_mode():
            same = torch.allclose(theirs(images), ours.eval()(images), rtol=1e-4, atol=1e-4)
    except (DefinitionError, ValueError, RuntimeError):  # other parameters than its specs have
        same = False
    if not same:
        raise ModelFileError(
            f"{source} holds the network {card.network:.100}, whose package computes something "
            "else than its layer specs say, which are all that exports know; run it with "
            "`moo-bnas predict`, or export moo_bnas.load_model(FILE) with torch's own tools"
        )


def fold(model: Model, source: str) -> Model:
    """A trained network as what runs: arrays named and shaped as `arrays` lists them.

    Scales are bitwise equal to those of the network in evaluation. A batch norm becomes
    `multiplier = weight / sqrt(running_var + 1e-5)` as torch computes it, and `offset = bias -
    running_mean * multiplier`, rounded once. A conv that learned how its input becomes bits becomes
    the convs of bits that it is the sum of, so the card that is returned has more layers then.

    Args:
        model: Trained network.
        source: Name of its file, shown in errors.

    Raises:
        ModelFileError: As `check_trained`.
    """
    check_trained(model, source)
    card, learned = model.card, BINARIZERS[model.card.binarizer].learned != "nothing"
    sizes = {INPUT: card.image.size} | {layer.name: layer.out_size for layer in card.layers}
    read: dict[str, str] = {}  # by steps that read a binarizer that does nothing
    layers: list[Layer] = []
    arrays: dict[str, NDArray[Any]] = {}
    for each in card.layers:
        inputs = tuple(read.get(name, name) for name in each.inputs)
        layer = each.model_copy(update={"inputs": inputs})
        if learned and layer.kind == "binarize":
            read[layer.name] = layer.inputs[0]
        elif learned and is_binary(layer):
            parts, made = write_out(_compound(layer, model), layer, sizes[layer.inputs[0]])
            layers += parts
            arrays |= made
        else:
            layers.append(layer)
            arrays |= _folded(layer, model)
    return Model(card.model_copy(update={"layers": tuple(layers)}), arrays)


def _folded(layer: Layer, model: Model) -> Arrays:
    name, key = layer.name, f"{PREFIX}{layer.name}"
    if is_binary(layer):
        binarizer = BINARIZERS[model.card.binarizer].of_bits(layer.bits).evaluated
        latent, scale = binarizer.weights(torch.from_numpy(model.arrays[f"{key}.weight"]))
        signs = sign(latent).numpy().astype(np.int8)
        return {f"{name}.signs": signs, f"{name}.scale": scale.numpy()}
    if layer.kind in ("conv", "linear"):
        return {f"{name}.weight": model.arrays[f"{key}.weight"]}
    if layer.kind == "batch_norm":
        gain, bias, mean, var = (model.arrays[f"{key}.{part}"] for part in BATCH_NORM)
        multiplier = gain * (np.float32(1) / np.sqrt(var + _EPS))
        offset = bias - mean * multiplier.astype(np.float64)
        return {f"{name}.multiplier": multiplier, f"{name}.offset": offset.astype(np.float32)}
    if layer.kind == "prelu":
        return {f"{name}.slope": model.arrays[f"{key}.weight"]}
    if layer.kind == "bias":
        return {f"{name}.bias": model.arrays[f"{key}.bias"]}
    return {}


def _compound(layer: Layer, model: Model) -> CompoundConv2d:
    conv = CompoundConv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel,
        binarizer=BINARIZERS[model.card.binarizer].of_bases(layer.bases),
    )
    key = f"{PREFIX}{layer.name}"
    parts = ("weight", *LEARNED)
    conv.load_state_dict({p: torch.from_numpy(model.arrays[f"{key}.{p}"]) for p in parts})
    return conv
