"""Reads ONNX files: runs nothing but the graph that `onnx_file` makes of the card in a file.

A graph of somebody else could name other files as its data, take all memory, or never end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from moo_bnas.errors import ModelFileError
from moo_bnas.models.arrays import check_arrays, run_shapes
from moo_bnas.models.encoding import encodings_of
from moo_bnas.models.model_file import Card, parse_card
from moo_bnas.models.onnx_file import make_model, missing
from moo_bnas.models.seal import card_in

if TYPE_CHECKING:
    import onnx


def read_card(content: bytes, source: str) -> Card:
    """The card of an ONNX file whose graph is the one that the card describes.

    Args:
        content: Content of the file.
        source: Name of the file, shown in errors.

    Raises:
        ModelFileError: If the file is damaged, was not made by moo-bnas, or has another graph; or
            if the package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise missing("onnx") from error
    try:
        model = onnx.load_model_from_string(content)
    except MemoryError:
        raise
    except Exception as error:  # protobuf raises errors of its own
        raise ModelFileError(
            f"{source} is not an ONNX file, or it is incomplete or damaged ({error}); make it "
            "again, or fetch a complete copy"
        ) from error
    # Where a text is no UTF-8, protobuf gives its bytes.
    metadata = {str(each.key): str(each.value) for each in model.metadata_props}
    card = parse_card(card_in(content, metadata, source), source)
    if card.own_module or card.kind != "onnx":
        raise _another(source, f"its card is one of a {card.kind} network")
    encoding = encodings_of(card, source)[1]
    stored = {each.name: each for each in model.graph.initializer}
    for each in stored.values():
        if each.data_location != onnx.TensorProto.DEFAULT or each.external_data:
            raise _another(source, f"the data of {each.name} are in another file")
    shapes = run_shapes(card, encoding)
    arrays = {
        name: _array(stored[name], shape, source)
        for name, (_, shape) in shapes.items()
        if name in stored
    }
    check_arrays(arrays, shapes, source)
    if _unnamed(model) != _unnamed(make_model(card, arrays)):
        raise _another(source, "its graph is another one")
    return card


def _array(tensor: onnx.TensorProto, shape: tuple[int, ...], source: str) -> NDArray[Any]:
    from onnx import numpy_helper

    try:
        array = np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:  # of numpy and of protobuf
        raise _another(source, f"{tensor.name}: {error}") from error
    # Per channel numbers have dimensions of height and width, too.
    return array.reshape(shape) if array.size == np.prod(shape) else array


def _unnamed(model: onnx.ModelProto) -> bytes:
    """All of a model but its card, with numbers for the names of values, which 0.1 chose itself."""
    whole = type(model)()
    whole.CopyFrom(model)
    del whole.metadata_props[:]
    same = whole.graph
    names: dict[str, str] = {each.name: each.name for each in (*same.input, *same.output)}
    for node in same.node:
        node.name = ""
        for values in (node.input, node.output):
            values[:] = [names.setdefault(value, str(len(names))) for value in values]
    for constant in same.initializer:
        constant.name = names.get(constant.name, "unused")
    constants = sorted(same.initializer, key=lambda each: each.name)
    del same.initializer[:]
    same.initializer.extend(constants)
    text: bytes = whole.SerializeToString(deterministic=True)
    return text


def _another(source: str, reason: str) -> ModelFileError:
    return ModelFileError(
        f"{source} does not hold the network that its card describes: {reason}; make it again with "
        "`moo-bnas export --format onnx`"
    )
