"""Computes the arrays that running a network takes (see `arrays`) from its trained state."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from moo_bnas.errors import ModelFileError
from moo_bnas.models.arrays import BATCH_NORM, PREFIX, check_arrays, is_binary, trained_shapes
from moo_bnas.models.encoding import encoding_of
from moo_bnas.models.model_file import Arrays, Model
from moo_bnas.networks.autograd import sign
from moo_bnas.networks.binarizers import BINARIZERS

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
        raise ModelFileError(
            f"{source} holds the network {card.network:.100}, whose module another package made, "
            "so its layer specs may not describe all of it; expected a network made from its specs "
            "only; run it with that package, from the tensors in this file"
        )
    if card.binarizer not in BINARIZERS:
        raise ModelFileError(
            f"{source} has the binarizer {card.binarizer!r:.100}, expected one of "
            f"{', '.join(BINARIZERS)}; use the version of moo-bnas that trained it"
        )
    check_arrays(model.arrays, trained_shapes(card), source)


def fold(model: Model, source: str) -> Arrays:
    """The arrays that running a trained network takes, named and shaped as `arrays` lists them.

    Scales are bitwise equal to those of the network in evaluation. A batch norm becomes
    `multiplier = weight / sqrt(running_var + 1e-5)` as torch computes it, and `offset = bias -
    running_mean * multiplier`, rounded once.

    Args:
        model: Trained network.
        source: Name of its file, shown in errors.

    Raises:
        ModelFileError: As `check_trained`, and if activations have more than 1 bit.
    """
    check_trained(model, source)
    encoding_of(model.card, source)
    binarizer = BINARIZERS[model.card.binarizer]
    folded: dict[str, NDArray[Any]] = {}
    for layer in model.card.layers:
        name, key = layer.name, f"{PREFIX}{layer.name}"
        if is_binary(layer):
            weight = torch.from_numpy(model.arrays[f"{key}.weight"])
            latent, scale = binarizer.weights(weight)
            folded[f"{name}.signs"] = sign(latent).numpy().astype(np.int8)
            folded[f"{name}.scale"] = scale.numpy()
        elif layer.kind in ("conv", "linear"):
            folded[f"{name}.weight"] = model.arrays[f"{key}.weight"]
        elif layer.kind == "batch_norm":
            gain, bias, mean, var = (model.arrays[f"{key}.{part}"] for part in BATCH_NORM)
            multiplier = gain * (np.float32(1) / np.sqrt(var + _EPS))
            offset = bias - mean * multiplier.astype(np.float64)
            folded[f"{name}.multiplier"] = multiplier
            folded[f"{name}.offset"] = offset.astype(np.float32)
    return folded
