"""Makes files of networks that lie, with right seals and hashes: for tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import safetensors.numpy
from numpy.typing import NDArray

from moo_bnas.models.encoding import exported
from moo_bnas.models.folding import fold
from moo_bnas.models.model_file import Model, _digest, to_bytes
from moo_bnas.models.onnx_file import to_onnx
from moo_bnas.models.packed import pack
from moo_bnas.models.seal import UNSEALED, seal
from moo_bnas.models.writing import SUFFIXES

Forge = Callable[[dict[str, Any]], None]
"""Changes a card in place."""

FILES = (
    "model.safetensors",
    *(f"model{suffix}" for form, suffix in SUFFIXES.items() if form != "c"),
)
"""Names of the files that can be read: trained, packed, ONNX, torch."""


def contents(model: Model) -> dict[str, bytes]:
    """The content of the file of each format, by the names in `FILES`."""
    folded = fold(model, "it")
    state = {f"layers.{name}": array for name, array in folded.arrays.items()}
    plain = Model(exported(folded.card, "plain"), state)
    made = (to_bytes(model), to_bytes(pack(folded)), to_onnx(folded))
    return dict(zip(FILES, (*made, to_bytes(plain)), strict=True))


def forged(content: bytes, forge: Forge, arrays: Mapping[str, NDArray[Any]] | None = None) -> bytes:
    """A file of another card, with a right seal; `arrays` replace those of a safetensors file."""
    if not _is_safetensors(content):
        return forged_graph(content, forge)
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    kept = safetensors.numpy.load(content) if arrays is None else dict(arrays)
    card = json.loads(header["__metadata__"]["moo_bnas"])
    card["sha256"] = _digest(kept)
    forge(card)
    bare = safetensors.numpy.save(kept, {"moo_bnas": ""})
    size = int.from_bytes(bare[:8], "little")
    header = json.loads(bare[8 : 8 + size])
    header["__metadata__"] = {"moo_bnas": json.dumps(card), "sha256": UNSEALED}
    text = json.dumps(header).encode()
    return seal(len(text).to_bytes(8, "little") + text + bare[8 + size :])


def forged_graph(
    content: bytes,
    forge: Forge = lambda _: None,
    change: Callable[[onnx.ModelProto], None] = lambda _: None,
) -> bytes:
    """An ONNX file of another card or another graph, with a right seal."""
    model = onnx.load_model_from_string(content)
    metadata = {each.key: each.value for each in model.metadata_props}
    card = json.loads(metadata["moo_bnas"])
    forge(card)
    change(model)
    del model.metadata_props[:]
    values = {"moo_bnas": json.dumps(card), "sha256": UNSEALED}
    onnx.helper.set_model_props(model, values)
    return seal(model.SerializeToString())


def blank_arrays(card: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The tensors that a card of a trained network describes, all zeros."""
    arrays: dict[str, NDArray[Any]] = {}
    for layer in card["layers"]:
        key, out = f"layers.{layer['name']}", layer["out_channels"]
        if layer["kind"] in ("conv", "linear"):
            window = (layer["kernel"],) * 2 if layer["kind"] == "conv" else ()
            arrays[f"{key}.weight"] = np.zeros((out, layer["in_channels"], *window), np.float32)
        elif layer["kind"] == "batch_norm":
            for part in ("weight", "bias", "running_mean", "running_var"):
                arrays[f"{key}.{part}"] = np.ones(out, np.float32)
            arrays[f"{key}.num_batches_tracked"] = np.asarray(0)
    return arrays


def _is_safetensors(content: bytes) -> bool:
    return content[8:9] == b"{"
