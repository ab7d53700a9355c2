from __future__ import annotations

import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from moo_bnas.errors import ModelFileError
from moo_bnas.models.encoding import exported
from moo_bnas.models.folding import fold
from moo_bnas.models.model_file import Model, parse_card
from moo_bnas.models.onnx_file import to_onnx
from tests.models.trained import assert_same, inputs_of, trained


def _run(content: bytes, images: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options)
    logits: np.ndarray = session.run(["logits"], {"images": images})[0]
    return logits


def test_onnxruntime_says_what_the_trained_one_says(model: Model) -> None:
    content, images = to_onnx(fold(model, "model")), inputs_of(model)
    logits = _run(content, images)
    assert_same(model, logits)
    for batch in (1, 7):
        np.testing.assert_allclose(_run(content, images[:batch]), logits[:batch], atol=1e-5)


def test_the_graph_says_what_it_takes_and_carries_the_card(model: Model) -> None:
    graph = onnx.load_model_from_string(to_onnx(fold(model, "model")))
    onnx.checker.check_model(graph, full_check=True)
    (given,), (out,) = graph.graph.input, graph.graph.output
    assert given.name == "images"
    sizes = [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim]
    assert sizes == ["batch", 1, 8, 8]
    assert [d.dim_param or d.dim_value for d in out.type.tensor_type.shape.dim] == ["batch", 10]
    metadata = {p.key: p.value for p in graph.metadata_props}
    card = parse_card(metadata["moo_bnas"], "graph")
    assert card == exported(model.card, "onnx")
    signs = [c for c in graph.graph.initializer if c.name.endswith(".signs")]
    assert all(c.data_type == onnx.TensorProto.INT8 for c in signs)
    assert bool(signs) == (card.precision == "binary")


def test_equal_networks_make_equal_files() -> None:
    model = trained("vgg_small dorefa")
    one, other = (to_onnx(fold(model, "model")) for _ in range(2))
    assert one == other


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained("vgg_small dorefa")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelFileError, match=r"package onnx, .*; pip install 'moo-bnas\[onnx\]'"):
        to_onnx(fold(model, "model"))
