"""Writes a conv that learned how its input becomes bits as convs of bits, which every runtime has.

Its bits are those of a batch norm, its parts are binary convs with scales, and sums add them up in
the order in which the trained network does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from moo_bnas.models.model_file import Arrays, Layer
from moo_bnas.networks.binary_layers import CompoundConv2d


def write_out(conv: CompoundConv2d, layer: Layer, size: int) -> tuple[list[Layer], Arrays]:
    """The layers that a conv becomes, and their arrays; the last one has its name.

    Args:
        conv: The trained conv.
        layer: Its layer, which reads what the conv makes bits of.
        size: Height and width of what it reads.
    """
    name, channels = layer.name, layer.in_channels
    like = layer.model_copy(update={"bases": (1, 1), "window_sums": 0})
    same = {"out_channels": channels, "out_size": size, "precision": "full", "extra_ops": 0}
    of_input = like.model_copy(update={**same, "kernel": 1, "stride": 1, "padding": 0})
    sums = {"in_channels": layer.out_channels, "extra_ops": 0, "kernel": 1, "stride": 1}
    of_sums = like.model_copy(update={**sums, "padding": 0, "precision": "full"})
    layers: list[Layer] = []
    arrays: dict[str, NDArray[Any]] = {}
    terms: list[str] = []

    def add(template: Layer, kind: str, own: str, *inputs: str) -> str:
        update = {"kind": kind, "name": own, "inputs": inputs}
        layers.append(template.model_copy(update=update))
        return own

    parts = list(conv.parts())
    count = sum(len(part.convs) for part in parts)
    for i, part in enumerate(parts):
        norm = add(of_input, "batch_norm", f"{name}_shift{i}", *layer.inputs)
        arrays[f"{norm}.multiplier"] = np.full(channels, part.gain, np.float32)
        arrays[f"{norm}.offset"] = np.full(channels, part.shift.item(), np.float32)
        bits = add(of_input, "binarize", f"{name}_bits{i}", norm)
        for j, (signs, scale) in enumerate(part.convs):
            term = add(like, "conv", name if count == 1 else f"{name}_part{i}_{j}", bits)
            arrays[f"{term}.signs"] = signs.numpy().astype(np.int8)
            arrays[f"{term}.scale"] = scale.numpy()
            terms.append(term)
    total = terms[0]
    for i, term in enumerate(terms[1:]):
        own = name if i == count - 2 else f"{name}_sum{i}"
        total = add(of_sums, "add", own, total, term)
    return layers, arrays
